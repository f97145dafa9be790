#include "cli/cli.h"

/* One call a configuration set, about one a second. */
#define AUDIT_MS (2L * 3600 * 1000)

static void put_reasons(const json_t *object)
{
    const json_t *list = json_object_get(object, "suppressed_reasons");
    size_t i;
    json_t *each;
    json_array_foreach(list, i, each)
    {
        printf("%s%s", i > 0 ? ", " : "", json_string_value(each));
    }
    puts(json_array_size(list) == 0 ? "none" : "");
}

static void put_texts(struct sup_cli *cli, const json_t *list, const char *label,
                      enum sup_colour colour)
{
    size_t i;
    json_t *each;
    json_array_foreach(list, i, each)
    {
        sup_cli_put(cli, SUP_DIM, 10, i == 0 ? label : "");
        sup_cli_put(cli, colour, 0, json_string_value(each));
        putchar('\n');
    }
}

static void put_coverage(struct sup_cli *cli, const json_t *v)
{
    bool covered = json_is_true(json_object_get(v, "covered"));
    size_t i;
    json_t *set;

    sup_cli_put(cli, SUP_DIM, 10, "covered");
    sup_cli_put(cli, covered ? SUP_GREEN : SUP_RED, 0, covered ? "yes" : "no");
    putchar('\n');
    sup_cli_put(cli, SUP_DIM, 10, "account");
    put_reasons(json_object_get(v, "account"));
    json_array_foreach(json_object_get(v, "configuration_sets"), i, set)
    {
        sup_cli_put(cli, SUP_DIM, 10, i == 0 ? "sets" : "");
        sup_cli_put(cli, SUP_PLAIN, 32, sup_cli_text(set, "name", "?"));
        putchar(' ');
        if (json_is_true(json_object_get(set, "overrides")))
            put_reasons(set);
        else
            puts("as the account");
    }
    put_texts(cli, json_object_get(v, "gaps"), "gaps", SUP_RED);
    put_texts(cli, json_object_get(v, "notes"), "notes", SUP_YELLOW);
}

int sup_cmd_audit_coverage(struct sup_cli *cli, int argc, char **argv)
{
    struct sup_call call = {.method = "GET", .target = "/v1/coverage"};
    struct sup_err err = {0};
    json_t *v = NULL;
    long status = 0;
    int at = sup_cli_options(cli, argc, argv, NULL, 0);

    if (at < 0)
        return sup_cli_exit(at);
    if (at != argc)
        return sup_cli_usage_error(cli, "takes no operands");
    cli->transport = sup_transport_new(cli->socket);
    if (cli->transport == NULL)
        return sup_cli_error(SUP_EXIT_UNKNOWN, "audit-coverage: out of memory");
    sup_transport_set_timeout(cli->transport, AUDIT_MS);
    if (sup_cli_call(cli, &call, &v, &status, &err) != SUP_OK)
        return sup_cli_error(SUP_EXIT_UNKNOWN, "audit-coverage: %s", err.msg);
    int exit_status = SUP_EXIT_UNKNOWN;
    if (status != 200 || v == NULL) {
        sup_cli_error(0, "audit-coverage: %s", sup_cli_detail(v));
    } else {
        exit_status = json_is_true(json_object_get(v, "covered")) ? SUP_EXIT_OK : SUP_EXIT_NO;
        if (cli->json)
            sup_cli_put_json(v);
        else
            put_coverage(cli, v);
    }
    json_decref(v);
    return exit_status;
}
