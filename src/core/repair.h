#ifndef SUP_CORE_REPAIR_H
#define SUP_CORE_REPAIR_H

#include "base/err.h"
#include "codec/frame.h"
#include "codec/mesh_repair.h"
#include "core/repair_set.h"

/* Repair between two nodes: what the puller, who looks for what it lacks, and the server say to
 * each other, as two pure machines. Events go in by function calls; _next says what is to be done,
 * by whoever owns the machine: copying a sketch, scanning shards, sending, fetching.
 *
 *   puller                                     server
 *   ASK with strata            ──────────────►  estimates the difference
 *                              ◄──────────────  SYMBOLS, as many as that takes
 *   (not decoded: ASK again)                    (a few per cent more)
 *   FETCH what is only there   ──────────────►
 *                              ◄──────────────  RECORDS: only registers newer than the puller's
 *   FETCH of nothing           ──────────────►  the round is over
 *                              ◄──────────────  RECORDS: quarantine, version vector
 *
 * When the difference is past the prefix that is kept: SUMS of all shards, and then the same by
 * groups of shards that differ, scanned on both sides.
 *
 * Both sides look at a set of one moment. What is written meanwhile shows as a difference at worst,
 * and costs the transfer of a record that then merges to nothing. */

enum sup_repair_action {
    SUP_REPAIR_WAIT,  /* for a message */
    SUP_REPAIR_COPY,  /* give the whole set: _set */
    SUP_REPAIR_SCAN,  /* give the records of _shards: _set */
    SUP_REPAIR_SEND,  /* _message */
    SUP_REPAIR_FETCH, /* puller: _wants, looked up, packed, sent. server: _fetch, answered */
    SUP_REPAIR_OVER   /* puller: ended with _result. server: what it held can go */
};

/* How many symbols decode a difference of d items, mostly. */
uint64_t sup_repair_symbols_for(uint64_t d);

/* --- the puller --- */
struct sup_repair_puller;
struct sup_repair_stats {
    uint64_t rounds; /* ASKs with strata */
    uint64_t asks;   /* ASKs in all */
    uint64_t symbols;
    uint64_t missing; /* records only there */
    uint64_t changed; /* records that differ */
    uint64_t surplus; /* records only here: the peer's own repair brings them over */
    uint64_t shards;  /* that were scanned */
};

/* keys is borrowed. NULL when out of memory. */
struct sup_repair_puller *sup_repair_puller_new(const struct sup_sketch_keys *keys);
void sup_repair_puller_free(struct sup_repair_puller *p);
enum sup_repair_action sup_repair_puller_next(const struct sup_repair_puller *p);
/* Takes the set over, in every case. */
void sup_repair_puller_set(struct sup_repair_puller *p, struct sup_repair_set *set);
/* The shards to scan, as a bit set. */
const uint8_t *sup_repair_puller_shards(const struct sup_repair_puller *p);
/* The message to send; slices live until the next call. Counts as sent. */
void sup_repair_puller_message(struct sup_repair_puller *p, enum sup_frame_type *type,
                               struct sup_repair_msg *msg);

struct sup_repair_wanted {
    uint64_t key; /* the hash by which the record is found, here and there */
    bool changed; /* we have another one */
};
/* The next at most max records to fetch. Counts as asked for. */
size_t sup_repair_puller_wants(struct sup_repair_puller *p, uint32_t *round,
                               const struct sup_repair_wanted **out, size_t max);
/* A message of the server. SUP_OK; others: it breaks the protocol, or the machine failed: it is
 * over. RECORDS are to be applied by the caller; *final: they end the repair. */
int sup_repair_puller_symbols(struct sup_repair_puller *p, const struct sup_repair_msg *msg);
int sup_repair_puller_sums(struct sup_repair_puller *p, const struct sup_repair_msg *msg);
int sup_repair_puller_records(struct sup_repair_puller *p, const struct sup_repair_msg *msg,
                              bool *final);
/* SUP_OK: all that differed was fetched. SUP_EAGAIN: the server is busy. */
int sup_repair_puller_result(const struct sup_repair_puller *p);
const struct sup_repair_stats *sup_repair_puller_stats(const struct sup_repair_puller *p);

/* --- the server, one a session --- */
struct sup_repair_server;
struct sup_repair_server *sup_repair_server_new(const struct sup_sketch_keys *keys);
void sup_repair_server_free(struct sup_repair_server *s);
enum sup_repair_action sup_repair_server_next(const struct sup_repair_server *s);
void sup_repair_server_set(struct sup_repair_server *s, struct sup_repair_set *set);
/* Instead of a set: not now. */
void sup_repair_server_busy(struct sup_repair_server *s);
const uint8_t *sup_repair_server_shards(const struct sup_repair_server *s);
/* Fills in the message to send; out holds the symbols. Counts as sent. SUP_ENOMEM. */
int sup_repair_server_message(struct sup_repair_server *s, struct sup_buf *out,
                              enum sup_frame_type *type, struct sup_repair_msg *msg);
/* ASK. SUP_EINPUT: breaks the protocol. */
int sup_repair_server_ask(struct sup_repair_server *s, const struct sup_repair_msg *msg);
/* What the round held is not needed any more: it is over, or nobody asked for long. */
void sup_repair_server_end(struct sup_repair_server *s);

#endif
