#include "fake_service.h"

#include "service/coverage.h"
#include "service/event_log.h"
#include "service/members.h"
#include "service/rates.h"
#include "service/reconcile.h"
#include "service/regions.h"
#include "service/sns_source.h"
#include "service/soft.h"
#include "service/sources.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sup_service {
    struct fake_service fake;
};

struct sup_service *fake_service_new(struct fake_service **out)
{
    struct sup_service *s = calloc(1, sizeof(*s));
    if (s == NULL)
        abort();
    pthread_mutex_init(&s->fake.mutex, NULL);
    s->fake.ready = s->fake.healthy = true;
    *out = &s->fake;
    return s;
}

void fake_service_free(struct sup_service *s)
{
    pthread_mutex_destroy(&s->fake.mutex);
    free(s);
}

const char *sup_answer_name(enum sup_answer a)
{
    return a == SUP_ALLOW ? "allow" : a == SUP_BLOCK ? "block" : "unknown";
}

static bool begins(const struct sup_address *a, const char *s)
{
    return strncmp(a->key, s, strlen(s)) == 0;
}

int sup_service_check(struct sup_service *s, const char *address, size_t n, struct sup_check *out,
                      struct sup_err *err)
{
    struct sup_address a;
    (void)s;
    memset(out, 0, sizeof(*out));
    out->verdict = SUP_UNKNOWN;
    out->since_ms = SUP_NO_TIME;
    out->n_regions = 2;
    out->regions[0].region = "eu-west-1";
    out->regions[1].region = "us-east-1";
    out->regions[1].age_s = -1;
    int rc = sup_address_parse(address, n, &a, err);
    if (rc != SUP_OK)
        return rc;
    if (begins(&a, "io"))
        return sup_err_set(err, SUP_EIO, "the store cannot be read");
    if (begins(&a, "unknown")) {
        out->why = "joining";
        return SUP_OK;
    }
    out->verdict = SUP_ALLOW;
    if (begins(&a, "block") || begins(&a, "complaint")) {
        out->verdict = SUP_BLOCK;
        out->reason = begins(&a, "block") ? SUP_REASON_BOUNCE : SUP_REASON_COMPLAINT;
        out->cause = SUP_CAUSE_EVENT;
        out->since_ms = 1764000000123;
    }
    return SUP_OK;
}

/* Texts that JSON has trouble with. */
static const struct sup_shown_decision decision = {
    .cls = SUP_CLASS_BOUNCE,
    .state = SUP_SUPPRESSED,
    .cause = SUP_CAUSE_EVENT,
    .time = (sup_hlc_time)1764000000123 << SUP_HLC_COUNTER_BITS,
    .origin = 7,
    .origin_name = "eu-west-1",
    .actor = "",
    .note = "quote \" backslash \\ newline \n control \001 e \xc3\xa9",
    .region = "eu-west-1",
    .feedback_id = "fb-1",
    .message_id = "",
    .sub_type = "Permanent/General",
    .status = "5.1.1",
    .diagnostic = "smtp; 550 caf\xe9 (Latin-1) \xf0\x9f",
    .spelling = "Block@x.example",
};

int sup_service_show(struct sup_service *s, const char *address, size_t n, struct sup_shown *out,
                     struct sup_err *err)
{
    static struct sup_shown_decision history[2];
    static struct sup_shown_ses ses = {.region = "eu-west-1",
                                       .spelling = "Block@x.example",
                                       .present = true,
                                       .reason = SUP_REASON_BOUNCE,
                                       .last_update_ms = 1764000000000,
                                       .last_write_ms = SUP_NO_TIME,
                                       .last_error = ""};
    (void)s;
    memset(out, 0, sizeof(*out));
    int rc = sup_address_parse(address, n, &out->address, err);
    if (rc != SUP_OK)
        return rc;
    if (begins(&out->address, "none"))
        return sup_err_set(err, SUP_ENOTFOUND, "nothing is known of %.100s", out->address.key);
    if (begins(&out->address, "io"))
        return sup_err_set(err, SUP_EIO, "the store cannot be read");
    history[0] = history[1] = decision;
    out->verdict = SUP_BLOCK;
    out->reason = SUP_REASON_BOUNCE;
    out->first_seen_ms = 1764000000000;
    out->last_seen_ms = SUP_NO_TIME;
    out->registers = history;
    out->n_registers = 1;
    out->history = history;
    out->n_history = 2;
    out->ses = &ses;
    out->n_ses = 1;
    out->mem = malloc(1);
    return SUP_OK;
}

void sup_shown_fini(struct sup_shown *shown)
{
    free(shown->mem);
    memset(shown, 0, sizeof(*shown));
}

static void keep(char *to, size_t cap, const char *from)
{
    snprintf(to, cap, "%s", from != NULL ? from : "");
}

int sup_service_list(struct sup_service *s, const struct sup_list_filter *f,
                     bool (*row)(void *, const struct sup_row *), void *arg, bool *more,
                     struct sup_err *err)
{
    struct fake_service *fake = &s->fake;
    pthread_mutex_lock(&fake->mutex);
    fake->filter = *f;
    keep(fake->domain, sizeof(fake->domain), f->domain);
    keep(fake->region, sizeof(fake->region), f->region);
    keep(fake->after, sizeof(fake->after), f->after);
    pthread_mutex_unlock(&fake->mutex);
    atomic_fetch_add(&fake->listing, 1);
    uint64_t given = 0, i = 0;
    bool go_on = true;
    int rc = SUP_OK;
    for (; i < fake->rows && go_on && (f->limit == 0 || given < f->limit); i++) {
        char address[64];
        snprintf(address, sizeof(address), "a%07llu@x.example", (unsigned long long)i);
        if (strcmp(address, f->after) <= 0)
            continue;
        if (fake->fail_after != 0 && given == fake->fail_after) {
            rc = sup_err_set(err, SUP_EIO, "the disk is gone");
            break;
        }
        struct sup_row r = {.address = address,
                            .state = SUP_SUPPRESSED,
                            .reason = SUP_REASON_BOUNCE,
                            .decision = decision};
        go_on = row(arg, &r);
        given++;
        atomic_fetch_add(&fake->produced, 1);
    }
    if (more != NULL)
        *more = i < fake->rows;
    atomic_fetch_sub(&fake->listing, 1);
    return rc;
}

static int rule(struct sup_service *s, const struct sup_ruling *r, struct sup_err *err)
{
    struct fake_service *fake = &s->fake;
    struct sup_address a;
    int rc = sup_address_parse(r->address, r->address_len, &a, err);
    if (rc != SUP_OK)
        return rc;
    if (begins(&a, "io"))
        return sup_err_set(err, SUP_EIO, "the disk is full");
    keep(fake->address, sizeof(fake->address), a.spelling);
    keep(fake->actor, sizeof(fake->actor), r->actor);
    keep(fake->note, sizeof(fake->note), r->note);
    fake->cls = r->cls;
    fake->expires_in_ms = r->expires_in_ms;
    fake->force = r->force;
    return SUP_OK;
}

int sup_service_suppress(struct sup_service *s, const struct sup_ruling *r, struct sup_err *err)
{
    pthread_mutex_lock(&s->fake.mutex);
    int rc = rule(s, r, err);
    s->fake.suppressed += rc == SUP_OK;
    pthread_mutex_unlock(&s->fake.mutex);
    return rc;
}

int sup_service_clear(struct sup_service *s, const struct sup_ruling *r, struct sup_err *err)
{
    pthread_mutex_lock(&s->fake.mutex);
    int rc = rule(s, r, err);
    if (rc == SUP_OK && strncmp(s->fake.address, "none", 4) == 0)
        rc = sup_err_set(err, SUP_ENOTFOUND, "nothing is known of it");
    if (rc == SUP_OK && strncmp(s->fake.address, "complaint", 9) == 0 && !r->force)
        rc = sup_err_set(err, SUP_EAUTH, "its owner complained");
    s->fake.cleared += rc == SUP_OK;
    pthread_mutex_unlock(&s->fake.mutex);
    return rc;
}

void sup_service_status(struct sup_service *s, struct sup_status *out)
{
    memset(out, 0, sizeof(*out));
    out->node = "eu-west-1/b";
    out->region = "eu-west-1";
    out->mode = "enforce";
    out->node_id = UINT64_MAX;
    out->healthy = s->fake.healthy;
    out->ready = s->fake.ready;
    if (!out->healthy || !out->ready)
        snprintf(out->problems[out->n_problems++], sizeof(out->problems[0]), "the sky falls");
    out->n_peers = 1;
    out->peers[0].name = "us-east-1";
    out->peers[0].url = "tls+tcp://h:1";
    out->peers[0].lag_mutations = 12;
    out->peers[0].lag_seconds = 1.5;
    out->peers[0].last_contact_ms = SUP_NO_TIME;
    out->peers[0].last_repair_ms = SUP_NO_TIME;
    out->peers[0].unacked_mutations = 7;
    out->peers[0].membership = "older";
    out->n_refusals = 1;
    out->refusals[0] = (struct sup_refusal_status){.reason = "name", .by_us = 3};
    out->n_left = 1;
    out->left[0] = (struct sup_left_status){.name = "gone-1", .time_ms = 1764000000000};
    out->queue.last_receive_ms = SUP_NO_TIME;
    out->records = UINT64_MAX;
    out->started_ms = 1764000000000;
}

/* Archives, SNS and reconciliation: there is nothing. */

int sup_service_backfill(struct sup_service *s, struct sup_slice body,
                         void (*done)(void *arg, const struct sup_event_job *job), void *arg,
                         struct sup_err *err)
{
    (void)s;
    (void)body;
    (void)done;
    (void)arg;
    return sup_err_set(err, SUP_ECLOSED, "the fake takes no events");
}

void sup_service_take_sns(struct sup_service *s, const struct sup_sns_delivery *d,
                          struct sup_sns_answer *out)
{
    (void)s;
    (void)d;
    memset(out, 0, sizeof(*out));
}

int sup_service_reconcile(struct sup_service *s, bool dry_run, char id[SUP_REPORT_ID_MAX + 1],
                          struct sup_err *err)
{
    (void)s;
    (void)dry_run;
    id[0] = '\0';
    return sup_err_set(err, SUP_ECLOSED, "the fake does not reconcile");
}

const char *sup_service_node(struct sup_service *s)
{
    (void)s;
    return "fake";
}

int sup_service_reconcile_plan(struct sup_service *s, const char *plan,
                               char id[SUP_REPORT_ID_MAX + 1], struct sup_err *err)
{
    (void)plan;
    return sup_service_reconcile(s, false, id, err);
}

/* One plan, "known", of two steps and something that is only reported. */
int sup_service_plan(struct sup_service *s, const char *id, struct sup_report *out,
                     bool (*each)(void *arg, const struct sup_difference *d), void *arg,
                     struct sup_err *err)
{
    static const struct sup_difference d[] = {
        {.address = "a@example.com",
         .kind = SUP_DIFF_MISSING,
         .cause = SUP_WHY_NEVER_LISTED,
         .action = SUP_DO_PUT,
         .result = SUP_DIFF_PLANNED,
         .reason = SUP_REASON_BOUNCE},
        {.address = "b@example.com",
         .kind = SUP_DIFF_TWIN,
         .cause = SUP_WHY_SPELLINGS,
         .result = SUP_DIFF_NONE},
        {.address = "\"c d\"@example.com",
         .spelling = "\"C d\"@example.com",
         .kind = SUP_DIFF_EXTRA,
         .cause = SUP_WHY_ADDED,
         .action = SUP_DO_ADOPT_ADD,
         .result = SUP_DIFF_PLANNED,
         .reason = SUP_REASON_COMPLAINT,
         .time_ms = 1700000000123},
    };

    (void)s;
    memset(out, 0, sizeof(*out));
    if (strcmp(id, "known") != 0)
        return sup_err_set(err, SUP_ENOTFOUND, "no report %s", id);
    snprintf(out->id, sizeof(out->id), "known");
    snprintf(out->region, sizeof(out->region), "eu-west-1");
    out->finished_ms = 1700000000000;
    for (size_t i = 0; each && i < sizeof(d) / sizeof(d[0]) && each(arg, &d[i]); i++)
        ;
    return SUP_OK;
}

int sup_service_report(struct sup_service *s, const char *id, struct sup_report *out,
                       bool (*each)(void *arg, const struct sup_difference *d), void *arg,
                       struct sup_err *err)
{
    (void)s;
    (void)each;
    (void)arg;
    memset(out, 0, sizeof(*out));
    return sup_err_set(err, SUP_ENOTFOUND, "no report %s", id);
}

int sup_service_reports(struct sup_service *s, bool (*each)(void *arg, const struct sup_report *r),
                        void *arg, struct sup_err *err)
{
    (void)s;
    (void)each;
    (void)arg;
    (void)err;
    return SUP_OK;
}

/* This node, and a peer that is away. */
size_t sup_service_regions(struct sup_service *s, int64_t wait_ms, struct sup_region_view *out,
                           size_t max)
{
    (void)s;
    (void)wait_ms;
    if (max < 2)
        return 0;
    memset(out, 0, 2 * sizeof(*out));
    out[0].node = "fake";
    out[0].known = out[0].connected = true;
    out[0].heard_ms = 1700000000000;
    out[0].summary.pending = 7;
    out[1].node = "away";
    out[1].heard_ms = SUP_NO_TIME;
    snprintf(out[1].error, sizeof(out[1].error), "not connected");
    return 2;
}

void sup_service_fuse(struct sup_service *s, struct sup_fuse *out)
{
    (void)s;
    memset(out, 0, sizeof(*out));
}

int sup_service_fuse_decide(struct sup_service *s, bool confirm, const char *actor,
                            struct sup_err *err)
{
    (void)s;
    (void)confirm;
    (void)actor;
    return sup_err_set(err, SUP_ENOTFOUND, "no fuse has tripped");
}

int sup_service_coverage(struct sup_service *s, bool fresh, struct sup_coverage **out,
                         struct sup_err *err)
{
    (void)s;
    *out = NULL;
    if (!fresh)
        return sup_err_set(err, SUP_ENOTFOUND, "the fake has none");
    *out = calloc(1, sizeof(**out));
    (*out)->sets.items = calloc(2, sizeof(*(*out)->sets.items));
    if (*out == NULL || (*out)->sets.items == NULL)
        abort();
    atomic_init(&(*out)->holders, 1);
    (*out)->brief = (struct sup_coverage_brief){.state = SUP_COVERAGE_GAPS,
                                                .reasons = SUP_REASON_BOUNCE,
                                                .gaps = {.total = 1, .n = 1, .text = {"a gap"}}};
    (*out)->partial = true;
    (*out)->sets.items[0] = (struct sup_coverage_item){
        .name = "odd",
        .own = {.given = true, .scope = SUP_SCOPE_TENANT},
        .effective = {.reasons_from = SUP_LEVEL_SET, .scope = SUP_SCOPE_TENANT}};
    (*out)->sets.items[1] = (struct sup_coverage_item){.name = "unread", .unread = true};
    (*out)->sets.n = 2;
    (*out)->changes[0] = (struct sup_coverage_change){
        .time_ms = 7, .before = SUP_REASON_COMPLAINT, .after = SUP_COVERS_ALL, .text = "why"};
    (*out)->n_changes = 1;
    return SUP_OK;
}

int sup_service_decommission(struct sup_service *s, const struct sup_member_ruling *m,
                             struct sup_err *err)
{
    pthread_mutex_lock(&s->fake.mutex);
    keep(s->fake.address, sizeof(s->fake.address), m->node);
    keep(s->fake.actor, sizeof(s->fake.actor), m->actor);
    keep(s->fake.note, sizeof(s->fake.note), m->note);
    s->fake.force = m->force;
    s->fake.undo = m->undo;
    pthread_mutex_unlock(&s->fake.mutex);
    return strcmp(m->node, "nobody") == 0 ? sup_err_set(err, SUP_ENOTFOUND, "never a peer")
                                          : SUP_OK;
}

int sup_service_rates(struct sup_service *s, enum sup_rate_kind up_to, size_t max,
                      struct sup_rate_row **rows, size_t *n, struct sup_err *err)
{
    (void)s;
    (void)up_to;
    (void)max;
    (void)rows;
    (void)n;
    return sup_err_set(err, SUP_ECLOSED, "the fake has none");
}

int sup_service_soft_list(struct sup_service *s, bool due_only, int64_t after_ms,
                          const uint8_t *after_id,
                          bool (*row)(void *arg, const struct sup_soft_row *row), void *arg,
                          struct sup_err *err)
{
    (void)s;
    (void)due_only;
    (void)after_ms;
    (void)after_id;
    (void)row;
    (void)arg;
    (void)err;
    return SUP_OK;
}

int sup_service_soft_claim(struct sup_service *s, size_t n, int64_t lease_ms,
                           bool (*row)(void *arg, const struct sup_soft_row *row), void *arg,
                           struct sup_err *err)
{
    (void)s;
    (void)n;
    (void)lease_ms;
    (void)row;
    (void)arg;
    (void)err;
    return SUP_OK;
}

int sup_service_soft_ack(struct sup_service *s, const uint8_t *id, uint64_t lease,
                         struct sup_err *err)
{
    (void)s;
    (void)id;
    (void)lease;
    return sup_err_set(err, SUP_ENOTFOUND, "no such soft bounce");
}

int sup_service_events(struct sup_service *s, const struct sup_event_filter *filter,
                       bool (*row)(void *arg, int64_t time_ms, const struct sup_event_entry *e),
                       void *arg, struct sup_err *err)
{
    (void)s;
    (void)filter;
    (void)row;
    (void)arg;
    (void)err;
    return SUP_OK;
}
