#ifndef SUP_MESH_SESSION_IMPL_H
#define SUP_MESH_SESSION_IMPL_H

#include "mesh/session.h"

#include <pthread.h>

/* The inside of a session, for hello.c, session.c and heart.c. */

#define RTT_SAMPLES 8

struct rtt_sample {
    double rtt_ms;
    double offset_ms;
};

struct sup_session {
    struct sup_link *link;
    const struct sup_session_local *local;
    struct sup_heart *heart;
    struct sup_session *next; /* in the heart's list */
    int64_t next_beat_ms;     /* the heart's */
    struct sup_hello peer;

    pthread_mutex_t encode_mutex; /* encoder, mem and body; never held while waiting for the peer */
    struct sup_frame_encoder *encoder;
    struct sup_mesh_mem *encode_mem;
    struct sup_buf body;

    pthread_mutex_t state_mutex; /* all that follows */
    struct rtt_sample samples[RTT_SAMPLES];
    unsigned n_samples; /* ever taken */
    uint64_t peer_mono_ns;
    int64_t peer_mono_at_ns; /* our monotonic clock when that heartbeat came; 0 = none yet */
    int64_t heard_ms;
    int64_t opened_ms;
    uint64_t incarnation;
    uint64_t epoch, members;
    struct sup_vv vv;
    uint8_t root[SUP_REPAIR_ROOT_SIZE];
    bool has_root;
    uint64_t roots_heard;
    enum sup_standing standing;
};

/* --- hello.c --- */

/* HELLO in both directions, on a link that stays the caller's. expected: the configured name on the
 * dialling side, NULL on the listening side. Refusals are sent and logged. */
int sup_hello_exchange(struct sup_link *link, const struct sup_session_local *local,
                       const char *expected, struct sup_hello *peer, struct sup_err *err);
/* Is the peer's HELLO acceptable? SUP_OK, or the code with the reason in err and *refusal set. */
int sup_hello_check(const struct sup_hello *peer, const struct sup_session_local *local,
                    const char *expected, enum sup_refusal *refusal, struct sup_err *err);
/* Counts a refusal for sup_session_refusals and the metrics. */
void sup_hello_count_refusal(unsigned why, bool by_us);
/* Encodes msg into one frame appended to frame. Not for bulk. */
int sup_mesh_frame(const struct sup_mesh_msg *msg, struct sup_buf *frame, struct sup_err *err);

/* --- session.c --- */

/* As the open functions of session.h, but on failure the link stays the caller's. */
int sup_session_open(struct sup_link *link, const struct sup_session_local *local,
                     const char *expected, struct sup_heart *heart, struct sup_session **out,
                     struct sup_err *err);
/* Fills in the next heartbeat. */
void sup_session_heartbeat(struct sup_session *s, struct sup_heartbeat *out);

/* --- heart.c --- */
void sup_heart_add(struct sup_heart *h, struct sup_session *s);
/* When it returns the heart does not touch s any more. */
void sup_heart_remove(struct sup_heart *h, struct sup_session *s);

#endif
