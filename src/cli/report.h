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

#endif
