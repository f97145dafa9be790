#include "cli/coverage.h"

#include "cli/report.h"

#include <string.h>

static const struct {
    const char *key, *label;
    enum sup_colour colour;
} kinds[] = {{"gaps", "gap", SUP_RED},
             {"unknown", "not known", SUP_YELLOW},
             {"notes", "note", SUP_YELLOW},
             {NULL, "managed", SUP_GREEN}};

const char *sup_coverage_word(const json_t *coverage, char out[48])
{
    const char *state = sup_cli_text(coverage, "state", "");
    json_int_t gaps =
        json_integer_value(json_object_get(json_object_get(coverage, "counts"), "gaps"));

    if (strcmp(state, "unknown") == 0)
        state = "not known";
    if (gaps > 0)
        snprintf(out, 48, "%.16s (%" JSON_INTEGER_FORMAT ")", state, gaps);
    else
        snprintf(out, 48, "%.16s", state);
    return out;
}

static void each_managed(const json_t *managed,
                         void (*fn)(void *arg, const char *label, const char *text), void *arg)
{
    const char *text = sup_cli_text(managed, "text", NULL);
    char line[512];

    if (text == NULL)
        return;
    snprintf(line, sizeof(line), "%s: %s", sup_cli_text(managed, "state", "?"), text);
    fn(arg, "managed", line);
}

void sup_coverage_each(const json_t *coverage,
                       void (*fn)(void *arg, const char *label, const char *text), void *arg)
{
    for (size_t k = 0; kinds[k].key != NULL; k++) {
        const json_t *list = json_object_get(coverage, kinds[k].key);
        json_int_t all =
            json_integer_value(json_object_get(json_object_get(coverage, "counts"), kinds[k].key));
        size_t n = json_array_size(list);
        char more[96];
        for (size_t i = 0; i < n; i++) {
            const char *text = json_string_value(json_array_get(list, i));
            fn(arg, kinds[k].label, text ? text : "?");
        }
        if ((size_t)all <= n)
            continue;
        snprintf(more, sizeof(more),
                 "and %" JSON_INTEGER_FORMAT " more: see supsync audit-coverage",
                 all - (json_int_t)n);
        fn(arg, kinds[k].label, more);
    }
    each_managed(json_object_get(coverage, "managed"), fn, arg);
}

/* --- text --- */

struct lines {
    struct sup_cli *cli;
    int width;
    const char *last; /* label of the line before */
};

static void put_line(void *arg, const char *label, const char *text)
{
    struct lines *l = arg;
    enum sup_colour colour = SUP_PLAIN;

    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        if (strcmp(kinds[k].label, label) == 0)
            colour = kinds[k].colour;
    }
    sup_cli_put(l->cli, SUP_DIM, l->width, label == l->last ? "" : label);
    sup_cli_put(l->cli, colour, 0, text);
    putchar('\n');
    l->last = label;
}

void sup_coverage_put_text(struct sup_cli *cli, const json_t *coverage, int label_width)
{
    struct lines l = {cli, label_width, NULL};
    const char *state = sup_cli_text(coverage, "state", "");
    char word[48];

    sup_cli_put(cli, SUP_DIM, label_width, "coverage");
    if (state[0] == '\0') {
        puts("not checked yet");
        return;
    }
    sup_cli_put(cli,
                strcmp(state, "covered") == 0 ? SUP_GREEN
                : strcmp(state, "gaps") == 0  ? SUP_RED
                                              : SUP_YELLOW,
                0, sup_coverage_word(coverage, word));
    printf("  (checked %s)\n", sup_cli_text(coverage, "checked", "?"));
    sup_coverage_each(coverage, put_line, &l);
}

/* --- CSV --- */

static void put_row(void *arg, const char *label, const char *text)
{
    (void)arg;
    /* address, spelling, kind, cause, action, result, reason, time, error, source, count */
    fputs(",,coverage,", stdout);
    sup_csv_put(label);
    fputs(",,,,,", stdout);
    sup_csv_put(text);
    fputs(",,\r\n", stdout);
}

void sup_coverage_put_csv(const json_t *coverage)
{
    sup_coverage_each(coverage, put_row, NULL);
}

/* --- HTML --- */

static void put_html_row(void *arg, const char *label, const char *text)
{
    (void)arg;
    sup_html_row(label, text);
}

void sup_coverage_put_html(const json_t *coverage)
{
    char word[48];

    fputs("<h2>Coverage</h2>\n<table>\n", stdout);
    sup_html_row("state",
                 json_is_object(coverage) ? sup_coverage_word(coverage, word) : "not checked yet");
    if (json_is_object(coverage))
        sup_html_row("checked", sup_cli_text(coverage, "checked", ""));
    sup_coverage_each(coverage, put_html_row, NULL);
    fputs("</table>\n", stdout);
}
