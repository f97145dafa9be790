#ifndef SUP_CORE_REPAIR_WHEN_H
#define SUP_CORE_REPAIR_WHEN_H

#include "base/random.h"

#include <stdbool.h>
#include <stdint.h>

/* When to repair from a peer. Roots come with each heartbeat; they differ for good reasons too,
 * while mutations are on their way. Pure: times are milliseconds on the monotonic clock. */

/* Between two repairs with one peer. */
#define SUP_REPAIR_EVERY_MIN_MS 10000
#define SUP_REPAIR_EVERY_MAX_MS 30000
/* Repairs that brought nothing are put off, up to so many doublings: what differs is on its way to
 * the other side, or waits in somebody's quarantine. */
#define SUP_REPAIR_DOUBLINGS 5
/* Roots that differ for so long are looked into even if the two nodes were never level. */
#define SUP_REPAIR_UNLEVEL_MS 60000
/* Of two nodes one goes first; when it is done there may be nothing left for the other. */
#define SUP_REPAIR_SECOND_MS 3000

struct sup_repair_when {
    int64_t next_ms;
    int64_t differ_since_ms; /* negative: they do not */
    uint64_t heard;
    unsigned level_differed; /* roots in a row that differed while both had the same mutations */
    unsigned fruitless;
    bool second;
};

/* At the beginning of a session. */
void sup_repair_when_begin(struct sup_repair_when *w, int64_t now_ms, bool second);
/* The state of things: how many roots the peer has sent, whether the last one is ours, and whether
 * each has all mutations that the other has. True: repair now, then say _done. */
bool sup_repair_when_due(struct sup_repair_when *w, int64_t now_ms, uint64_t heard, bool equal,
                         bool level);
enum sup_repair_outcome { SUP_REPAIR_NEWS, SUP_REPAIR_NO_NEWS, SUP_REPAIR_REFUSED };
void sup_repair_when_done(struct sup_repair_when *w, int64_t now_ms, enum sup_repair_outcome o,
                          struct sup_rng *rng);

#endif
