#ifndef SUP_CLI_COVERAGE_H
#define SUP_CLI_COVERAGE_H

#include "cli/cli.h"

/* What an audit of coverage found, for people. coverage: the object of /v1/coverage or of a report;
 * may be NULL or null. */

/* The state, the account, every gap, what is not known and what is worth knowing; lines of "label
 * text". */
void sup_coverage_put_text(struct sup_cli *cli, const json_t *coverage, int label_width);
/* Rows behind those of the differences: kind "coverage", the text in the column "error". */
void sup_coverage_put_csv(const json_t *coverage);
void sup_coverage_put_html(const json_t *coverage);

/* The state in a word, with how many gaps: "gaps (3)"; "" when nothing is known. out holds 48. */
const char *sup_coverage_word(const json_t *coverage, char out[48]);

/* For texts of coverage in order: gaps, unknown, notes, and what was done to the account. fn may be
 * given label and text. */
void sup_coverage_each(const json_t *coverage,
                       void (*fn)(void *arg, const char *label, const char *text), void *arg);

#endif
