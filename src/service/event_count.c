#include "service/event_count.h"

#include "base/metrics.h"

#include <pthread.h>
#include <stdio.h>

static struct {
    struct sup_metric *events[SUP_EVENT_KINDS];
    struct sup_metric *verdicts[SUP_VERDICT_KINDS];
    struct sup_metric *duplicates, *older, *soft, *escalated, *would_escalate;
} metrics;

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void register_metrics(void)
{
    char label[64];

    for (int i = 0; i < SUP_EVENT_KINDS; i++) {
        snprintf(label, sizeof(label), "type=\"%s\"", sup_event_type_name((enum sup_event_type)i));
        metrics.events[i] =
            sup_metric("supsync_events_total", label, SUP_COUNTER, "SES events read, by type");
    }
    for (int i = 0; i < SUP_VERDICT_KINDS; i++) {
        snprintf(label, sizeof(label), "verdict=\"%s\"",
                 sup_verdict_kind_name((enum sup_verdict_kind)i));
        metrics.verdicts[i] = sup_metric("supsync_verdicts_total", label, SUP_COUNTER,
                                         "What bounces and complaints said of their recipients");
    }
    metrics.duplicates = sup_metric("supsync_events_duplicate_total", NULL, SUP_COUNTER,
                                    "Recipients of events that had been seen before");
    metrics.soft = sup_metric("supsync_soft_bounces_kept_total", NULL, SUP_COUNTER,
                              "Soft bounces kept for a resend");
    metrics.escalated = sup_metric("supsync_escalations_total", "mode=\"enforce\"", SUP_COUNTER,
                                   "Addresses whose soft bounces amount to a suppression");
    metrics.would_escalate = sup_metric("supsync_escalations_total", "mode=\"shadow\"", SUP_COUNTER,
                                        "Addresses whose soft bounces amount to a suppression");
    metrics.older = sup_metric("supsync_events_older_total", NULL, SUP_COUNTER,
                               "Decisions from events that lost against a newer one");
}

void sup_event_count(const struct sup_event_tally *t)
{
    pthread_once(&once, register_metrics);
    for (int i = 0; i < SUP_EVENT_KINDS; i++)
        if (t->events[i] > 0)
            sup_metric_add(metrics.events[i], (int64_t)t->events[i]);
    for (int i = 0; i < SUP_VERDICT_KINDS; i++)
        if (t->verdicts[i] > 0)
            sup_metric_add(metrics.verdicts[i], (int64_t)t->verdicts[i]);
    sup_metric_add(metrics.duplicates, (int64_t)t->duplicates);
    sup_metric_add(metrics.older, (int64_t)t->older);
    sup_metric_add(metrics.soft, (int64_t)t->soft);
    sup_metric_add(metrics.escalated, (int64_t)t->escalated);
    sup_metric_add(metrics.would_escalate, (int64_t)t->would_escalate);
}

uint64_t sup_event_tally_events(const struct sup_event_tally *t)
{
    uint64_t n = 0;

    for (int i = 0; i < SUP_EVENT_KINDS; i++)
        n += t->events[i];
    return n;
}

struct sup_classify_policy sup_event_policy(const struct sup_options *config)
{
    return (struct sup_classify_policy){
        .suppress_ambiguous_complaints = config->ingest.suppress_ambiguous_complaints,
        .ignore_global_list = config->ingest.ignore_global_list,
        .global_list_ttl_ms = config->ingest.global_list_ttl_ms,
    };
}
