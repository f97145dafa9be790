#include "http/stream.h"

#include "base/thread.h"
#include "http/server_internal.h"

#include <stdlib.h>
#include <string.h>

#define STREAM_BYTES (256 * 1024)
#define BLOCK_BYTES  (32 * 1024)

struct sup_reply_stream {
    pthread_mutex_t mutex;
    pthread_cond_t room;
    struct sup_httpd *server;
    struct MHD_Connection *connection;
    void (*produce)(struct sup_reply_stream *, void *);
    void (*done)(void *);
    void *arg;
    size_t at, n;   /* unread bytes are ring[at … at + n), wrapping */
    bool suspended; /* the connection waits for us to resume it */
    bool reader_gone;
    bool ended, failed;
    unsigned holds; /* producer and reader; the last one frees */
    char ring[STREAM_BYTES];
};

/* mutex is held; it is released. */
static void let_go(struct sup_reply_stream *s)
{
    bool last = --s->holds == 0;
    pthread_mutex_unlock(&s->mutex);
    if (!last)
        return;
    pthread_mutex_destroy(&s->mutex);
    pthread_cond_destroy(&s->room);
    free(s);
}

/* mutex is held. A connection is suspended only while its reader holds the stream, so it lives. */
static void wake_reader(struct sup_reply_stream *s)
{
    if (s->suspended) {
        s->suspended = false;
        MHD_resume_connection(s->connection);
    }
}

static void *run(void *p)
{
    struct sup_reply_stream *s = p;
    struct sup_httpd *server = s->server;
    s->produce(s, s->arg);
    s->done(s->arg);
    pthread_mutex_lock(&s->mutex);
    s->ended = true;
    wake_reader(s);
    let_go(s);
    sup_httpd_job_end(server);
    return NULL;
}

int sup_reply_stream_start(struct sup_httpd_req *req,
                           void (*produce)(struct sup_reply_stream *, void *), void (*done)(void *),
                           void *arg)
{
    struct sup_reply_stream *s = calloc(1, sizeof(*s));
    pthread_t t;
    if (s == NULL)
        goto busy;
    pthread_mutex_init(&s->mutex, NULL);
    sup_cond_init(&s->room);
    s->server = req->server;
    s->connection = req->connection;
    s->produce = produce;
    s->done = done;
    s->arg = arg;
    s->holds = 2;
    if (sup_thread_start(&t, "http-stream", run, s) != SUP_OK) {
        s->holds = 1;
        sup_reply_stream_drop(s);
        goto busy;
    }
    pthread_detach(t);
    req->stream = s;
    return SUP_OK;
busy:
    sup_httpd_problem(req, MHD_HTTP_SERVICE_UNAVAILABLE, SUP_EAGAIN,
                      "too many long answers are being given: try again");
    req->retry_after_s = 1;
    return SUP_EAGAIN;
}

/* mutex is held. */
static size_t put(struct sup_reply_stream *s, const char *p, size_t n)
{
    size_t end = (s->at + s->n) % STREAM_BYTES;
    size_t room = STREAM_BYTES - s->n;
    size_t run_len = STREAM_BYTES - end;
    n = n < room ? n : room;
    n = n < run_len ? n : run_len;
    memcpy(s->ring + end, p, n);
    s->n += n;
    return n;
}

bool sup_reply_stream_write(struct sup_reply_stream *s, const void *p, size_t n)
{
    const char *from = p;
    bool open = true;
    pthread_mutex_lock(&s->mutex);
    while (n > 0 && open) {
        size_t k = put(s, from, n);
        from += k;
        n -= k;
        if (s->n >= BLOCK_BYTES)
            wake_reader(s);
        if (k == 0)
            sup_cond_wait_ms(&s->room, &s->mutex, 200);
        open = !s->reader_gone && !sup_httpd_is_stopping(s->server);
    }
    if (!open)
        s->failed = true;
    pthread_mutex_unlock(&s->mutex);
    return open;
}

void sup_reply_stream_fail(struct sup_reply_stream *s)
{
    pthread_mutex_lock(&s->mutex);
    s->failed = true;
    pthread_mutex_unlock(&s->mutex);
}

static ssize_t read_some(void *cls, uint64_t pos, char *out, size_t max)
{
    struct sup_reply_stream *s = cls;
    ssize_t rc;
    (void)pos;
    pthread_mutex_lock(&s->mutex);
    size_t n = STREAM_BYTES - s->at;
    n = n < s->n ? n : s->n;
    n = n < max ? n : max;
    if (n > 0) {
        memcpy(out, s->ring + s->at, n);
        s->at = (s->at + n) % STREAM_BYTES;
        s->n -= n;
        rc = (ssize_t)n;
        pthread_cond_signal(&s->room);
    } else if (s->ended || s->failed) {
        rc = s->failed ? MHD_CONTENT_READER_END_WITH_ERROR : MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        s->suspended = true;
        MHD_suspend_connection(s->connection);
        rc = 0;
    }
    pthread_mutex_unlock(&s->mutex);
    return rc;
}

void sup_reply_stream_drop(struct sup_reply_stream *s)
{
    pthread_mutex_lock(&s->mutex);
    s->reader_gone = true;
    pthread_cond_signal(&s->room);
    let_go(s);
}

static void reader_done(void *cls)
{
    sup_reply_stream_drop(cls);
}

struct MHD_Response *sup_reply_stream_response(struct sup_httpd_req *req)
{
    struct sup_reply_stream *s = req->stream;
    struct MHD_Response *r =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, read_some, s, reader_done);
    req->stream = NULL;
    if (r == NULL)
        sup_reply_stream_drop(s);
    return r;
}
