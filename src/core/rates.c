#include "core/rates.h"

#include "core/classify_rules.h"

#include <string.h>
#include <strings.h>

/* --- what counts --- */

struct sup_slice sup_rates_domain(struct sup_slice address)
{
    size_t at = address.n;

    while (at > 0 && address.p[at - 1] != '@')
        at--;
    if (at == 0)
        return (struct sup_slice){0};
    size_t end = at;
    while (end < address.n && strchr("> \t\r\n", address.p[end]) == NULL)
        end++;
    return sup_slice_of(address.p + at, end - at);
}

static bool is_simulator(struct sup_slice address)
{
    static const char host[] = "simulator.amazonses.com";
    struct sup_slice domain = sup_rates_domain(address);

    return domain.n == sizeof(host) - 1 &&
           strncasecmp((const char *)domain.p, host, sizeof(host) - 1) == 0;
}

static void of_send(const struct sup_event *e,
                    void (*emit)(void *arg, const struct sup_rate_item *item), void *arg)
{
    for (size_t i = 0; i < e->n_destination; i++) {
        struct sup_slice to = e->destination[i];
        struct sup_rate_item item = {
            .what = is_simulator(to) ? SUP_RATE_SIMULATOR : SUP_RATE_SENDS,
            .n = 1,
            .recipient = to,
            .domain = sup_rates_domain(to),
        };
        emit(arg, &item);
    }
}

/* Whom it concerns may be unclear to us; that it happened is not. */
static enum sup_verdict_kind kind_of(const struct sup_event_verdict *v)
{
    switch (v->kind) {
    case SUP_VERDICT_UNMAPPED:
    case SUP_VERDICT_AMBIGUOUS:
    case SUP_VERDICT_BAD_ADDRESS:
        return v->happened;
    default:
        return v->kind;
    }
}

static enum sup_rate_what what_of(const struct sup_event *e, const struct sup_event_verdict *v)
{
    switch (kind_of(v)) {
    case SUP_VERDICT_SUPPRESS:
        return e->type == SUP_EVENT_BOUNCE ? SUP_RATE_BOUNCES : SUP_RATE_COMPLAINTS;
    case SUP_VERDICT_ECHO:
        return SUP_RATE_ECHOES;
    case SUP_VERDICT_SIMULATOR:
        return SUP_RATE_SIMULATOR;
    case SUP_VERDICT_SOFT:
        return SUP_RATE_SOFT;
    default:
        return SUP_RATE_OTHER;
    }
}

static bool is_global(const struct sup_event *e)
{
    return sup_classify_rule_for(e)->cause == SUP_CAUSE_GLOBAL_LIST;
}

/* A verdict that came of the policy (global-list hits ignored) does not change what SES counts. */
static void of_bounce(const struct sup_event *e, const struct sup_verdicts *vs,
                      void (*emit)(void *arg, const struct sup_rate_item *item), void *arg)
{
    for (size_t i = 0; i < vs->n; i++) {
        const struct sup_event_verdict *v = &vs->v[i];
        struct sup_rate_item item = {.what = what_of(e, v),
                                     .n = 1,
                                     .recipient = v->recipient,
                                     .domain = sup_rates_domain(v->recipient)};
        if (is_global(e) && kind_of(v) == SUP_VERDICT_IGNORE)
            item.what = SUP_RATE_BOUNCES;
        item.global = is_global(e) && item.what == SUP_RATE_BOUNCES;
        emit(arg, &item);
    }
}

/* One report is one complaint, however many recipients it might be about. */
static void of_complaint(const struct sup_event *e, const struct sup_verdicts *vs,
                         void (*emit)(void *arg, const struct sup_rate_item *item), void *arg)
{
    struct sup_rate_item item = {.what = SUP_RATE_OTHER, .n = 1};

    for (size_t i = 0; i < vs->n; i++) {
        enum sup_rate_what what = what_of(e, &vs->v[i]);
        if (i == 0 || what == SUP_RATE_COMPLAINTS)
            item.what = what;
        if (i == 0)
            item.domain = sup_rates_domain(vs->v[i].recipient);
    }
    if (vs->n > 0)
        emit(arg, &item);
}

void sup_rates_of(const struct sup_event *event, const struct sup_verdicts *vs,
                  void (*emit)(void *arg, const struct sup_rate_item *item), void *arg)
{
    switch (event->type) {
    case SUP_EVENT_SEND:
        of_send(event, emit, arg);
        break;
    case SUP_EVENT_BOUNCE:
        of_bounce(event, vs, emit, arg);
        break;
    case SUP_EVENT_COMPLAINT:
        of_complaint(event, vs, emit, arg);
        break;
    default:
        break;
    }
}

uint32_t sup_rates_minute(const struct sup_event *event, const struct sup_classify_context *ctx)
{
    int64_t ms = sup_classify_time(event, ctx);

    if (event->type == SUP_EVENT_SEND && event->mail_ms != SUP_NO_TIME && event->mail_ms < ms)
        ms = event->mail_ms;
    ms /= 60000;
    return ms < 0 ? 0 : ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
}

struct sup_slice sup_rates_identity(const struct sup_event *event)
{
    static const char marker[] = ":identity/";
    struct sup_slice arn = event->source_arn;
    const uint8_t *p = arn.n > 0 ? memmem(arn.p, arn.n, marker, sizeof(marker) - 1) : NULL;

    if (p == NULL)
        return sup_rates_domain(event->source);
    p += sizeof(marker) - 1;
    return sup_slice_of(p, arn.n - (size_t)(p - arn.p));
}

/* --- windows --- */

const struct sup_rate_window sup_rate_windows[SUP_RATE_WINDOWS] = {
    {"1h", 60, 0},          {"24h", 24 * 60, 0},      {"7d", SUP_RATE_MINUTES, 0},
    {"last-1000", 0, 1000}, {"last-10000", 0, 10000}, {"last-100000", 0, 100000},
};

void sup_rate_view_add(struct sup_rate_view *v, uint32_t age, const struct sup_rate_counts *c)
{
    for (size_t i = 0; i < SUP_RATE_WINDOWS; i++) {
        const struct sup_rate_window *w = &sup_rate_windows[i];
        bool within = w->minutes > 0 ? age < w->minutes : v->window[i].n[SUP_RATE_SENDS] < w->sends;
        if (within)
            sup_rate_counts_add(&v->window[i], c);
    }
}

/* --- thresholds --- */

const char *sup_rate_level_name(enum sup_rate_level l)
{
    switch (l) {
    case SUP_RATE_FINE:
        return "fine";
    case SUP_RATE_WATCH:
        return "watch";
    case SUP_RATE_REVIEW:
        return "review";
    case SUP_RATE_PAUSE:
        return "pause";
    }
    return "fine";
}

static double part(uint64_t n, uint64_t of)
{
    return of > 0 ? (double)n / (double)of : 0;
}

double sup_rate_bounces(const struct sup_rate_counts *c)
{
    return part(c->n[SUP_RATE_BOUNCES], c->n[SUP_RATE_SENDS]);
}

double sup_rate_complaints(const struct sup_rate_counts *c)
{
    return part(c->n[SUP_RATE_COMPLAINTS], c->n[SUP_RATE_SENDS]);
}

/* SES developer guide, "Sending review process FAQs". */
static const double bounce_limits[] = {0.02, 0.05, 0.10};     /* watch, review, pause */
static const double complaint_limits[] = {2.0, 0.001, 0.005}; /* no rate is watched */

const struct sup_rate_rules sup_rate_default_rules = {
    .floor_bounces = SUP_RATE_FLOOR_BOUNCES,
    .floor_complaints = SUP_RATE_FLOOR_COMPLAINTS,
    .leave = SUP_RATE_LEAVE,
};

static enum sup_rate_level level(const double *limits, double leave, double rate,
                                 enum sup_rate_level before)
{
    enum sup_rate_level l = SUP_RATE_FINE;

    for (unsigned i = 0; i < 3; i++) {
        bool was = before >= (enum sup_rate_level)(i + 1);
        if (rate >= (was ? limits[i] * leave : limits[i]))
            l = (enum sup_rate_level)(i + 1);
    }
    return l;
}

enum sup_rate_level sup_rate_bounce_level(const struct sup_rate_rules *rules,
                                          const struct sup_rate_view *v, enum sup_rate_level before)
{
    enum sup_rate_level worst = SUP_RATE_FINE;

    for (size_t i = 0; i < SUP_RATE_WINDOWS; i++) {
        const struct sup_rate_counts *c = &v->window[i];
        enum sup_rate_level l = level(bounce_limits, rules->leave, sup_rate_bounces(c), before);
        if (c->n[SUP_RATE_SENDS] >= rules->floor_bounces && l > worst)
            worst = l;
    }
    return worst;
}

enum sup_rate_level sup_rate_complaint_level(const struct sup_rate_rules *rules,
                                             const struct sup_rate_view *v,
                                             enum sup_rate_level before)
{
    enum sup_rate_level worst = SUP_RATE_FINE;

    for (size_t i = 0; i < SUP_RATE_WINDOWS; i++) {
        const struct sup_rate_counts *c = &v->window[i];
        enum sup_rate_level l =
            level(complaint_limits, rules->leave, sup_rate_complaints(c), before);
        if (c->n[SUP_RATE_SENDS] >= rules->floor_complaints && l > worst)
            worst = l;
    }
    return worst;
}
