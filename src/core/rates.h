#ifndef SUP_CORE_RATES_H
#define SUP_CORE_RATES_H

#include "codec/rate_counts.h"
#include "core/classify.h"
#include "model/event.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bounce and complaint rates, estimated as SES counts them. Pure, any thread.
 *
 * SES developer guide, "Amazon SES Sending review process FAQs": hard bounces only; a message to n
 * recipients is n sends; no mailbox simulator, no hits of the account's own list; hits of the
 * global list count. SES takes a "representative volume" that it does not tell, leaves out mail to
 * verified domains, and hears of complaints that are never published: hence an estimate. */

/* One thing to count. Slices are the event's. */
struct sup_rate_item {
    enum sup_rate_what what;
    uint32_t n;
    bool global; /* BOUNCES: counts as GLOBAL, too */
    struct sup_slice
        recipient; /* "" = the event as a whole; with the event's id it tells a repetition */
    struct sup_slice domain; /* of the recipient, as written; "" = none */
};

/* Calls emit for what the event adds to the counts. vs: what sup_classify said of it. */
void sup_rates_of(const struct sup_event *event, const struct sup_verdicts *vs,
                  void (*emit)(void *arg, const struct sup_rate_item *item), void *arg);
/* The minute that the event belongs to: a send's own time, what happened to it for the others. */
uint32_t sup_rates_minute(const struct sup_event *event, const struct sup_classify_context *ctx);
/* The sending identity: of the ARN, else the domain of the source. A slice of the event's. */
struct sup_slice sup_rates_identity(const struct sup_event *event);
/* What follows the last '@', without a '>' behind it. */
struct sup_slice sup_rates_domain(struct sup_slice address);

/* --- windows --- */

enum { SUP_RATE_WINDOWS = 6, SUP_RATE_MINUTES = 7 * 24 * 60 };

struct sup_rate_window {
    const char *name; /* "1h" "24h" "7d" "last-1000" … */
    uint32_t minutes; /* by time; 0 = by volume */
    uint64_t sends;
};
extern const struct sup_rate_window sup_rate_windows[SUP_RATE_WINDOWS];

struct sup_rate_view {
    struct sup_rate_counts window[SUP_RATE_WINDOWS];
};
/* Adds a minute; the newest first, each once. age: minutes before now. A window by volume ends with
 * the minute in which it is full, so it may hold somewhat more. */
void sup_rate_view_add(struct sup_rate_view *v, uint32_t age, const struct sup_rate_counts *c);

/* --- thresholds --- */

enum sup_rate_level { SUP_RATE_FINE, SUP_RATE_WATCH, SUP_RATE_REVIEW, SUP_RATE_PAUSE };
const char *sup_rate_level_name(enum sup_rate_level l); /* "fine" "watch" "review" "pause" */

/* Part of sends; 0 when there are none. */
double sup_rate_bounces(const struct sup_rate_counts *c);
double sup_rate_complaints(const struct sup_rate_counts *c);

/* When a level is told. */
struct sup_rate_rules {
    uint64_t floor_bounces; /* sends below which nothing is said of a window: FINE */
    uint64_t
        floor_complaints; /* the same for complaints, of which it takes more to mean something */
    double leave;         /* a level that was reached is left below this part of its threshold */
};
#define SUP_RATE_FLOOR_BOUNCES    100
#define SUP_RATE_FLOOR_COMPLAINTS 1000
#define SUP_RATE_LEAVE            0.8
extern const struct sup_rate_rules sup_rate_default_rules; /* of the three above */

/* The level of a rate: bounces 2, 5, 10 % (keep below, review, pause); complaints 0.1 and 0.5 %
 * (review, pause). before: the level the last time. */
enum sup_rate_level sup_rate_bounce_level(const struct sup_rate_rules *rules,
                                          const struct sup_rate_view *v,
                                          enum sup_rate_level before);
enum sup_rate_level sup_rate_complaint_level(const struct sup_rate_rules *rules,
                                             const struct sup_rate_view *v,
                                             enum sup_rate_level before);

#endif
