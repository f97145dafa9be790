#ifndef SIM_QUEUE_H
#define SIM_QUEUE_H

#include "strmap.h"

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* SQS standard queues. Any thread; nothing here blocks on anything but a short lock. */

struct sim_message {
    char id[40];
    char md5[33];
    char *body;
    size_t len;
    json_t *attributes; /* message attributes or NULL */
    uint64_t number;    /* key of the queue's map of messages */
    int64_t sent_ms;    /* wall */
    int64_t first_received_ms;
    unsigned receives;
    uint64_t handle;    /* the newest receipt's random part; 0: never received */
    int64_t visible_at; /* monotonic, while hidden */
    size_t heap_at;     /* 1-based place among the hidden; 0: visible */
    struct sim_message *next, *prev;
};

struct sim_queue {
    pthread_mutex_t lock;
    char *name;
    bool deleted; /* under the lock of struct sim_queues */
    int64_t visibility_ms;
    int64_t wait_ms; /* ReceiveMessageWaitTimeSeconds */
    int64_t delay_ms;
    int64_t retention_s;
    char *dead_letter; /* queue name in the same Region; NULL: none */
    unsigned max_receives;
    int64_t created_ms;
    uint64_t next_number;
    struct sim_message *first, *last; /* visible */
    struct sim_message **hidden;      /* heap by visible_at: in flight or delayed */
    size_t n_hidden, cap_hidden;
    struct sim_strmap by_number;
    _Atomic size_t n_visible;
    _Atomic int64_t next_visible_at; /* of the hidden ones; INT64_MAX: none */
    uint64_t sent, received, deleted_messages, expired, dead_lettered; /* counts for /queues */
};

struct sim_queues {
    pthread_mutex_t lock;
    struct sim_strmap by_name;
    struct sim_queue **all; /* deleted ones too: somebody may still look at them */
    size_t n_all;
};

void sim_queues_init(struct sim_queues *qs);
void sim_queues_fini(struct sim_queues *qs);
struct sim_queue *sim_queues_find(struct sim_queues *qs, const char *name);
/* The existing one when there is one already. */
struct sim_queue *sim_queues_create(struct sim_queues *qs, const char *name, int64_t now_ms);
bool sim_queues_delete(struct sim_queues *qs, const char *name);
/* visit runs under the lock, without the queue's own. */
void sim_queues_each(struct sim_queues *qs, void (*visit)(struct sim_queue *q, void *arg),
                     void *arg);

#define SIM_QUEUE_BODY_MAX ((size_t)1 << 20)
/* body is copied; attributes (may be NULL) are borrowed and referenced. delay_ms < 0: the queue's.
 * id: 40 bytes, md5: 33 bytes. */
void sim_queue_send(struct sim_queue *q, const char *body, size_t n, json_t *attributes,
                    int64_t delay_ms, int64_t now_ms, char *id, char *md5);
void sim_queue_set_dead_letter(struct sim_queue *q, const char *name, unsigned max_receives);

#define SIM_HANDLE_LEN 128
struct sim_receive {
    unsigned max;
    int64_t visibility_ms; /* < 0: the queue's */
    int64_t now_ms;
    /* Runs under the queue's lock for each message taken. */
    void (*visit)(const struct sim_message *m, const char *handle, void *arg);
    void *arg;
    /* When nothing was there; runs under the lock, so that no send slips in between. */
    bool (*empty)(void *arg);
    struct sim_message *dead; /* out: for sim_queue_bury, which must follow */
};
enum sim_receive_result { SIM_RECEIVED, SIM_RECEIVE_EMPTY, SIM_RECEIVE_WAITS, SIM_RECEIVE_OVER };
enum sim_receive_result sim_queue_receive(struct sim_queue *q, struct sim_receive *r);
/* Moves what exceeded its receives to the dead-letter queue. */
void sim_queue_bury(struct sim_queues *qs, struct sim_queue *from, struct sim_message *dead);

enum sim_handle_result { SIM_HANDLE_OK, SIM_HANDLE_OLD, SIM_HANDLE_INVALID };
/* OLD: a newer receipt exists or the message is gone; SQS reports success and deletes nothing. */
enum sim_handle_result sim_queue_delete(struct sim_queue *q, const char *handle);
enum sim_handle_result sim_queue_change_visibility(struct sim_queue *q, const char *handle,
                                                   int64_t visibility_ms);
void sim_queue_purge(struct sim_queue *q);

/* Lock-free hint for the park: something is visible or becomes so now. */
bool sim_queue_ready(struct sim_queue *q, int64_t mono_now);

struct sim_queue_counts {
    size_t visible, in_flight, delayed;
    uint64_t sent, received, deleted, dead_lettered;
};
void sim_queue_counts(struct sim_queue *q, struct sim_queue_counts *c);

#endif
