#include "cli/cli.h"

#include <inttypes.h>
#include <string.h>

static const char *const windows[] = {"1h", "24h", "7d", "last-1000", "last-10000", "last-100000"};

static enum sup_colour colour_of(const char *level)
{
    return strcmp(level, "fine") == 0    ? SUP_GREEN
           : strcmp(level, "watch") == 0 ? SUP_YELLOW
                                         : SUP_RED;
}

static json_int_t number(const json_t *o, const char *key)
{
    return json_integer_value(json_object_get(o, key));
}

static void put_window(struct sup_cli *cli, const char *name, const json_t *w)
{
    const json_t *out = json_object_get(w, "excluded");

    printf("  ");
    sup_cli_put(cli, SUP_DIM, 13, name);
    printf("%10" JSON_INTEGER_FORMAT " sends  %8" JSON_INTEGER_FORMAT
           " bounces %7.3f %%  %8" JSON_INTEGER_FORMAT " complaints %7.4f %%",
           number(w, "sends"), number(w, "bounces"),
           json_real_value(json_object_get(w, "bounce_rate")) * 100, number(w, "complaints"),
           json_real_value(json_object_get(w, "complaint_rate")) * 100);
    if (!json_is_true(json_object_get(w, "full")))
        printf("  (not full)");
    printf("  left out: %" JSON_INTEGER_FORMAT " soft, %" JSON_INTEGER_FORMAT
           " own list, %" JSON_INTEGER_FORMAT " simulator\n",
           number(out, "soft"), number(out, "own_list"), number(out, "simulator"));
}

static void put_row(struct sup_cli *cli, const json_t *row)
{
    const char *bounces = sup_cli_text(row, "bounce_level", "?");
    const char *complaints = sup_cli_text(row, "complaint_level", "?");
    const json_t *all = json_object_get(row, "windows");

    sup_cli_put(cli, SUP_BOLD, 0, sup_cli_text(row, "kind", "?"));
    printf(" ");
    sup_cli_put(cli, SUP_BOLD, 0, sup_cli_text(row, "name", ""));
    printf("  bounces ");
    sup_cli_put(cli, colour_of(bounces), 0, bounces);
    printf(", complaints ");
    sup_cli_put(cli, colour_of(complaints), 0, complaints);
    putchar('\n');
    for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
        const json_t *w = json_object_get(all, windows[i]);
        if (w != NULL)
            put_window(cli, windows[i], w);
    }
}

static int put_answer(struct sup_cli *cli, const json_t *answer)
{
    const json_t *list = json_object_get(answer, "rates");
    bool high = false;
    size_t i;
    json_t *row;

    json_array_foreach(list, i, row)
    {
        const char *b = sup_cli_text(row, "bounce_level", ""),
                   *c = sup_cli_text(row, "complaint_level", "");
        high |= strcmp(b, "review") == 0 || strcmp(b, "pause") == 0 || strcmp(c, "review") == 0 ||
                strcmp(c, "pause") == 0;
        if (!cli->json)
            put_row(cli, row);
    }
    if (cli->json) {
        sup_cli_put_json(answer);
    } else {
        if (json_array_size(list) == 0)
            printf("no sends, bounces or complaints within 7 days\n");
        sup_cli_put(cli, SUP_DIM, 0, sup_cli_text(answer, "note", ""));
        putchar('\n');
    }
    return high ? SUP_EXIT_NO : SUP_EXIT_OK;
}

int sup_cmd_rates(struct sup_cli *cli, int argc, char **argv)
{
    const char *limit = "20";
    bool domains = false;
    const struct sup_cli_option options[] = {{"limit", &limit, NULL}, {"domains", NULL, &domains}};
    struct sup_err err = {0};
    json_t *answer = NULL;
    char target[128];
    long status = 0;
    int at = sup_cli_options(cli, argc, argv, options, 2);

    if (at < 0)
        return sup_cli_exit(at);
    if (at < argc)
        return sup_cli_usage_error(cli, "takes no operands");
    if (strspn(limit, "0123456789") != strlen(limit) || strlen(limit) > 9)
        return sup_cli_usage_error(cli, "--limit: use a number");
    snprintf(target, sizeof(target), "/v1/rates?limit=%s%s", limit, domains ? "&domains=true" : "");
    const struct sup_call call = {.method = "GET", .target = target};
    int rc = sup_cli_call(cli, &call, &answer, &status, &err);
    int result = SUP_EXIT_UNKNOWN;
    if (rc != SUP_OK)
        sup_cli_error(0, "rates: %s", err.msg);
    else if (status != 200)
        result = sup_cli_error(sup_cli_status_exit(status), "rates: %s", sup_cli_detail(answer));
    else
        result = put_answer(cli, answer);
    json_decref(answer);
    return result;
}
