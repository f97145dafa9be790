#ifndef SUP_CLI_REPORT_H
#define SUP_CLI_REPORT_H

#include "cli/cli.h"

/* A reconciliation's report, as the API gives it, for people. */

void sup_report_put_text(struct sup_cli *cli, const json_t *report);
/* RFC 4180; the first line names the columns. */
void sup_report_put_csv(const json_t *report);
/* One page without anything from elsewhere. history (may be NULL) is the list of reports, newest
 * first, for the plot. */
void sup_report_put_html(const json_t *report, const json_t *history);

/* The same of all Regions, as GET /v1/regions gives them. history is that of the node asked. */
void sup_regions_put_text(struct sup_cli *cli, const json_t *regions);
void sup_regions_put_csv(const json_t *regions);
void sup_regions_put_html(const json_t *regions, const json_t *history);

/* --- pieces of pages and tables, for report_*.c --- */

void sup_csv_put(const char *s);        /* one field, quoted if it must be */
void sup_html_put(const char *s);       /* escaped */
void sup_html_begin(const char *title); /* up to <body>; title is escaped */
void sup_html_end(void);
/* A row of a table of two columns. */
void sup_html_row(const char *name, const char *value);
/* Differences found by the last runs, oldest at the left; nothing for fewer than two. */
void sup_html_plot(const json_t *history);

#endif
