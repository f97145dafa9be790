#include "service/sns_source.h"

#include "aws/sns_keys.h"
#include "base/array.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"
#include "base/thread.h"
#include "service/event_lane.h"
#include "service/internal.h"
#include "service/sources.h"
#include "service/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LANES         32
#define AHEAD_MS      (15 * 60 * 1000) /* SNS's clock before ours */
#define REMEMBERED    8192             /* MessageIds */
#define TROUBLE_SHOWN 300000           /* ms that a problem stays in the status */

enum result { COMMITTED, DUPLICATE, CONFIRMED, QUIET, REFUSED, UNREADABLE, TROUBLE, N_RESULTS };

static const char *const result_labels[N_RESULTS] = {
    "result=\"committed\"", "result=\"duplicate\"",  "result=\"confirmed\"", "result=\"quiet\"",
    "result=\"refused\"",   "result=\"unreadable\"", "result=\"trouble\""};

struct sup_sns_source {
    const struct sup_options *config;
    struct sup_http *http;
    struct sup_sns_keys *keys;
    struct sup_event_lanes *lanes;
    struct sup_stop stop;
    struct sup_metric *results[N_RESULTS];

    pthread_mutex_t mutex; /* what follows */
    uint64_t seen[REMEMBERED];
    size_t next;
    int64_t trouble_ms; /* monotonic; 0 = none */
    char trouble[160];
};

/* --- making one --- */

static const char *environment(const char *upper, const char *lower)
{
    const char *v = getenv(upper);

    v = v && *v ? v : lower ? getenv(lower) : NULL;
    return v && *v ? v : NULL;
}

static int make_keys(struct sup_sns_source *s, struct sup_err *err)
{
    const struct sup_http_options http = {
        .ca_bundle = environment("AWS_CA_BUNDLE", NULL),
        .https_proxy = environment("HTTPS_PROXY", "https_proxy"),
        .http_proxy = environment("HTTP_PROXY", "http_proxy"),
        .no_proxy = environment("NO_PROXY", "no_proxy"),
    };
    int rc = sup_http_new(&s->http, &http, err);

    if (rc != SUP_OK)
        return rc;
    const struct sup_sns_keys_options keys = {
        .http = sup_http_transport(s->http),
        .issuers = s->config->sns_http.issuers,
        .test_signer = s->config->sns_http.test_signer,
        .stop = &s->stop,
    };
    rc = sup_sns_keys_new(&s->keys, &keys, err);
    return rc == SUP_OK ? rc : sup_err_prefix(err, rc, "sns_http");
}

int sup_sns_source_new(const struct sup_options *config, struct sup_apply *apply,
                       struct sup_sns_source **out, struct sup_err *err)
{
    struct sup_sns_source *s = calloc(1, sizeof(*s));

    if (!s)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    s->config = config;
    sup_stop_init(&s->stop);
    pthread_mutex_init(&s->mutex, NULL);
    for (size_t i = 0; i < N_RESULTS; i++)
        s->results[i] = sup_metric("supsync_sns_messages_total", result_labels[i], SUP_COUNTER,
                                   "Messages posted by SNS, by what became of them");
    int rc = sup_event_lanes_new(config, apply, LANES, &s->lanes);
    if (rc != SUP_OK)
        sup_err_set(err, rc, "out of memory");
    else
        rc = make_keys(s, err);
    if (rc != SUP_OK) {
        sup_sns_source_free(s);
        return rc;
    }
    *out = s;
    return SUP_OK;
}

void sup_sns_source_close(struct sup_sns_source *s)
{
    if (s)
        sup_stop_set(&s->stop);
}

void sup_sns_source_free(struct sup_sns_source *s)
{
    if (!s)
        return;
    sup_event_lanes_free(s->lanes);
    sup_sns_keys_free(s->keys);
    sup_http_free(s->http);
    pthread_mutex_destroy(&s->mutex);
    sup_stop_fini(&s->stop);
    free(s);
}

/* --- messages seen --- */

/* FNV-1a. Only signed messages get here, so nobody can choose the ids; the dedup marks in the store
 * are what really protects against repetition. */
static uint64_t hash(const char *id)
{
    uint64_t h = 14695981039346656037U;

    for (; *id != '\0'; id++)
        h = (h ^ (uint8_t)*id) * 1099511628211U;
    return h == 0 ? 1 : h;
}

static bool is_seen(struct sup_sns_source *s, const char *id)
{
    uint64_t h = hash(id);
    bool found = false;

    pthread_mutex_lock(&s->mutex);
    for (size_t i = 0; i < REMEMBERED && !found; i++)
        found = s->seen[i] == h;
    pthread_mutex_unlock(&s->mutex);
    return found;
}

static void remember(struct sup_sns_source *s, const char *id)
{
    pthread_mutex_lock(&s->mutex);
    s->seen[s->next] = hash(id);
    s->next = (s->next + 1) % REMEMBERED;
    pthread_mutex_unlock(&s->mutex);
}

/* --- answers --- */

static void answer(struct sup_sns_source *s, enum result r, unsigned status, const char *text,
                   struct sup_sns_answer *out)
{
    out->status = status;
    sup_text_copy(out->text, sizeof(out->text), text);
    sup_metric_add(s->results[r], 1);
}

static void refuse(struct sup_sns_source *s, unsigned status, const char *id, const char *text,
                   struct sup_sns_answer *out)
{
    sup_log_warn("sns", "message refused", SUP_S("message_id", id ? id : ""),
                 SUP_U("status", status), SUP_S("why", text));
    answer(s, status == 422 ? UNREADABLE : REFUSED, status, text, out);
}

static void trouble(struct sup_sns_source *s, const char *id, const char *text,
                    struct sup_sns_answer *out)
{
    bool first;

    pthread_mutex_lock(&s->mutex);
    first = s->trouble_ms == 0;
    s->trouble_ms = sup_mono_ms();
    sup_text_copy(s->trouble, sizeof(s->trouble), text);
    pthread_mutex_unlock(&s->mutex);
    if (first)
        sup_log_error("sns", "messages cannot be taken now; SNS will repeat them",
                      SUP_S("message_id", id), SUP_S("why", text));
    answer(s, TROUBLE, 503, text, out);
}

static void all_well(struct sup_sns_source *s)
{
    pthread_mutex_lock(&s->mutex);
    s->trouble_ms = 0;
    pthread_mutex_unlock(&s->mutex);
}

/* What a code of verification or confirmation means to the sender. */
static void answer_code(struct sup_sns_source *s, int rc, const char *id, const char *text,
                        struct sup_sns_answer *out)
{
    if (rc == SUP_EAUTH || rc == SUP_EINPUT)
        refuse(s, 403, id, text, out);
    else
        trouble(s, id, text, out);
}

/* --- messages --- */

static bool is_allowed(const struct sup_sns_source *s, const char *arn)
{
    for (size_t i = 0; i < s->config->sns_http.n_topics; i++)
        if (strcmp(s->config->sns_http.topics[i], arn) == 0)
            return true;
    return false;
}

static void confirm(struct sup_sns_source *s, const struct sup_sns_message *m,
                    struct sup_sns_answer *out)
{
    struct sup_err err = {0};
    int rc = sup_sns_keys_confirm(s->keys, m, &err);

    if (rc != SUP_OK) {
        answer_code(s, rc, m->message_id, err.msg, out);
        return;
    }
    sup_log_info("sns", "subscription confirmed", SUP_S("topic", m->topic_arn));
    answer(s, CONFIRMED, 200, "confirmed", out);
}

static void commit(struct sup_sns_source *s, const struct sup_sns_message *m, struct sup_slice body,
                   struct sup_sns_answer *out)
{
    const struct sup_event_input in = {.body = body, .cause = SUP_CAUSE_EVENT};
    struct sup_event_lane *lane = sup_event_lane_take(s->lanes);
    struct sup_err err = {0};

    if (!lane) {
        trouble(s, m->message_id, "too many messages at once", out);
        return;
    }
    int rc = sup_event_lane_run(lane, &in, &err);
    sup_event_lane_give(lane);
    if (rc == SUP_EINPUT || rc == SUP_ELIMIT) {
        refuse(s, 422, m->message_id, err.msg, out);
    } else if (rc != SUP_OK) {
        trouble(s, m->message_id, err.msg, out);
    } else {
        remember(s, m->message_id);
        all_well(s);
        answer(s, COMMITTED, 200, "taken", out);
    }
}

static void act(struct sup_sns_source *s, const struct sup_sns_message *m, struct sup_slice body,
                struct sup_sns_answer *out)
{
    switch (m->type) {
    case SUP_SNS_SUBSCRIBE:
        confirm(s, m, out);
        return;
    case SUP_SNS_UNSUBSCRIBE:
        /* To follow its SubscribeURL would subscribe again, against whoever ended it. */
        sup_log_warn("sns", "the subscription was ended", SUP_S("topic", m->topic_arn));
        answer(s, QUIET, 200, "noted", out);
        return;
    case SUP_SNS_NOTIFICATION:
        break;
    }
    if (is_seen(s, m->message_id))
        answer(s, DUPLICATE, 200, "taken before", out);
    else
        commit(s, m, body, out);
}

/* A signature has no nonce: an old message could be played back for ever. What we took ourselves
 * may come again. */
static bool is_timely(struct sup_sns_source *s, const struct sup_sns_message *m, int64_t now_ms,
                      struct sup_sns_answer *out)
{
    if (m->timestamp_ms > now_ms + AHEAD_MS) {
        refuse(s, 403, m->message_id, "Timestamp is in the future", out);
        return false;
    }
    if (now_ms - m->timestamp_ms > s->config->sns_http.max_age_ms && !is_seen(s, m->message_id)) {
        refuse(s, 403, m->message_id, "Timestamp is older than sns_http.max_age", out);
        return false;
    }
    return true;
}

static void take_message(struct sup_sns_source *s, const struct sup_sns_delivery *d,
                         const struct sup_sns_message *m, struct sup_sns_answer *out)
{
    int64_t now_ms = sup_wall_ms();
    struct sup_err err = {0};

    if (!is_allowed(s, m->topic_arn)) {
        refuse(s, 403, m->message_id, "TopicArn is not one of sns_http.topics", out);
        return;
    }
    if (d->topic_header && strcmp(d->topic_header, m->topic_arn) != 0) {
        refuse(s, 400, m->message_id, "x-amz-sns-topic-arn names another topic", out);
        return;
    }
    if (!is_timely(s, m, now_ms, out))
        return;
    int rc = sup_sns_keys_verify(s->keys, m, now_ms, &err);
    if (rc != SUP_OK)
        answer_code(s, rc, m->message_id, err.msg, out);
    else
        act(s, m, d->body, out);
}

void sup_sns_source_take(struct sup_sns_source *s, const struct sup_sns_delivery *d,
                         struct sup_sns_answer *out)
{
    struct sup_sns_message m;
    struct sup_err err = {0};

    if (sup_stop_is_set(&s->stop)) {
        answer(s, TROUBLE, 503, "the agent is stopping", out);
        return;
    }
    if (d->raw) {
        refuse(s, 400, NULL, "raw message delivery carries no signature: switch it off", out);
        return;
    }
    int rc = sup_sns_message_read(&m, d->body, &err);
    if (rc != SUP_OK) {
        refuse(s, rc == SUP_ELIMIT ? 413 : 400, NULL, err.msg, out);
        return;
    }
    take_message(s, d, &m, out);
    sup_sns_message_fini(&m);
}

void sup_service_take_sns(struct sup_service *s, const struct sup_sns_delivery *d,
                          struct sup_sns_answer *out)
{
    if (s->sources->sns) {
        sup_sns_source_take(s->sources->sns, d, out);
        return;
    }
    *out = (struct sup_sns_answer){.status = 503, .text = "not configured"};
}

void sup_sns_source_status(struct sup_sns_source *s, struct sup_status *out)
{
    char text[160] = "";

    pthread_mutex_lock(&s->mutex);
    if (s->trouble_ms != 0 && sup_mono_ms() - s->trouble_ms < TROUBLE_SHOWN)
        sup_text_copy(text, sizeof(text), s->trouble);
    pthread_mutex_unlock(&s->mutex);
    if (text[0] != '\0')
        sup_status_problem(out, "SNS messages cannot be taken: %s", text);
}
