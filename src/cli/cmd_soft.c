#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

#define PAGE 1000

struct soft {
    struct sup_cli *cli;
    bool csv;
    bool head;
};

static const char *const columns[] = {"id",
                                      "address",
                                      "time",
                                      "due",
                                      "lease_ends",
                                      "source",
                                      "message_id",
                                      "sub_type",
                                      "status",
                                      "subject",
                                      "configuration_set",
                                      "bounces",
                                      "claims",
                                      "diagnostic",
                                      "recipient",
                                      "tags",
                                      "tenant",
                                      "feedback_id"};
#define N_COLUMNS (sizeof(columns) / sizeof(columns[0]))

/* RFC 4180; a leading "=", "+", "-" or "@" would be a formula to spreadsheets. */
static void put_csv_text(const char *s)
{
    putchar('"');
    if (*s != '\0' && strchr("=+-@\t\r", *s) != NULL)
        putchar('\'');
    for (; *s != '\0'; s++) {
        if (*s == '"')
            putchar('"');
        putchar(*s);
    }
    putchar('"');
}

/* Tags stay JSON: names and values may hold any separator. */
static void put_csv(const json_t *v)
{
    if (json_is_integer(v)) {
        printf("%" JSON_INTEGER_FORMAT, json_integer_value(v));
    } else if (json_object_size(v) > 0) {
        char *text = json_dumps(v, JSON_COMPACT);
        put_csv_text(text != NULL ? text : "");
        free(text);
    } else {
        put_csv_text(json_is_string(v) ? json_string_value(v) : "");
    }
}

static void put_csv_row(struct soft *f, const json_t *row)
{
    for (size_t i = 0; !f->head && i < N_COLUMNS; i++)
        printf("%s%s", columns[i], i + 1 < N_COLUMNS ? "," : "\r\n");
    f->head = true;
    for (size_t i = 0; i < N_COLUMNS; i++) {
        put_csv(json_object_get(row, columns[i]));
        fputs(i + 1 < N_COLUMNS ? "," : "\r\n", stdout);
    }
}

/* SES's own say where the mail came from, which no resend needs: they are left to the other
 * formats. */
static void put_tags(struct sup_cli *cli, json_t *tags)
{
    const char *name, *before = "\n  tags ";
    json_t *values, *value;
    size_t i;

    json_object_foreach(tags, name, values)
    {
        json_array_foreach(values, i, value)
        {
            if (strncmp(name, "ses:", 4) == 0)
                continue;
            fputs(before, stdout);
            before = ", ";
            sup_cli_put(cli, SUP_PLAIN, 0, name);
            putchar('=');
            sup_cli_put(cli, SUP_PLAIN, 0, json_string_value(value));
        }
    }
}

static void put_text(struct sup_cli *cli, const json_t *row)
{
    const char *ends = sup_cli_text(row, "lease_ends", NULL);

    sup_cli_put(cli, SUP_BOLD, 0, sup_cli_text(row, "address", "?"));
    printf("  %s\n  ", sup_cli_text(row, "id", "?"));
    sup_cli_put(cli, SUP_PLAIN, 0, sup_cli_text(row, "sub_type", "?"));
    printf(" at %s, %s %s%s\n", sup_cli_text(row, "time", "?"),
           ends != NULL ? "yours until" : "due",
           ends != NULL ? ends : sup_cli_text(row, "due", "?"),
           ends == NULL && json_is_true(json_object_get(row, "claimed")) ? " (claimed)" : "");
    printf("  from ");
    sup_cli_put(cli, SUP_PLAIN, 0, sup_cli_text(row, "source", "?"));
    printf(", message ");
    sup_cli_put(cli, SUP_PLAIN, 0, sup_cli_text(row, "message_id", "?"));
    put_tags(cli, json_object_get(row, "tags"));
    printf("\n  ");
    sup_cli_put(cli, SUP_DIM, 0, sup_cli_text(row, "diagnostic", ""));
    putchar('\n');
}

static void put_rows(struct soft *f, const json_t *answer)
{
    size_t i;
    json_t *row;

    json_array_foreach(json_object_get(answer, "soft"), i, row)
    {
        if (f->csv)
            put_csv_row(f, row);
        else if (f->cli->json)
            sup_cli_put_json(row);
        else
            put_text(f->cli, row);
    }
}

/* Calls and complains. NULL unless there was a good answer. */
static json_t *call(struct soft *f, const struct sup_call *c, int *result)
{
    struct sup_err err = {0};
    json_t *answer = NULL;
    long status = 0;

    *result = SUP_EXIT_OK;
    if (sup_cli_call(f->cli, c, &answer, &status, &err) != SUP_OK)
        *result = sup_cli_error(SUP_EXIT_UNKNOWN, "soft: %s", err.msg);
    else if (status != 200)
        *result = sup_cli_error(sup_cli_status_exit(status), "soft: %s", sup_cli_detail(answer));
    if (*result == SUP_EXIT_OK)
        return answer;
    json_decref(answer);
    return NULL;
}

static json_t *post(struct soft *f, const char *target, json_t *body, int *result)
{
    char *text = json_dumps(body, JSON_COMPACT);
    json_t *answer = NULL;

    json_decref(body);
    if (text == NULL) {
        *result = sup_cli_error(SUP_EXIT_UNKNOWN, "soft: out of memory");
        return NULL;
    }
    const struct sup_call c = {
        .method = "POST", .target = target, .body = text, .body_n = strlen(text)};
    answer = call(f, &c, result);
    free(text);
    return answer;
}

static int list(struct soft *f, bool due)
{
    struct sup_buf target;
    char after[128] = "";
    int result;

    sup_buf_init(&target, 1024);
    do {
        sup_buf_reset(&target);
        sup_buf_addf(&target, "/v1/soft?limit=%d%s%s%s", PAGE, due ? "&due=true" : "",
                     *after != '\0' ? "&after=" : "", after);
        const struct sup_call c = {.method = "GET", .target = sup_buf_str(&target)};
        json_t *answer = call(f, &c, &result);
        put_rows(f, answer);
        snprintf(after, sizeof(after), "%s", sup_cli_text(answer, "next", ""));
        json_decref(answer);
    } while (*after != '\0');
    sup_buf_fini(&target);
    return result;
}

static int claim(struct soft *f, const char *count, const char *lease)
{
    int result;
    json_t *answer =
        post(f, "/v1/soft/claim",
             json_pack("{s:I, s:s}", "count", (json_int_t)strtoll(count, NULL, 10), "lease", lease),
             &result);

    put_rows(f, answer);
    json_decref(answer);
    return result;
}

static int acknowledge(struct soft *f, char **ids, int n)
{
    json_t *list_of_ids = json_array(), *one;
    int result;
    size_t i;

    for (int k = 0; k < n; k++) {
        json_t *id = json_string(ids[k]);
        json_array_append_new(list_of_ids, id != NULL ? id : json_null());
    }
    json_t *answer = post(f, "/v1/soft/ack", json_pack("{s:o}", "ids", list_of_ids), &result);
    json_array_foreach(json_object_get(answer, "results"), i, one)
    {
        bool done = strcmp(sup_cli_text(one, "result", ""), "acknowledged") == 0;
        if (!done)
            result = SUP_EXIT_NO;
        if (f->cli->json)
            sup_cli_put_json(one);
        else
            printf("%s  %s\n", sup_cli_text(one, "result", "?"), sup_cli_text(one, "id", "?"));
    }
    json_decref(answer);
    return result;
}

int sup_cmd_soft(struct sup_cli *cli, int argc, char **argv)
{
    const char *count = NULL, *lease = "10m", *format = NULL;
    bool due = false, ack = false;
    const struct sup_cli_option options[] = {{"due", NULL, &due},
                                             {"claim", &count, NULL},
                                             {"lease", &lease, NULL},
                                             {"ack", NULL, &ack},
                                             {"format", &format, NULL}};
    struct soft f = {.cli = cli};
    int at = sup_cli_options(cli, argc, argv, options, 5);

    if (at < 0)
        return sup_cli_exit(at);
    f.csv = format != NULL && strcmp(format, "csv") == 0;
    cli->json |= format != NULL && strcmp(format, "json") == 0;
    if (format != NULL && !f.csv && strcmp(format, "json") != 0)
        return sup_cli_usage_error(cli, "--format: use csv or json");
    if (ack != (at < argc))
        return sup_cli_usage_error(cli, ack ? "--ack: give ids" : "ids go with --ack");
    if (ack + (count != NULL) + due > 1)
        return sup_cli_usage_error(cli, "use one of --due, --claim and --ack");
    if (count != NULL && (strspn(count, "0123456789") != strlen(count) || strlen(count) > 6))
        return sup_cli_usage_error(cli, "--claim: use a number");
    if (ack)
        return acknowledge(&f, argv + at, argc - at);
    return count != NULL ? claim(&f, count, lease) : list(&f, due);
}
