#include "service/event_lane.h"

#include "base/clock.h"
#include "base/thread.h"

#include <stdlib.h>

/* For a place in the writer's queue. A sender is told to come again rather than kept longer: SNS
 * wants its answer within 15 s. */
#define QUEUE_MS 5000

struct sup_event_lane {
    struct sup_event_lanes *lanes;
    struct sup_event_lane *next; /* of the free ones */
    struct sup_event_job *job;
    struct sup_event_reader *reader;
    struct sup_verdicts verdicts;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool pending;
    int result;
};

struct sup_event_lanes {
    const struct sup_options *config;
    struct sup_apply *apply;
    struct sup_classify_policy policy;
    pthread_mutex_t mutex;
    struct sup_event_lane *free;
    size_t n, max;
};

int sup_event_lanes_new(const struct sup_options *config, struct sup_apply *apply, size_t max,
                        struct sup_event_lanes **out)
{
    struct sup_event_lanes *l = calloc(1, sizeof(*l));

    if (!l)
        return SUP_ENOMEM;
    l->config = config;
    l->apply = apply;
    l->max = max;
    l->policy = sup_event_policy(config);
    pthread_mutex_init(&l->mutex, NULL);
    *out = l;
    return SUP_OK;
}

static void lane_free(struct sup_event_lane *lane)
{
    sup_event_job_free(lane->job);
    sup_event_reader_free(lane->reader);
    sup_verdicts_fini(&lane->verdicts);
    pthread_cond_destroy(&lane->cond);
    pthread_mutex_destroy(&lane->mutex);
    free(lane);
}

void sup_event_lanes_free(struct sup_event_lanes *l)
{
    if (!l)
        return;
    while (l->free) {
        struct sup_event_lane *lane = l->free;
        l->free = lane->next;
        lane_free(lane);
    }
    pthread_mutex_destroy(&l->mutex);
    free(l);
}

static struct sup_event_lane *lane_new(struct sup_event_lanes *l)
{
    struct sup_event_lane *lane = calloc(1, sizeof(*lane));

    if (!lane)
        return NULL;
    lane->lanes = l;
    pthread_mutex_init(&lane->mutex, NULL);
    sup_cond_init(&lane->cond);
    lane->job = sup_event_job_new(l->config, l->apply);
    lane->reader = sup_event_reader_new();
    if (lane->job && lane->reader)
        return lane;
    lane_free(lane);
    return NULL;
}

struct sup_event_lane *sup_event_lane_take(struct sup_event_lanes *l)
{
    struct sup_event_lane *lane;

    pthread_mutex_lock(&l->mutex);
    lane = l->free;
    if (lane)
        l->free = lane->next;
    bool fresh = !lane && l->n < l->max;
    l->n += fresh;
    pthread_mutex_unlock(&l->mutex);
    if (!fresh)
        return lane;
    lane = lane_new(l);
    if (!lane) {
        pthread_mutex_lock(&l->mutex);
        l->n--;
        pthread_mutex_unlock(&l->mutex);
    }
    return lane;
}

void sup_event_lane_give(struct sup_event_lane *lane)
{
    struct sup_event_lanes *l = lane->lanes;

    pthread_mutex_lock(&l->mutex);
    lane->next = l->free;
    l->free = lane;
    pthread_mutex_unlock(&l->mutex);
}

static void on_done(void *arg, int code)
{
    struct sup_event_lane *lane = arg;

    pthread_mutex_lock(&lane->mutex);
    lane->result = code;
    lane->pending = false;
    pthread_cond_signal(&lane->cond);
    pthread_mutex_unlock(&lane->mutex);
}

static int commit(struct sup_event_lane *lane, struct sup_err *err)
{
    if (sup_event_job_empty(lane->job))
        return SUP_OK;
    lane->pending = true;
    int rc = sup_event_job_submit(lane->job, on_done, lane, QUEUE_MS);
    if (rc != SUP_OK)
        return sup_err_set(err, rc, "the store is behind: try again");
    pthread_mutex_lock(&lane->mutex);
    while (lane->pending)
        sup_cond_wait_ms(&lane->cond, &lane->mutex, -1);
    rc = lane->result;
    pthread_mutex_unlock(&lane->mutex);
    return rc == SUP_OK ? rc : sup_err_set(err, rc, "the store cannot commit: try again");
}

int sup_event_lane_run(struct sup_event_lane *lane, const struct sup_event_input *in,
                       struct sup_err *err)
{
    const struct sup_classify_context ctx = {
        .region = sup_slice_str(lane->lanes->config->region),
        .now_ms = sup_wall_ms(),
        .sent_ms = SUP_NO_TIME,
        .policy = &lane->lanes->policy,
    };
    struct sup_err trouble = {0};
    int (*read)(struct sup_event_job *, struct sup_event_reader *, struct sup_verdicts *,
                struct sup_slice, const struct sup_classify_context *, enum sup_cause,
                struct sup_err *) = in->stream ? sup_event_job_read_stream : sup_event_job_read;
    int bad = read(lane->job, lane->reader, &lane->verdicts, in->body, &ctx, in->cause, err);

    if (bad != SUP_OK && bad != SUP_EINPUT && bad != SUP_ELIMIT)
        return bad;
    if (bad != SUP_OK && in->stream)
        return bad; /* more than a job holds: nothing of it was decided */
    int rc = commit(lane, &trouble);
    if (rc != SUP_OK)
        return sup_err_set(err, rc, "%s", trouble.msg);
    sup_event_count(sup_event_job_tally(lane->job));
    return bad;
}

const struct sup_event_job *sup_event_lane_job(const struct sup_event_lane *lane)
{
    return lane->job;
}
