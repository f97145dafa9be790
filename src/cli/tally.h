#ifndef SUP_CLI_TALLY_H
#define SUP_CLI_TALLY_H

#include "cli/cli.h"

#include <stdint.h>

/* What a backfill has come to: progress while it runs, a table in the end. One thread. */
struct sup_tally;

struct sup_tally *sup_tally_new(struct sup_cli *cli); /* NULL when out of memory */
void sup_tally_free(struct sup_tally *t);             /* NULL is fine */

/* --- progress, on a terminal only --- */
bool sup_tally_is_shown(const struct sup_tally *t);         /* is there one? */
void sup_tally_expect(struct sup_tally *t, uint64_t bytes); /* an object; 0 = unknown size */
void sup_tally_object(struct sup_tally *t, uint64_t bytes, bool done_before);
void sup_tally_progress(struct sup_tally *t, uint64_t read); /* of the present object */
void sup_tally_object_done(struct sup_tally *t);

/* --- results --- */
/* The agent's answer to a batch; offsets are its documents' in the object. */
void sup_tally_add(struct sup_tally *t, const char *object, const json_t *answer,
                   const uint64_t *offsets, size_t n);
/* Something that the agent never saw. Texts are copied. */
void sup_tally_refuse(struct sup_tally *t, const char *object, uint64_t offset, const char *why);
uint64_t sup_tally_refused(const struct sup_tally *t);
void sup_tally_print(struct sup_tally *t);

#endif
