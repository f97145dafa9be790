/* One page, readable on paper and on a phone; nothing is loaded from elsewhere. */
#include "cli/coverage.h"
#include "cli/report.h"

#include <string.h>

#define PLOT_RUNS 100
#define PLOT_W    640
#define PLOT_H    120

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<style>\n"
    "body{font:16px/1.45 system-ui,sans-serif;max-width:60rem;margin:1rem auto;padding:0 1rem;"
    "color:#111;background:#fff}\n"
    "table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.25rem "
    ".5rem;border-bottom:1px solid #ddd;vertical-align:top;overflow-wrap:anywhere}\n"
    ".yes{color:#06702c}.no{color:#a30000}.unknown{color:#7a4b00}.scroll{overflow-x:auto}\n"
    "svg{width:100%;height:auto}@media "
    "print{body{font-size:10pt;max-width:none}.scroll{overflow:visible}"
    "a{color:inherit}tr{break-inside:avoid}}\n</style>\n<title>";

void sup_html_put(const char *s)
{
    for (; *s != '\0'; s++) {
        switch (*s) {
        case '<':
            fputs("&lt;", stdout);
            break;
        case '>':
            fputs("&gt;", stdout);
            break;
        case '&':
            fputs("&amp;", stdout);
            break;
        case '"':
            fputs("&quot;", stdout);
            break;
        default:
            putchar(*s);
        }
    }
}

void sup_html_begin(const char *title)
{
    fputs(head, stdout);
    sup_html_put(title);
    fputs("</title></head><body>\n", stdout);
}

void sup_html_end(void)
{
    fputs("</body></html>\n", stdout);
}

void sup_html_row(const char *name, const char *value)
{
    fputs("<tr><th scope=\"row\">", stdout);
    sup_html_put(name);
    fputs("</th><td>", stdout);
    sup_html_put(value);
    fputs("</td></tr>\n", stdout);
}

static void put_numbers(const json_t *r, const char *group)
{
    const char *key;
    json_t *v;
    char text[32];
    json_object_foreach(json_object_get(r, group), key, v)
    {
        snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, json_integer_value(v));
        sup_html_row(key, text);
    }
}

/* What a run found that should not be. */
static json_int_t drift(const json_t *run)
{
    static const char *const keys[] = {"missing", "removed", "extra", "reason_differs"};
    const json_t *counts = json_object_get(run, "counts");
    json_int_t sum = 0;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        sum += json_integer_value(json_object_get(counts, keys[i]));
    return sum;
}

void sup_html_plot(const json_t *history)
{
    size_t n = json_array_size(history);
    json_int_t top = 1;
    if (n > PLOT_RUNS)
        n = PLOT_RUNS;
    if (n < 2)
        return;
    for (size_t i = 0; i < n; i++) {
        json_int_t d = drift(json_array_get(history, i));
        top = d > top ? d : top;
    }
    printf("<h2>Drift over the last %zu runs</h2>\n<svg viewBox=\"0 0 %d %d\" role=\"img\" "
           "aria-label=\"differences found per run, at most %" JSON_INTEGER_FORMAT
           "\"><rect width=\"%d\" height=\"%d\" fill=\"#f4f4f4\"/>\n<polyline fill=\"none\" "
           "stroke=\"#1a5fb4\" stroke-width=\"2\" points=\"",
           n, PLOT_W, PLOT_H + 20, top, PLOT_W, PLOT_H);
    for (size_t i = 0; i < n; i++) {
        double share = (double)drift(json_array_get(history, n - 1 - i)) / (double)top;
        printf("%.1f,%.1f ", (double)i * PLOT_W / (double)(n - 1), (PLOT_H - 4) * (1 - share) + 2);
    }
    printf("\"/>\n<text x=\"2\" y=\"%d\" font-size=\"12\">", PLOT_H + 15);
    sup_html_put(sup_cli_text(json_array_get(history, n - 1), "started", ""));
    printf("</text><text x=\"%d\" y=\"%d\" font-size=\"12\" text-anchor=\"end\">", PLOT_W - 2,
           PLOT_H + 15);
    sup_html_put(sup_cli_text(json_array_get(history, 0), "started", ""));
    printf("</text><text x=\"2\" y=\"14\" font-size=\"12\">%" JSON_INTEGER_FORMAT "</text></svg>\n",
           top);
}

static void put_differences(const json_t *r)
{
    static const char *const columns[] = {"address", "spelling", "kind",   "cause",
                                          "action",  "result",   "source", "error"};
    const size_t n = sizeof(columns) / sizeof(columns[0]);
    size_t i;
    json_t *d;

    fputs("<h2>Differences</h2>\n<div class=\"scroll\"><table><thead><tr>", stdout);
    for (size_t c = 0; c < n; c++)
        printf("<th scope=\"col\">%s</th>", columns[c]);
    fputs("</tr></thead><tbody>\n", stdout);
    json_array_foreach(json_object_get(r, "differences"), i, d)
    {
        fputs("<tr>", stdout);
        for (size_t c = 0; c < n; c++) {
            fputs("<td>", stdout);
            sup_html_put(sup_cli_text(d, columns[c], ""));
            fputs("</td>", stdout);
        }
        fputs("</tr>\n", stdout);
    }
    fputs("</tbody></table></div>\n", stdout);
}

static void put_budget(const json_t *r)
{
    const json_t *budget = json_object_get(r, "budget");
    const json_t *a_day = json_object_get(budget, "calls_per_day");
    char text[80];

    if (!json_is_integer(a_day))
        return;
    snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT " calls of SES a day%s",
             json_integer_value(a_day),
             json_is_true(json_object_get(budget, "used_up")) ? ", used up until 00:00 UTC" : "");
    sup_html_row("budget", text);
}

void sup_report_put_html(const json_t *r, const json_t *history)
{
    bool converged = json_is_true(json_object_get(r, "converged"));

    sup_html_begin("supsync report");
    fputs("<h1>SES suppression list, ", stdout);
    sup_html_put(sup_cli_text(r, "region", "?"));
    printf("</h1>\n<p class=\"%s\"><strong>converged: %s</strong></p>\n<table>\n",
           converged ? "yes" : "no", converged ? "yes" : "no");
    sup_html_row("report", sup_cli_text(r, "id", ""));
    sup_html_row("mode", sup_cli_text(r, "mode", ""));
    sup_html_row("started", sup_cli_text(r, "started", ""));
    sup_html_row("finished", sup_cli_text(r, "finished", ""));
    sup_html_row("next run", sup_cli_text(r, "next_run", ""));
    sup_html_row("fuse", sup_cli_text(r, "fuse", ""));
    put_budget(r);
    if (sup_cli_text(r, "error", NULL) != NULL)
        sup_html_row("error", sup_cli_text(r, "error", ""));
    fputs("</table>\n<h2>Counts</h2>\n<table>\n", stdout);
    put_numbers(r, "counts");
    fputs("</table>\n<h2>API calls</h2>\n<table>\n", stdout);
    put_numbers(r, "api_calls");
    fputs("</table>\n", stdout);
    sup_coverage_put_html(json_object_get(r, "coverage"));
    sup_html_plot(history);
    if (json_array_size(json_object_get(r, "differences")) > 0)
        put_differences(r);
    sup_html_end();
}
