#include "service/event_log.h"

#include "base/clock.h"
#include "service/internal.h"

#include <string.h>
#include <strings.h>

#define KEY_BYTES  (8 + SUP_EVENT_ENTRY_ID)
#define TRIM_BATCH 1000

static struct sup_slice bound(uint8_t *b, int64_t ms)
{
    if (ms == SUP_NO_TIME)
        return (struct sup_slice){NULL, 0};
    sup_put_be64(b, ms < 0 ? 0 : (uint64_t)ms);
    return sup_slice_of(b, 8);
}

static bool is_text(struct sup_slice s, const char *text)
{
    return *text == '\0' || (s.n == strlen(text) && strncasecmp((const char *)s.p, text, s.n) == 0);
}

static bool has_line(struct sup_slice lines, const char *line)
{
    size_t n = strlen(line);

    if (n == 0)
        return true;
    while (lines.n > 0) {
        const uint8_t *nl = memchr(lines.p, '\n', lines.n);
        size_t k = nl != NULL ? (size_t)(nl - lines.p) : lines.n;
        if (k == n && memcmp(lines.p, line, n) == 0)
            return true;
        k += nl != NULL;
        lines = sup_slice_of(lines.p + k, lines.n - k);
    }
    return false;
}

static int search(struct sup_iter *it, const struct sup_event_filter *f,
                  bool (*row)(void *arg, int64_t time_ms, const struct sup_event_entry *e),
                  void *arg, struct sup_buf *scratch)
{
    uint64_t n = 0;
    int rc = SUP_OK;

    for (; rc == SUP_OK && sup_iter_valid(it); sup_iter_next(it)) {
        struct sup_event_entry e;
        int64_t time_ms;
        if (!sup_key_event_parse(sup_iter_key(it), &time_ms))
            return SUP_ECORRUPT;
        rc = sup_event_entry_decode(sup_iter_value(it), NULL, &e);
        if (rc != SUP_OK || !is_text(e.type, f->type) || !is_text(e.message_id, f->message_id) ||
            !has_line(e.addresses, f->address))
            continue;
        rc = sup_event_entry_decode(sup_iter_value(it), scratch, &e);
        if (rc == SUP_OK && (!row(arg, time_ms, &e) || ++n == f->limit))
            return SUP_OK;
    }
    return rc;
}

int sup_service_events(struct sup_service *s, const struct sup_event_filter *filter,
                       bool (*row)(void *arg, int64_t time_ms, const struct sup_event_entry *e),
                       void *arg, struct sup_err *err)
{
    uint8_t from[8], to[8];
    struct sup_buf scratch;
    struct sup_snapshot *snap = sup_store_snapshot(s->store);
    struct sup_iter *it = sup_iter_new(s->store, snap, SUP_CF_EVENTS, bound(from, filter->since_ms),
                                       bound(to, filter->until_ms));

    sup_buf_init(&scratch, SUP_EVENT_ENTRY_RAW_MAX);
    int rc = it ? search(it, filter, row, arg, &scratch) : SUP_ENOMEM;
    if (rc == SUP_OK && it)
        rc = sup_iter_status(it, err);
    else
        sup_err_set(err, rc, "the event log cannot be read");
    sup_buf_fini(&scratch);
    sup_iter_free(it);
    sup_snapshot_free(s->store, snap);
    return rc;
}

static int trim_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    const struct sup_buf *keys = arg;

    (void)a;
    (void)err;
    for (size_t i = 0; i + KEY_BYTES <= keys->n; i += KEY_BYTES)
        sup_txn_delete(t, SUP_CF_EVENTS, sup_slice_of(keys->p + i, KEY_BYTES));
    return SUP_OK;
}

static uint64_t bytes_of(struct sup_store *store)
{
    const struct sup_slice open = {NULL, 0};
    struct sup_iter *it = sup_iter_new(store, NULL, SUP_CF_EVENTS, open, open);
    uint64_t n = 0;

    for (; it && sup_iter_valid(it); sup_iter_next(it))
        n += sup_iter_key(it).n + sup_iter_value(it).n;
    sup_iter_free(it);
    return n;
}

/* The oldest that must go; *bytes shrinks by what they hold. */
static void collect(struct sup_store *store, int64_t before_ms, uint64_t max_bytes, uint64_t *bytes,
                    struct sup_buf *keys)
{
    const struct sup_slice open = {NULL, 0};
    struct sup_iter *it = sup_iter_new(store, NULL, SUP_CF_EVENTS, open, open);
    int64_t time_ms;

    sup_buf_reset(keys);
    for (; it && sup_iter_valid(it) && keys->n < TRIM_BATCH * KEY_BYTES; sup_iter_next(it)) {
        struct sup_slice key = sup_iter_key(it);
        uint64_t n = key.n + sup_iter_value(it).n;
        if (!sup_key_event_parse(key, &time_ms) || (time_ms >= before_ms && *bytes <= max_bytes))
            break;
        sup_buf_add_slice(keys, key);
        *bytes -= n < *bytes ? n : *bytes;
    }
    sup_iter_free(it);
}

void sup_event_log_trim(struct sup_store *store, struct sup_apply *apply, int64_t retention_ms,
                        uint64_t max_bytes, struct sup_stop *stop)
{
    int64_t before_ms = sup_wall_ms() - retention_ms;
    uint64_t bytes = bytes_of(store);
    struct sup_buf keys;

    sup_buf_init(&keys, (TRIM_BATCH + 1) * KEY_BYTES);
    do {
        collect(store, before_ms, max_bytes, &bytes, &keys);
    } while (keys.n > 0 && sup_apply_run(apply, trim_run, &keys, NULL) == SUP_OK &&
             !sup_stop_is_set(stop));
    sup_buf_fini(&keys);
}
