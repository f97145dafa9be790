#ifndef SIM_SUPPRESSION_H
#define SIM_SUPPRESSION_H

#include "strmap.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The account-level suppression list of one Region. Entries are kept by exact spelling (trimmed,
 * domain lower-cased: as probed on the live service in 2026); sends match without regard to case.
 * Any thread. */

enum sim_reason { SIM_BOUNCE = 1, SIM_COMPLAINT = 2 }; /* also bits of a set */
const char *sim_reason_name(enum sim_reason r);
/* 0: neither. */
enum sim_reason sim_reason_parse(const char *s);

#define SIM_ADDRESS_MAX 320

/* The spelling SES would store. false: not an address. */
bool sim_address_spelling(const char *address, char out[SIM_ADDRESS_MAX + 1]);

/* Why SES listed it by itself; entries that somebody put by hand have none. */
#define SIM_SES_ID_LEN 80
struct sim_evidence {
    char message_id[SIM_SES_ID_LEN];
    char feedback_id[SIM_SES_ID_LEN];
};

struct sim_version {
    int64_t updated_ms; /* the Region's wall clock */
    enum sim_reason reason;
    bool present;
};

/* An entry keeps its slot for good, even deleted, so that a page is a walk from a sequence number
 * on. Small: there may be millions. */
struct sim_entry {
    uint64_t seq;
    struct sim_version now;
    struct sim_version before;     /* what a lagging list still shows */
    int64_t changed_mono_ms;       /* when before became now */
    struct sim_evidence *evidence; /* NULL: none */
    struct sim_entry *next_alike;  /* same address but for case */
    char address[];
};

struct sim_suppression {
    pthread_mutex_t lock;
    struct sim_strmap by_address;
    struct sim_strmap by_folded;
    struct sim_entry **slots; /* ascending seq */
    size_t n_slots;
    size_t cap_slots;
    size_t n_present;
    uint64_t next_seq;
};

void sim_suppression_init(struct sim_suppression *s);
void sim_suppression_fini(struct sim_suppression *s);

/* address: already in stored spelling. evidence (may be NULL) is copied. */
void sim_suppression_put(struct sim_suppression *s, const char *address, enum sim_reason reason,
                         int64_t updated_ms, const struct sim_evidence *evidence);
/* evidence comes back with empty strings when there is none. */
bool sim_suppression_get(struct sim_suppression *s, const char *address, struct sim_version *v,
                         struct sim_evidence *evidence);
bool sim_suppression_delete(struct sim_suppression *s, const char *address);
/* Returns how many there were. */
size_t sim_suppression_purge(struct sim_suppression *s);
size_t sim_suppression_count(struct sim_suppression *s);
/* Reasons (bits) under which any spelling of the address is listed. */
unsigned sim_suppression_match(struct sim_suppression *s, const char *address);

struct sim_list_query {
    unsigned reasons; /* bits; 0: all */
    int64_t start_ms; /* INT64_MIN: open; both ends inclusive */
    int64_t end_ms;   /* INT64_MAX: open */
    uint64_t from_seq;
    size_t page_size;
    int64_t lag_ms; /* show the list as it was that long ago */
};
/* visit runs under the lock. Returns the sequence to go on from, 0 at the end. */
uint64_t sim_suppression_list(struct sim_suppression *s, const struct sim_list_query *q,
                              void (*visit)(const struct sim_entry *e, const struct sim_version *v,
                                            void *arg),
                              void *arg);

#endif
