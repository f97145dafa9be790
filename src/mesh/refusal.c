#include "mesh/refusal.h"

#include "base/clock.h"

#include <pthread.h>

#define REFILL_MS 1000

bool sup_log_quota_take(struct sup_log_quota *q, int64_t now_ms, uint64_t *dropped)
{
    if (q->refilled_ms == 0) {
        q->tokens = SUP_STRANGER_BURST;
        q->refilled_ms = now_ms;
    }
    int64_t earned = (now_ms - q->refilled_ms) / REFILL_MS;
    if (earned >= SUP_STRANGER_BURST) {
        q->tokens = SUP_STRANGER_BURST;
        q->refilled_ms = now_ms;
    } else if (earned > 0) {
        q->tokens += (unsigned)earned;
        q->tokens = q->tokens < SUP_STRANGER_BURST ? q->tokens : SUP_STRANGER_BURST;
        q->refilled_ms += earned * REFILL_MS;
    }
    if (q->tokens == 0) {
        q->dropped++;
        return false;
    }
    q->tokens--;
    *dropped = q->dropped;
    q->dropped = 0;
    return true;
}

bool sup_stranger_may_log(uint64_t *dropped)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    static struct sup_log_quota quota;

    pthread_mutex_lock(&mutex);
    bool may = sup_log_quota_take(&quota, sup_mono_ms(), dropped);
    pthread_mutex_unlock(&mutex);
    return may;
}
