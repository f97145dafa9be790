/* All Regions of the mesh on one page. */
#include "cli/coverage.h"
#include "cli/report.h"

#include <stdint.h>
#include <string.h>

static json_int_t member(const json_t *o, const char *key)
{
    return json_integer_value(json_object_get(o, key));
}

static json_int_t count(const json_t *region, const char *key)
{
    return member(json_object_get(json_object_get(region, "last_run"), "counts"), key);
}

static bool is(const json_t *region, const char *state)
{
    return strcmp(sup_cli_text(region, "state", ""), state) == 0;
}

static const char *last_scan(const json_t *region)
{
    return sup_cli_text(json_object_get(region, "last_run"), "finished", NULL);
}

static const json_t *coverage(const json_t *region)
{
    return json_object_get(json_object_get(region, "last_run"), "coverage");
}

/* "?" where none is known. */
static const char *coverage_word(const json_t *region, char out[48])
{
    return sup_coverage_word(coverage(region), out)[0] ? out : "?";
}

/* --- text --- */

static void put_text(void *arg, const char *label, const char *text)
{
    struct sup_cli *cli = arg;

    /* Gaps and notes are among the problems, too, but those of a Region are few and cut. */
    if (strcmp(label, "note") == 0)
        return;
    fputs("  ", stdout);
    sup_cli_put(cli, SUP_DIM, 10, label);
    sup_cli_put(cli, SUP_PLAIN, 0, text);
    putchar('\n');
}

static void put_region(struct sup_cli *cli, const json_t *r)
{
    bool unknown = is(r, "unknown");
    const char *scan = last_scan(r);
    char word[48];
    size_t i;
    json_t *p;

    sup_cli_put(cli, SUP_BOLD, 18, sup_cli_text(r, "region", "?"));
    putchar(' ');
    sup_cli_put(cli, SUP_PLAIN, 18, sup_cli_text(r, "node", "?"));
    putchar(' ');
    sup_cli_put(cli,
                unknown              ? SUP_YELLOW
                : is(r, "converged") ? SUP_GREEN
                                     : SUP_RED,
                13, sup_cli_text(r, "state", "?"));
    printf(" %-24s", scan ? scan : "never");
    if (json_is_object(json_object_get(r, "outbox")))
        printf(" %8" JSON_INTEGER_FORMAT " %8" JSON_INTEGER_FORMAT,
               member(json_object_get(r, "outbox"), "pending"),
               member(json_object_get(r, "outbox"), "failing"));
    else
        printf(" %8s %8s", "?", "?");
    printf(" %9" JSON_INTEGER_FORMAT "  %s\n", count(r, "scanned"), coverage_word(r, word));
    if (unknown) {
        fputs("  ", stdout);
        sup_cli_put(cli, SUP_DIM, 0, sup_cli_text(r, "error", "no answer"));
        printf("; last heard %s\n", sup_cli_text(r, "heard", "never"));
        return;
    }
    json_array_foreach(json_object_get(r, "problems"), i, p)
    {
        fputs("  ", stdout);
        sup_cli_put(cli, SUP_DIM, 0, json_string_value(p) ? json_string_value(p) : "");
        putchar('\n');
    }
    sup_coverage_each(coverage(r), put_text, cli);
}

void sup_regions_put_text(struct sup_cli *cli, const json_t *mesh)
{
    bool converged = json_is_true(json_object_get(mesh, "converged"));
    const json_t *list = json_object_get(mesh, "regions");
    size_t i;
    json_t *r;

    sup_cli_put(cli, SUP_DIM, 14, "converged");
    sup_cli_put(cli, converged ? SUP_GREEN : SUP_YELLOW, 0, converged ? "yes" : "no");
    printf("  (%zu Regions, %" JSON_INTEGER_FORMAT " unknown; asked by %s, %s)\n",
           json_array_size(list), member(mesh, "unknown"), sup_cli_text(mesh, "node", "?"),
           sup_cli_text(mesh, "asked", "?"));
    sup_cli_put(cli, SUP_DIM, 14, "oldest scan");
    puts(sup_cli_text(mesh, "oldest_scan", "a Region has none yet, or never told"));
    sup_cli_put(cli, SUP_DIM, 14, "pending");
    printf("%" JSON_INTEGER_FORMAT " entries\n\n", member(mesh, "pending"));
    printf("%-18s %-18s %-13s %-24s %8s %8s %9s  %s\n", "REGION", "NODE", "STATE", "LAST SCAN",
           "PENDING", "FAILING", "LISTED", "COVERAGE");
    json_array_foreach(list, i, r)
    {
        put_region(cli, r);
    }
}

/* --- CSV --- */

static void put_number(const json_t *o, const char *key)
{
    if (json_is_object(o))
        printf(",%" JSON_INTEGER_FORMAT, member(o, key));
    else
        putchar(',');
}

void sup_regions_put_csv(const json_t *mesh)
{
    static const char *const texts[] = {"region", "node", "state", "mode", "heard"};
    static const char *const counts[] = {"scanned", "suppressed", "matched", "missing",
                                         "removed", "extra",      "failed"};
    char word[48];
    size_t i;
    json_t *r;

    fputs("region,node,state,mode,heard,last_scan,pending,failing", stdout);
    for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++)
        printf(",%s", counts[c]);
    fputs(",error,coverage\r\n", stdout);
    json_array_foreach(json_object_get(mesh, "regions"), i, r)
    {
        for (size_t c = 0; c < sizeof(texts) / sizeof(texts[0]); c++) {
            sup_csv_put(sup_cli_text(r, texts[c], ""));
            putchar(',');
        }
        sup_csv_put(last_scan(r) ? last_scan(r) : "");
        put_number(json_object_get(r, "outbox"), "pending");
        put_number(json_object_get(r, "outbox"), "failing");
        for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++)
            put_number(json_object_get(json_object_get(r, "last_run"), "counts"), counts[c]);
        putchar(',');
        sup_csv_put(sup_cli_text(r, "error", ""));
        putchar(',');
        sup_csv_put(coverage_word(r, word));
        fputs("\r\n", stdout);
    }
}

/* --- HTML --- */

static void cell(const char *s)
{
    fputs("<td>", stdout);
    sup_html_put(s);
    fputs("</td>", stdout);
}

static void number_cell(const json_t *o, const char *key)
{
    if (json_is_object(o))
        printf("<td>%" JSON_INTEGER_FORMAT "</td>", member(o, key));
    else
        cell("?");
}

static void region_row(const json_t *r)
{
    static const char *const counts[] = {"scanned", "missing", "removed", "extra",
                                         "reason_differs"};
    const json_t *outbox = json_object_get(r, "outbox");
    const json_t *found = json_object_get(json_object_get(r, "last_run"), "counts");
    const char *scan = last_scan(r);
    char word[48];

    fputs("<tr><th scope=\"row\">", stdout);
    sup_html_put(sup_cli_text(r, "region", "?"));
    fputs("</th>", stdout);
    cell(sup_cli_text(r, "node", "?"));
    printf("<td class=\"%s\"><strong>", is(r, "unknown")     ? "unknown"
                                        : is(r, "converged") ? "yes"
                                                             : "no");
    sup_html_put(sup_cli_text(r, "state", "?"));
    fputs("</strong></td>", stdout);
    cell(scan ? scan : "never");
    number_cell(outbox, "pending");
    number_cell(outbox, "failing");
    for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++)
        number_cell(found, counts[c]);
    cell(coverage_word(r, word));
    cell(sup_cli_text(r, "mode", "?"));
    fputs("</tr>\n", stdout);
}

static void put_item(const json_t *r, const char *text)
{
    fputs("<li>", stdout);
    sup_html_put(sup_cli_text(r, "node", "?"));
    fputs(": ", stdout);
    sup_html_put(text);
    fputs("</li>\n", stdout);
}

static void put_coverage_item(void *arg, const char *label, const char *text)
{
    char line[640];

    if (strcmp(label, "note") == 0)
        return;
    snprintf(line, sizeof(line), "%s: %s", label, text);
    put_item(arg, line);
}

/* Of a Region that is unknown: why, and since when; of the others what they complain about. */
static void put_notes(const json_t *list)
{
    char text[512];
    size_t i, k;
    json_t *r, *p;

    fputs("<h2>Notes</h2>\n<ul>\n", stdout);
    json_array_foreach(list, i, r)
    {
        if (is(r, "unknown")) {
            snprintf(text, sizeof(text), "%s; last heard %s", sup_cli_text(r, "error", "no answer"),
                     sup_cli_text(r, "heard", "never"));
            put_item(r, text);
            continue;
        }
        json_array_foreach(json_object_get(r, "problems"), k, p)
        {
            put_item(r, json_string_value(p) ? json_string_value(p) : "");
        }
        sup_coverage_each(coverage(r), put_coverage_item, (void *)(uintptr_t)r);
    }
    fputs("<li>An unknown Region's figures are those that it last told.</li>\n</ul>\n", stdout);
}

void sup_regions_put_html(const json_t *mesh, const json_t *history)
{
    static const char *const columns[] = {"Region",  "node",     "state",   "last scan", "pending",
                                          "failing", "listed",   "missing", "removed",   "extra",
                                          "reasons", "coverage", "mode"};
    bool converged = json_is_true(json_object_get(mesh, "converged"));
    const json_t *list = json_object_get(mesh, "regions");
    char number[32];
    size_t i;
    json_t *r;

    sup_html_begin("supsync: all Regions");
    printf("<h1>SES suppression lists, all Regions</h1>\n<p class=\"%s\"><strong>converged: "
           "%s</strong></p>\n<table>\n",
           converged ? "yes" : "no", converged ? "yes" : "no");
    sup_html_row("asked", sup_cli_text(mesh, "asked", ""));
    sup_html_row("by", sup_cli_text(mesh, "node", ""));
    sup_html_row("oldest scan",
                 sup_cli_text(mesh, "oldest_scan", "a Region has none yet, or never told"));
    snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, member(mesh, "pending"));
    sup_html_row("entries pending", number);
    snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, member(mesh, "unknown"));
    sup_html_row("Regions unknown", number);
    fputs("</table>\n<h2>Regions</h2>\n<div class=\"scroll\"><table><thead><tr>", stdout);
    for (size_t c = 0; c < sizeof(columns) / sizeof(columns[0]); c++)
        printf("<th scope=\"col\">%s</th>", columns[c]);
    fputs("</tr></thead><tbody>\n", stdout);
    json_array_foreach(list, i, r)
    {
        region_row(r);
    }
    fputs("</tbody></table></div>\n", stdout);
    put_notes(list);
    sup_html_plot(history);
    sup_html_end();
}
