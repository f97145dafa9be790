#ifndef SUP_MODEL_HLC_H
#define SUP_MODEL_HLC_H

#include <stdbool.h>
#include <stdint.h>

/* Hybrid logical clock: 48 bits of milliseconds, 16 bits of counter, compared as one number.
 * (Kulkarni et al., "Logical Physical Clocks", 2014.) The counter overflows into the milliseconds.
 *
 * Pure: wall time comes in as a value, read once per batch. Not thread-safe: the writer owns it. */

typedef uint64_t sup_hlc_time;

#define SUP_HLC_COUNTER_BITS 16
#define SUP_HLC_MAX          UINT64_MAX

/* A stamp for a wall time, counter 0. Negative times give 0, times past 48 bits the largest. */
sup_hlc_time sup_hlc_from_ms(int64_t wall_ms);
int64_t sup_hlc_ms(sup_hlc_time t);

struct sup_hlc {
    sup_hlc_time last;     /* the largest time issued or merged */
    sup_hlc_time reserved; /* persisted: every issued time is below it */
};

/* After a restart: reserved is what the store holds (0 for a new store). Nothing that was issued
 * before can be issued again. */
void sup_hlc_init(struct sup_hlc *h, sup_hlc_time reserved);

/* Must the reservation be renewed? If so *reserve is the value to persist in the very batch that
 * uses the times; once that is durable, call sup_hlc_reserved. To be asked at the end of a batch,
 * behind its merges and issues (a merge may have moved the clock by the whole drift limit), so that
 * no time leaves this node before a bound above it is durable. */
bool sup_hlc_needs_reserve(const struct sup_hlc *h, int64_t wall_ms, sup_hlc_time *reserve);
void sup_hlc_reserved(struct sup_hlc *h, sup_hlc_time reserve);

/* Issues a time larger than any issued or merged before. */
sup_hlc_time sup_hlc_now(struct sup_hlc *h, int64_t wall_ms);

/* A time that came from outside (a peer). Within max_drift_ms ahead of wall_ms it moves the clock
 * and true is returned; further ahead the clock stays and false is returned: quarantine it. */
bool sup_hlc_merge(struct sup_hlc *h, sup_hlc_time remote, int64_t wall_ms, int64_t max_drift_ms);

#endif
