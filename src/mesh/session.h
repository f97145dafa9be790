#ifndef SUP_MESH_SESSION_H
#define SUP_MESH_SESSION_H

#include "codec/mesh_msg.h"
#include "mesh/link.h"

#include <stdbool.h>
#include <stdint.h>

/* A session: a link whose two ends know each other. HELLO both ways, a heartbeat each second, and
 * an end when the peer is silent for five. */

#define SUP_HELLO_TIMEOUT_MS 5000
#define SUP_HEARTBEAT_MS     1000
#define SUP_SILENCE_MS       5000

/* What this node says of itself. Strings and callbacks live as long as the sessions. */
struct sup_session_local {
    const char *cluster;
    const char *node;
    uint64_t node_id;
    uint64_t key_check;
    uint64_t drift_limit_ms;
    uint64_t features;
    /* The present incarnation and version vector. Any thread; must be quick, must not call back
     * into the mesh. */
    void (*state)(void *arg, uint64_t *incarnation, struct sup_vv *vv);
    /* What this node's set adds up to, for heartbeats; false: not kept. NULL is fine. As state. */
    bool (*root)(void *arg, uint8_t root[SUP_REPAIR_ROOT_SIZE]);
    /* Epoch of the configuration, and what stands for the members in it. NULL is fine. As state. */
    void (*membership)(void *arg, uint64_t *epoch, uint64_t *members);
    /* How far this node has come in joining. NULL: not said. As state. */
    enum sup_standing (*standing)(void *arg);
    /* Listening side: is this a configured peer's name? Any thread. */
    bool (*known)(void *arg, const char *node);
    void *arg;
};

/* One thread that sends the heartbeats of all sessions and ends the silent ones. */
struct sup_heart;
int sup_heart_start(struct sup_heart **out, struct sup_err *err);
void sup_heart_free(struct sup_heart *h); /* stops and waits; all sessions must be gone */

/* After a reload of tls: ends the sessions, on both sides, whose peer's certificate is now revoked
 * or of an authority that is not trusted any more; all others stand. Returns how many. tls must
 * outlive the heart's sessions. Any thread; does not wait for peers. */
size_t sup_heart_recheck(struct sup_heart *h, const struct sup_mesh_tls *tls);

struct sup_session;
/* Both take the link over in every case (on failure it is freed) and take at most
 * SUP_HELLO_TIMEOUT_MS. Refusals are told to the peer and logged here; the codes: SUP_EAUTH (name,
 * certificate, self), SUP_EVERSION, SUP_EINPUT (cluster, drift limit, hash key), SUP_ECORRUPT,
 * SUP_ELIMIT, SUP_ETIMEDOUT, SUP_ECLOSED; a refusal by the peer is SUP_EAUTH with its reason.
 * dial side: expected is the configured name of the peer. */
int sup_session_open_dialed(struct sup_link *link, const struct sup_session_local *local,
                            const char *expected, struct sup_heart *heart, struct sup_session **out,
                            struct sup_err *err);
int sup_session_open_accepted(struct sup_link *link, const struct sup_session_local *local,
                              struct sup_heart *heart, struct sup_session **out,
                              struct sup_err *err);

/* What the peer said; never changes. hello.vv and incarnation are those of the beginning: see
 * sup_session_stats for the newest. */
const struct sup_hello *sup_session_peer(const struct sup_session *s);

/* Sends PULL, MUTATIONS (compressed), ACK, BYE, a summary's or one of repair's or a snapshot's as
 * sup_link_send does. Any thread. */
int sup_session_send(struct sup_session *s, const struct sup_mesh_msg *msg, int64_t timeout_ms);
/* As sup_link_post: never blocks, so a writer's completion may call it. Not for MUTATIONS. */
int sup_session_post(struct sup_session *s, const struct sup_mesh_msg *msg);

/* The next message that is the owner's business: PULL, MUTATIONS, ACK, summaries, repair's, a
 * snapshot's. Heartbeats are taken in, unknown skippable frames skipped. One thread at a time. mem
 * holds what out points to, so a message outlives the session if its mem does. SUP_ETIMEDOUT:
 * nothing came; the session stands. Other codes: it is over; err says why (SUP_ECLOSED also for the
 * peer's BYE).
 */
int sup_session_recv(struct sup_session *s, int64_t timeout_ms, struct sup_mesh_mem *mem,
                     struct sup_mesh_msg *out, struct sup_err *err);

struct sup_session_stats {
    uint64_t bytes_in, bytes_out;
    int64_t last_heard_mono_ms; /* last message of the peer */
    int64_t opened_mono_ms;
    double rtt_ms;                      /* smallest of the last 8; negative: not known yet */
    double clock_offset_ms;             /* peer's wall clock minus ours, taken at that round trip */
    uint64_t incarnation;               /* peer's newest */
    uint64_t epoch, members;            /* peer's newest: of its configuration; 0 = not said */
    struct sup_vv vv;                   /* peer's newest */
    uint8_t root[SUP_REPAIR_ROOT_SIZE]; /* peer's newest, if has_root */
    bool has_root;
    uint64_t roots_heard;       /* heartbeats with one so far */
    enum sup_standing standing; /* peer's newest */
};
/* Peers that this process refused, and that refused it, so far, for the reason of a sup_refusal.
 * Any thread. */
uint64_t sup_session_refusals(unsigned reason, bool by_us);
void sup_session_stats(struct sup_session *s, struct sup_session_stats *out); /* any thread */
const char *sup_session_address(const struct sup_session *s);

/* Any thread; does not block: says BYE if there is room for it, wakes all calls. */
void sup_session_close(struct sup_session *s, unsigned code, const char *reason);
/* Closes, waits (at most half a second for the BYE to leave), frees. No thread may be in a call. */
void sup_session_free(struct sup_session *s);

#endif
