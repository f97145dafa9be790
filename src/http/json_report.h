#ifndef SUP_HTTP_JSON_REPORT_H
#define SUP_HTTP_JSON_REPORT_H

#include "http/request.h"
#include "service/reconcile.h"

/* Reports of reconciliations as JSON; keys that scripts rely on stand here and nowhere else. */

/* Differences that a report's answer lists. A plan has all of them. */
#define SUP_JSON_DIFFERENCES_MAX 100000

/* Answers with the report of that id, the first differences included, or with a problem. */
void sup_json_report_answer(struct sup_httpd_req *req, const char *id);
/* Answers with the plan of that dry run as the lines of a plan file (proto/README.md). */
void sup_json_plan_answer(struct sup_httpd_req *req, const char *id);
/* The checksum in the last of these lines. Errors of sup_service_plan. */
int sup_json_plan_sum(const struct sup_httpd_req *req, const char *id, uint64_t *sum,
                      struct sup_err *err);
/* The report without its differences. */
json_t *sup_json_report_head(const struct sup_report *r);
/* What an audit of coverage found, in a report: null if none had yet. */
json_t *sup_json_coverage(const struct sup_coverage_brief *b);
/* Bits of enum sup_reason as a list of names. */
json_t *sup_json_reasons(unsigned reasons);
json_t *sup_json_fuse(const struct sup_fuse *f);

#endif
