#ifndef SUP_SERVICE_REPAIR_H
#define SUP_SERVICE_REPAIR_H

#include "codec/mesh_msg.h"
#include "core/repair.h"
#include "service/apply.h"

#include <stdatomic.h>

/* Repair over sessions: carries out what the machines of core/repair.h say. A session's owner hands
 * messages in and calls step between its other work; everything goes out through its own send. */

struct sup_repair_env {
    struct sup_apply *apply; /* with a keeper */
    struct sup_store *store;
    uint64_t member; /* pulling: the peer's number (sup_apply_member); 0: nobody's */
    /* Sends on the session, as sup_session_send without a time limit of its own. */
    int (*send)(void *arg, const struct sup_mesh_msg *msg);
    void *arg;
};

/* --- pulling: on the session that this node dialled; one thread but where noted --- */
struct sup_repair_pull;

struct sup_repair_report {
    int code;   /* SUP_OK: this node has all that the peer had. SUP_EAGAIN: the peer is busy */
    bool equal; /* of SUP_OK: nothing was news */
    struct sup_repair_stats stats;
    uint64_t applied, quarantined;
};

/* adopt: afterwards the peer's version vector is taken over, for a node whose gap in the log nobody
 * can fill any more. NULL when out of memory. */
struct sup_repair_pull *sup_repair_pull_new(const struct sup_repair_env *env, bool adopt);
/* Waits for what was handed to apply. NULL is fine. */
void sup_repair_pull_free(struct sup_repair_pull *p);
/* A REPAIR message of the server. Takes mem, in which it lives, over if *mem is NULL afterwards.
 * SUP_OK; others: end the session. */
int sup_repair_pull_message(struct sup_repair_pull *p, const struct sup_mesh_msg *msg,
                            struct sup_mesh_mem **mem, struct sup_err *err);
enum sup_repair_step {
    SUP_REPAIR_STEP_AGAIN, /* there is more to do at once */
    SUP_REPAIR_STEP_WAIT,  /* for a message, or a commit */
    SUP_REPAIR_STEP_OVER   /* *report is filled in */
};
/* Some milliseconds of work. */
enum sup_repair_step sup_repair_pull_step(struct sup_repair_pull *p,
                                          struct sup_repair_report *report);

/* --- serving: on a session that was accepted --- */
struct sup_repair_serve;

/* Whole sets and scans held in memory at a time, for all peers: one gate for a process. */
#define SUP_REPAIR_SERVED_MAX 2
struct sup_repair_gate {
    atomic_int held;
};

struct sup_repair_serve *sup_repair_serve_new(const struct sup_repair_env *env,
                                              struct sup_repair_gate *gate);
void sup_repair_serve_free(struct sup_repair_serve *s); /* NULL is fine */
/* A REPAIR message of the puller; copied. From another thread than step's. SUP_OK; SUP_EINPUT:
 * breaks the protocol; SUP_ENOMEM. */
int sup_repair_serve_message(struct sup_repair_serve *s, const struct sup_mesh_msg *msg);
/* Sends at most one message. *wait_ms: when to call again, if no message comes before; negative:
 * there is nothing to do until then. Gives back what the session's send returned, or another
 * failure: end the session. */
int sup_repair_serve_step(struct sup_repair_serve *s, int64_t *wait_ms);

#endif
