#include "cli/coverage.h"
#include "cli/report.h"

#include <inttypes.h>
#include <string.h>

/* Differences shown before "and so many more". */
#define SHOWN 50
#define LABEL 12

static json_int_t number(const json_t *report, const char *group, const char *key)
{
    return json_integer_value(json_object_get(json_object_get(report, group), key));
}

static void put_label(struct sup_cli *cli, const char *label)
{
    sup_cli_put(cli, SUP_DIM, LABEL, label);
}

static void put_numbers(const json_t *report, const char *group, bool all)
{
    const char *key;
    json_t *v;
    const char *between = "";
    json_object_foreach(json_object_get(report, group), key, v)
    {
        if (!all && json_integer_value(v) == 0)
            continue;
        printf("%s%" JSON_INTEGER_FORMAT " ", between, json_integer_value(v));
        for (const char *p = key; *p != '\0'; p++)
            putchar(*p == '_' ? ' ' : *p);
        between = ", ";
    }
    puts(*between == '\0' ? "none" : "");
}

static void put_budget(struct sup_cli *cli, const json_t *r)
{
    const json_t *budget = json_object_get(r, "budget");
    bool used_up = json_is_true(json_object_get(budget, "used_up"));

    if (!json_is_integer(json_object_get(budget, "calls_per_day")))
        return;
    put_label(cli, "budget");
    printf("%" JSON_INTEGER_FORMAT " calls of SES a day%s", number(r, "budget", "calls_per_day"),
           used_up ? ", " : "\n");
    if (used_up) {
        sup_cli_put(cli, SUP_YELLOW, 0, "used up: the rest waits until 00:00 UTC");
        putchar('\n');
    }
}

static void put_difference(struct sup_cli *cli, const json_t *d)
{
    const char *result = sup_cli_text(d, "result", "");
    bool bad = strcmp(result, "failed") == 0 || strcmp(result, "withheld") == 0;
    printf("  ");
    sup_cli_put(cli, SUP_PLAIN, 40, sup_cli_text(d, "address", "?"));
    putchar(' ');
    sup_cli_put(cli, SUP_PLAIN, 10, sup_cli_text(d, "kind", ""));
    putchar(' ');
    sup_cli_put(cli, SUP_DIM, 19, sup_cli_text(d, "cause", ""));
    putchar(' ');
    sup_cli_put(cli, SUP_PLAIN, 14, sup_cli_text(d, "action", ""));
    putchar(' ');
    sup_cli_put(cli, bad ? SUP_RED : SUP_PLAIN, 0, result);
    const char *source = sup_cli_text(d, "source", NULL);
    if (source != NULL)
        printf(" (%s)", strcmp(source, "feedback") == 0 ? "SES added it" : "somebody added it");
    const char *error = sup_cli_text(d, "error", NULL);
    if (error != NULL) {
        fputs(": ", stdout);
        sup_cli_put(cli, SUP_DIM, 0, error);
    }
    putchar('\n');
}

void sup_report_put_text(struct sup_cli *cli, const json_t *r)
{
    bool converged = json_is_true(json_object_get(r, "converged"));
    const json_t *list = json_object_get(r, "differences");
    size_t n = json_array_size(list);
    const char *error = sup_cli_text(r, "error", NULL);

    put_label(cli, "report");
    sup_cli_put(cli, SUP_BOLD, 0, sup_cli_text(r, "id", "?"));
    printf("  (Region %s, mode %s)\n", sup_cli_text(r, "region", "?"),
           sup_cli_text(r, "mode", "?"));
    put_label(cli, "converged");
    sup_cli_put(cli, converged ? SUP_GREEN : SUP_YELLOW, 0, converged ? "yes" : "no");
    putchar('\n');
    if (error != NULL) {
        put_label(cli, "error");
        sup_cli_put(cli, SUP_RED, 0, error);
        putchar('\n');
    }
    put_label(cli, "started");
    printf("%s, finished %s\n", sup_cli_text(r, "started", "?"),
           sup_cli_text(r, "finished", "not yet"));
    put_label(cli, "counts");
    put_numbers(r, "counts", false);
    put_label(cli, "API calls");
    put_numbers(r, "api_calls", false);
    put_budget(cli, r);
    if (number(r, "estimate", "calls") > 0) {
        put_label(cli, "plan");
        const json_t *plan = json_object_get(r, "estimate");
        printf("%" JSON_INTEGER_FORMAT " calls, %" JSON_INTEGER_FORMAT
               " import jobs, about %.0f s at the allowed rate, done by %s\n",
               number(r, "estimate", "calls"), number(r, "estimate", "import_jobs"),
               json_number_value(json_object_get(plan, "seconds")),
               sup_cli_text(plan, "finish", "?"));
    }
    put_label(cli, "fuse");
    puts(sup_cli_text(r, "fuse", "?"));
    put_label(cli, "next run");
    puts(sup_cli_text(r, "next_run", "?"));
    sup_coverage_put_text(cli, json_object_get(r, "coverage"), LABEL);
    for (size_t i = 0; i < n && i < SHOWN; i++)
        put_difference(cli, json_array_get(list, i));
    json_int_t found = json_integer_value(json_object_get(r, "differences_found"));
    if (found > SHOWN)
        printf("  and %" JSON_INTEGER_FORMAT " more: see supsync report --format csv\n",
               found - SHOWN);
}

void sup_csv_put(const char *s)
{
    if (strpbrk(s, ",\"\r\n") == NULL) {
        fputs(s, stdout);
        return;
    }
    putchar('"');
    for (; *s != '\0'; s++) {
        if (*s == '"')
            putchar('"');
        putchar(*s);
    }
    putchar('"');
}

/* Rows of the same columns, so that one table holds all: kind is the group, cause the name. */
static void put_csv_numbers(const json_t *report, const char *group)
{
    const char *key;
    json_t *v;

    json_object_foreach(json_object_get(report, group), key, v)
    {
        printf(",,%s,%s,,,,,,,%" JSON_INTEGER_FORMAT "\r\n", group, key, json_integer_value(v));
    }
}

void sup_report_put_csv(const json_t *report)
{
    static const char *const columns[] = {"address", "spelling", "kind", "cause", "action",
                                          "result",  "reason",   "time", "error", "source"};
    const size_t n = sizeof(columns) / sizeof(columns[0]);
    size_t i;
    json_t *d;

    for (size_t c = 0; c < n; c++)
        printf("%s,", columns[c]);
    fputs("count\r\n", stdout);
    json_array_foreach(json_object_get(report, "differences"), i, d)
    {
        for (size_t c = 0; c < n; c++) {
            sup_csv_put(sup_cli_text(d, columns[c], ""));
            putchar(',');
        }
        fputs("\r\n", stdout);
    }
    sup_coverage_put_csv(json_object_get(report, "coverage"));
    put_csv_numbers(report, "counts");
    put_csv_numbers(report, "api_calls");
}
