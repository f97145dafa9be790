#ifndef SUP_SERVICE_INGEST_INTERNAL_H
#define SUP_SERVICE_INGEST_INTERNAL_H

#include "aws/sqs.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/thread.h"
#include "service/event_count.h"
#include "service/ingest.h"
#include "service/sqs_messages.h"

/* Shared by ingest*.c only.
 *
 * A lane is a queue's receiver and its settler, two threads, with some hands between them. The
 * receiver fills a hand with the messages of one receive and gives it to the writer as one job; the
 * settler deletes what was committed, sees to it that SQS does not hand out again what waits for
 * the store, and gives it to the writer again when a commit failed. When all hands are full the
 * receiver waits: that is the back-pressure. */

/* A parser that held more than so much is made anew: it would keep many times as much. */
#define SUP_HAND_KEEP_BYTES ((size_t)1 << 20)

enum sup_hand_state {
    SUP_HAND_FREE,
    SUP_HAND_FILLING, /* the receiver's */
    SUP_HAND_WRITING, /* the writer's */
    SUP_HAND_BACK,    /* the settler's: its job is done */
    SUP_HAND_WAITING  /* the settler's: its job is to be done again */
};

struct sup_hand {
    struct sup_lane *lane;
    enum sup_hand_state state; /* under the lane's mutex, and so are those that follow */
    int code;                  /* of the job */
    int64_t extend_mono_ms;    /* when SQS is to be asked for more time */
    /* of whoever has the hand */
    int64_t again_mono_ms;
    unsigned tries;
    bool alone; /* one message a job: one of them cannot be committed */
    size_t at;  /* … which one */
    size_t bytes;
    struct sup_sqs_batch batch;
    struct sup_json_parser *parser;
    struct sup_event_job *job;
    int results[SUP_SQS_BATCH_MAX]; /* under mutex while the receiver has the hand */
};

/* What it takes to read a message; each thread's own. */
struct sup_ingest_reader {
    struct sup_event_reader *reader;
    struct sup_verdicts verdicts;
};

struct sup_lane {
    struct sup_ingest *ingest;
    const char *queue_url;
    pthread_t receiver, settler;
    bool receiving, settling; /* the threads were started */
    struct sup_ingest_reader for_receiver, for_settler;
    bool in_trouble; /* receiver's */
    struct sup_rng rng;
    pthread_mutex_t mutex;
    pthread_cond_t freed; /* a hand became free */
    pthread_cond_t back;  /* a hand came back, or the lane closes */
    bool closing;         /* the receiver is gone */
    int64_t visibility_ms;
    struct sup_hand *hands;
    size_t n;
};

struct sup_ingest_stats {
    uint64_t received, deleted, messages_unparsable, in_hand;
    uint64_t events, duplicates, suppressed, cleared, echoes, ignored;
    int64_t last_receive_ms; /* wall time of the last message */
    int64_t last_answer_ms;  /* monotonic time of the last good answer of any queue */
    char last_error[160];
};

struct sup_ingest {
    struct sup_ingest_options opts;
    struct sup_classify_policy policy;
    struct sup_stop stop;
    struct sup_lane *lanes;
    size_t n;
    _Atomic uint64_t bytes; /* of messages in hand */
    pthread_mutex_t mutex;  /* stats */
    struct sup_ingest_stats stats;
    struct sup_metric *unparsable, *received, *deleted, *extended, *in_hand, *in_hand_bytes;
};

/* Reads message i of the hand into its job, which was begun. */
void sup_ingest_read(struct sup_hand *h, struct sup_ingest_reader *r, size_t i);
/* Gives the hand's job to the writer; waits for a place at most timeout_ms. */
void sup_ingest_submit(struct sup_hand *h, int64_t timeout_ms);
void sup_ingest_count(struct sup_ingest *g, const struct sup_event_tally *t);
void sup_ingest_note_error(struct sup_ingest *g, const char *error);
/* The thread that deletes and extends. */
void *sup_ingest_settle(void *lane);

#endif
