/* Caching and refreshing of credentials. */
#include "aws/credentials_source.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define ADVISORY_MS    (15 * 60 * 1000) /* refresh ahead of expiry, others go on */
#define MANDATORY_MS   (10 * 60 * 1000) /* everybody waits for the refresh */
#define RETRY_AFTER_MS 30000            /* after a failed refresh while the old keys still serve */
#define STABLE_EXTRA_MS                                                                            \
    (10 * 60 * 1000)      /* static stability: expired metadata keys serve so long                 \
                           */
#define FAIL_HOLD_MS 1000 /* a failure answers callers for this long */

struct sup_aws_provider {
    struct sup_aws_provider_options o;
    char *profile, *region, *endpoint_url; /* what o points to */
    pthread_mutex_t mutex;
    pthread_cond_t cond; /* a refresh ended */
    struct sup_aws_credentials current;
    bool have;
    bool stale; /* AWS refused the keys */
    bool refreshing;
    int64_t retry_mono_ms; /* no refresh before, unless the keys are stale or gone */
    struct sup_err last_error;
    int64_t error_mono_ms; /* 0: the last refresh worked */
};

static int keep(char **to, const char *from)
{
    if (from == NULL)
        return SUP_OK;
    *to = strdup(from);
    return *to != NULL ? SUP_OK : SUP_ENOMEM;
}

int sup_aws_provider_new(struct sup_aws_provider **out, const struct sup_aws_provider_options *opt,
                         struct sup_err *err)
{
    struct sup_aws_provider *p = calloc(1, sizeof *p);

    *out = NULL;
    if (p == NULL)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    pthread_mutex_init(&p->mutex, NULL);
    sup_cond_init(&p->cond);
    p->o = *opt;
    if (keep(&p->profile, opt->profile) != SUP_OK || keep(&p->region, opt->region) != SUP_OK ||
        keep(&p->endpoint_url, opt->endpoint_url) != SUP_OK) {
        sup_aws_provider_free(p);
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    }
    p->o.profile = p->profile;
    p->o.region = p->region;
    p->o.endpoint_url = p->endpoint_url;
    *out = p;
    return SUP_OK;
}

void sup_aws_provider_free(struct sup_aws_provider *p)
{
    if (p == NULL)
        return;
    sup_aws_credentials_fini(&p->current);
    pthread_cond_destroy(&p->cond);
    pthread_mutex_destroy(&p->mutex);
    free(p->profile);
    free(p->region);
    free(p->endpoint_url);
    free(p);
}

void sup_aws_provider_invalidate(struct sup_aws_provider *p)
{
    pthread_mutex_lock(&p->mutex);
    p->stale = p->have;
    pthread_mutex_unlock(&p->mutex);
}

/* ---- state, under the mutex ---- */

enum need { FRESH, ADVISORY, MANDATORY };

static int64_t left_ms(const struct sup_aws_provider *p)
{
    if (p->current.expires_ms == 0)
        return INT64_MAX;
    return p->current.expires_ms - sup_aws_wall_ms(p->o.env);
}

static enum need need_of(const struct sup_aws_provider *p)
{
    if (!p->have || p->stale)
        return MANDATORY;
    int64_t left = left_ms(p);
    if (left > ADVISORY_MS)
        return FRESH;
    if (sup_mono_ms() < p->retry_mono_ms)
        return FRESH; /* a refresh failed a moment ago; these keys still serve */
    return left > MANDATORY_MS ? ADVISORY : MANDATORY;
}

/* Metadata services hand out keys past their expiry when they are in trouble, and AWS honours them.
 */
static bool is_stable(const struct sup_aws_provider *p)
{
    const char *source = p->current.source;
    return source != NULL &&
           (strcmp(source, "ec2-metadata") == 0 || strcmp(source, "container") == 0);
}

static void store(struct sup_aws_provider *p, struct sup_aws_credentials *fresh)
{
    sup_aws_credentials_fini(&p->current);
    p->current = *fresh;
    p->have = true;
    p->stale = false;
    p->error_mono_ms = 0;
    p->retry_mono_ms = 0;
    /* Fresh keys that already are near their end: no point in asking again with every call. */
    if (left_ms(p) <= ADVISORY_MS)
        p->retry_mono_ms = sup_mono_ms() + RETRY_AFTER_MS;
}

/* Do the old keys go on? */
static bool survive(struct sup_aws_provider *p, int rc, const struct sup_err *why)
{
    int64_t now = sup_mono_ms();

    p->last_error = *why;
    p->error_mono_ms = now;
    if (!p->have || p->stale)
        return false;
    int64_t left = left_ms(p);
    if (left <= 0 && !(is_stable(p) && sup_code_is_transient(rc)))
        return false;
    p->retry_mono_ms = now + RETRY_AFTER_MS + (int64_t)(sup_random_u64() % RETRY_AFTER_MS);
    if (left <= 0)
        p->retry_mono_ms =
            now + STABLE_EXTRA_MS / 2 + (int64_t)(sup_random_u64() % (STABLE_EXTRA_MS / 2));
    sup_log_warn("aws", "credentials refresh failed, the old ones stay in use",
                 SUP_S("error", why->msg), SUP_I("expires_in_s", left / 1000));
    return true;
}

static int give(const struct sup_aws_provider *p, struct sup_aws_credentials *out,
                struct sup_err *err)
{
    int rc = sup_aws_credentials_copy(out, &p->current);
    return rc == SUP_OK ? rc : sup_err_set(err, rc, "out of memory");
}

static int give_error(const struct sup_aws_provider *p, struct sup_err *err)
{
    return sup_err_set(err, p->last_error.code, "%s", p->last_error.msg);
}

/* The mutex is released while the source is asked. */
static int refresh(struct sup_aws_provider *p, struct sup_aws_credentials *out, struct sup_err *err)
{
    struct sup_aws_credentials fresh = {0};
    struct sup_err why = {0};

    p->refreshing = true;
    pthread_mutex_unlock(&p->mutex);
    int rc = sup_cred_chain(&p->o, &fresh, &why);
    pthread_mutex_lock(&p->mutex);
    p->refreshing = false;
    pthread_cond_broadcast(&p->cond);
    why.code = rc;
    if (rc == SUP_OK)
        store(p, &fresh);
    else if (!survive(p, rc, &why))
        return give_error(p, err);
    return give(p, out, err);
}

static int get_locked(struct sup_aws_provider *p, struct sup_aws_credentials *out,
                      struct sup_err *err)
{
    for (;;) {
        enum need need = need_of(p);
        if (need == FRESH || (need == ADVISORY && p->refreshing))
            return give(p, out, err);
        if (p->error_mono_ms != 0 && sup_mono_ms() - p->error_mono_ms < FAIL_HOLD_MS)
            return give_error(p, err);
        if (!p->refreshing)
            return refresh(p, out, err);
        if (p->o.stop != NULL && sup_stop_is_set(p->o.stop))
            return sup_err_set(err, SUP_ECLOSED, "stopped while waiting for credentials");
        sup_cond_wait_ms(&p->cond, &p->mutex, 200);
    }
}

int sup_aws_provider_get(struct sup_aws_provider *p, struct sup_aws_credentials *out,
                         struct sup_err *err)
{
    *out = (struct sup_aws_credentials){0};
    pthread_mutex_lock(&p->mutex);
    int rc = get_locked(p, out, err);
    pthread_mutex_unlock(&p->mutex);
    return rc;
}
