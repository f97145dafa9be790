/* Reading the Region's list, page by page, into the scan family. */
#include "aws/sesv2.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "codec/keys.h"
#include "service/apply_txn.h"
#include "service/reconcile_internal.h"

#include <stdlib.h>
#include <string.h>

#define PAGE_SIZE 1000
#define PAGES_MAX 10000000
#define EMPTY_MAX 1000 /* in a row, each with the token of a next one */
/* Failed calls in a row before the run gives up; the client has retried each of them already. */
#define FAILURES_MAX  8
#define RETRY_BASE_MS 500
#define RETRY_CAP_MS  20000
/* A scan cut off longer ago than this starts anew: the list has moved on, and tokens expire. */
#define RESUME_MS (3600 * 1000)
/* Key prefixes of what is no address of ours. Address keys have no control characters. */
#define NOT_AN_ADDRESS 1
#define SIMULATOR      2

struct scan {
    struct sup_reconciler *rc;
    struct sup_scan_state state;
    struct sup_ses_list page;
    unsigned restarts;
    bool again;     /* the last call failed or was throttled */
    unsigned empty; /* pages in a row */
    char milestone[SUP_SCAN_TOKEN_MAX + 1];
};

enum sup_diff_cause sup_scan_key_unmanaged(struct sup_slice key)
{
    if (key.n > 0 && key.p[0] == NOT_AN_ADDRESS)
        return SUP_WHY_NOT_AN_ADDRESS;
    return key.n > 0 && key.p[0] == SIMULATOR ? SUP_WHY_SIMULATOR : (enum sup_diff_cause)0;
}

/* prefix ‖ address key ‖ NUL ‖ spelling. */
static void scan_key(struct sup_buf *k, const char *spelling)
{
    struct sup_address a;
    size_t n = strlen(spelling);

    sup_buf_reset(k);
    if (sup_address_parse(spelling, n, &a, NULL) != SUP_OK) {
        sup_buf_add_byte(k, NOT_AN_ADDRESS);
        sup_buf_add(k, spelling, n > SUP_ADDRESS_MAX - 1 ? SUP_ADDRESS_MAX - 1 : n);
    } else {
        if (sup_address_is_simulator(&a))
            sup_buf_add_byte(k, SIMULATOR);
        sup_buf_add(k, a.key, a.key_len);
    }
    sup_buf_add_byte(k, 0);
    sup_buf_add(k, spelling, n > SUP_ADDRESS_MAX ? SUP_ADDRESS_MAX : n);
}

/* Nothing is cleared for a new scan: its entries are written over those of the scans before, and
 * what it did not find is swept away behind it (see reconcile_walk.c). */
static void start_anew(struct scan *s)
{
    memset(&s->state, 0, sizeof(s->state));
    s->state.scan = sup_random_u64();
    s->state.started_ms = sup_wall_ms();
    s->milestone[0] = '\0';
}

/* Goes on where a stop or crash cut the scan off, if that is not long ago. */
static bool resume(struct scan *s)
{
    struct sup_buf value;
    int64_t now = sup_wall_ms();
    bool ok;

    sup_buf_init(&value, SUP_SCAN_TOKEN_MAX + 256);
    ok = sup_store_get(s->rc->opts.store, NULL, SUP_CF_META, sup_slice_str(SUP_META_SCAN), &value,
                       NULL) == SUP_OK &&
         sup_scan_state_decode(sup_buf_slice(&value), &s->state, NULL) == SUP_OK &&
         s->state.token[0] != '\0' && s->state.started_ms <= now &&
         now - s->state.started_ms < RESUME_MS;
    sup_buf_fini(&value);
    if (ok)
        sup_log_info("reconcile", "the scan goes on where it was cut off",
                     SUP_U("entries", s->state.entries));
    return ok;
}

/* The page's entries and how far the scan has come, in one transaction. */
static int store_page(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    struct scan *s = arg;
    struct sup_buf key;
    struct sup_buf value;
    int rc = SUP_OK;

    (void)a;
    sup_buf_init(&key, 2 * SUP_KEY_MAX);
    sup_buf_init(&value, SUP_SCAN_TOKEN_MAX + 256);
    for (size_t i = 0; i < s->page.n; i++) {
        const struct sup_ses_destination *d = &s->page.items[i];
        struct sup_scan_entry e = {.reason = (enum sup_reason)d->reason,
                                   .last_update_ms = d->last_update_ms,
                                   .scan = s->state.scan};
        scan_key(&key, d->address);
        sup_buf_reset(&value);
        sup_scan_entry_encode(&e, &value);
        sup_txn_put(t, SUP_CF_SCAN, sup_buf_slice(&key), sup_buf_slice(&value));
    }
    sup_ses_calls_put(s->rc->opts.calls, t);
    sup_buf_reset(&value);
    sup_scan_state_encode(&s->state, &value);
    if (value.failed || key.failed)
        rc = sup_err_set(err, SUP_ELIMIT, "scan state is too large");
    else
        sup_txn_put(t, SUP_CF_META, sup_slice_str(SUP_META_SCAN), sup_buf_slice(&value));
    sup_buf_fini(&key);
    sup_buf_fini(&value);
    return rc;
}

/* A service that gives a token again would never end. As Brent finds cycles: a token that comes
 * again is met by one of the milestones, which are twice as far apart each time. */
static bool goes_round(struct scan *s, const char *token)
{
    uint64_t pages = s->state.pages;

    if (strcmp(token, s->state.token) == 0 || strcmp(token, s->milestone) == 0)
        return true;
    if ((pages & (pages - 1)) == 0)
        sup_text_copy(s->milestone, sizeof(s->milestone), token);
    return false;
}

static int take_page(struct scan *s, bool *end, struct sup_err *err)
{
    const char *token = s->page.next_token;

    if (token && strlen(token) > SUP_SCAN_TOKEN_MAX)
        return sup_err_set(err, SUP_ELIMIT, "NextToken of more than %d bytes", SUP_SCAN_TOKEN_MAX);
    *end = token == NULL;
    s->state.entries += s->page.n;
    s->state.pages++;
    s->empty = s->page.n > 0 ? 0 : s->empty + 1;
    if (token && goes_round(s, token))
        return sup_err_set(err, SUP_ECORRUPT, "SES gave the same NextToken twice");
    if (!*end && (s->state.pages > PAGES_MAX || s->empty > EMPTY_MAX))
        return sup_err_set(err, SUP_ELIMIT, "the list has no end");
    sup_text_copy(s->state.token, sizeof(s->state.token), token ? token : "");
    return sup_apply_run(s->rc->opts.apply, store_page, s, err);
}

static bool wait_for_rate(struct sup_reconciler *rc)
{
    for (;;) {
        int64_t wait = sup_rate_take(&rc->rate, sup_mono_ms());
        if (wait == 0)
            return !sup_stop_is_set(&rc->stop);
        if (sup_stop_wait_ms(&rc->stop, wait))
            return false;
    }
}

static void count_call(struct scan *s, int code, const struct sup_aws_error *aerr)
{
    const struct sup_ses_call_made m = {
        .op = SUP_CALL_LIST, .code = code, .aws = aerr, .for_run = true, .again = s->again};

    sup_ses_calls_made(s->rc->opts.calls, &m);
    s->again = code != SUP_OK;
}

static int ask(struct scan *s, struct sup_aws_error *aerr, struct sup_err *err)
{
    struct sup_reconciler *rc = s->rc;
    struct sup_ses_list_query q = {
        .page_size = PAGE_SIZE,
        .next_token = s->state.token[0] ? s->state.token : NULL,
        .stop = &rc->stop,
    };
    int code;

    if (!wait_for_rate(rc))
        return SUP_ECLOSED;
    code = sup_ses_calls_take(rc->opts.calls, false, err);
    if (code != SUP_OK) {
        rc->resume = true; /* the day may begin soon */
        return code;
    }
    code = sup_ses_list_page(rc->opts.aws, &q, &s->page, aerr, err);
    count_call(s, code, aerr);
    if (aerr->throttled) {
        sup_rate_throttled(&rc->rate, sup_mono_ms());
    } else if (code == SUP_OK) {
        sup_rate_success(&rc->rate, sup_mono_ms());
    }
    return code;
}

/* Whether the page can be asked for again; *failures counts those in a row. */
static int after_failure(struct scan *s, int code, const struct sup_aws_error *aerr,
                         unsigned *failures, struct sup_err *err)
{
    struct sup_reconciler *rc = s->rc;

    if (code == SUP_ECLOSED || sup_stop_is_set(&rc->stop))
        return SUP_ECLOSED;
    if (aerr->throttled)
        return SUP_OK; /* the rate is the brake */
    if (strcmp(aerr->code, "InvalidNextTokenException") == 0 && s->state.token[0] != '\0') {
        if (++s->restarts > FAILURES_MAX)
            return sup_err_set(err, code, "SES refuses the tokens that it gave: %s", aerr->message);
        sup_log_info("reconcile", "SES does not know the token any more; the scan starts anew");
        start_anew(s);
        return SUP_OK;
    }
    if ((code != SUP_ECORRUPT && !sup_code_is_transient(code)) || ++*failures >= FAILURES_MAX)
        return code;
    sup_log_warn("reconcile", "a page of the list could not be read", SUP_S("error", err->msg));
    return sup_stop_wait_ms(&rc->stop,
                            sup_backoff_ms(&rc->rng, RETRY_BASE_MS, RETRY_CAP_MS, *failures))
               ? SUP_ECLOSED
               : SUP_OK;
}

static int read_pages(struct scan *s, struct sup_err *err)
{
    unsigned failures = 0;
    bool end = false;
    int code = SUP_OK;

    while (code == SUP_OK && !end) {
        struct sup_aws_error aerr = {0};
        code = ask(s, &aerr, err);
        if (code == SUP_OK) {
            failures = 0;
            code = take_page(s, &end, err);
        } else {
            code = after_failure(s, code, &aerr, &failures, err);
        }
        sup_ses_list_fini(&s->page);
    }
    return code;
}

int sup_reconcile_scan(struct sup_reconciler *rc, struct sup_report *r, int64_t *begin_ms,
                       struct sup_err *err)
{
    struct scan *s = calloc(1, sizeof(*s));
    int code;

    if (!s)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    s->rc = rc;
    if (!rc->resume || !resume(s))
        start_anew(s);
    r->calls[SUP_CALL_LIST] = s->state.pages;
    rc->resume = false;
    code = read_pages(s, err);
    *begin_ms = s->state.started_ms;
    rc->scan = s->state.scan;
    free(s);
    return code;
}
