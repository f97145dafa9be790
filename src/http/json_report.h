#ifndef SUP_HTTP_JSON_REPORT_H
#define SUP_HTTP_JSON_REPORT_H

#include "http/request.h"
#include "service/reconcile.h"

/* Reports of reconciliations as JSON; keys that scripts rely on stand here and nowhere else. */

/* Answers with the report of that id, differences included, or with a problem. */
void sup_json_report_answer(struct sup_httpd_req *req, const char *id);
/* The plan of a dry run as the lines of a plan file (proto/README.md); *sum is the checksum in the
 * last one. Errors of sup_service_plan; out->failed if it is too large. */
int sup_json_plan(struct sup_service *s, const char *id, struct sup_buf *out, uint64_t *sum,
                  struct sup_err *err);
/* The report without its differences. */
json_t *sup_json_report_head(const struct sup_report *r);
json_t *sup_json_fuse(const struct sup_fuse *f);

#endif
