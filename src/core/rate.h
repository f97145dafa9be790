#ifndef SUP_CORE_RATE_H
#define SUP_CORE_RATE_H

#include <stdint.h>

/* The allowed rate of one SES operation in one Region: starts at 1 request/s (all that SES
 * documents for its non-sending actions), grows by about 1/s each second in which it is used up
 * without a throttle, up to a maximum, and halves on one (additive increase, multiplicative
 * decrease). Pure; times are monotonic milliseconds; not thread-safe. */

struct sup_rate {
    double rps;
    double max_rps;
    double tokens;     /* 0 … burst */
    int64_t refill_ms; /* when tokens was right */
    int64_t grow_ms;   /* when rps last changed */
};

#define SUP_RATE_START 1.0
/* However often it was throttled: one attempt in four seconds harms nobody where one a second is
 * allowed, and a storm of throttles is over soon after it ends. */
#define SUP_RATE_MIN     0.25
#define SUP_RATE_MAX_MIN 0.001 /* a maximum below this, or none, is this */

/* rps: what was kept from before a restart; 0 = start afresh. */
void sup_rate_init(struct sup_rate *r, double rps, double max_rps, int64_t now_ms);
/* Takes a token: 0 if a request may go now, else the milliseconds to wait before asking again. */
int64_t sup_rate_take(struct sup_rate *r, int64_t now_ms);
/* The request that a token was taken for goes out only now, because something had to be done first:
 * where requests go one by one, the next one is put off as well. */
void sup_rate_sent(struct sup_rate *r, int64_t now_ms);
/* A request went through unthrottled. */
void sup_rate_success(struct sup_rate *r, int64_t now_ms);
/* 429 or a throttling code. Several within one second count once: they answer the same burst. */
void sup_rate_throttled(struct sup_rate *r, int64_t now_ms);

#endif
