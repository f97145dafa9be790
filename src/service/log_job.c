#include "service/log_job.h"

#include "base/array.h"
#include "codec/event_entry.h"

#include <stdlib.h>
#include <string.h>

#define BYTES_MAX (32U << 20)

/* Texts are offsets into bytes until they are packed. */
struct entry {
    struct sup_slice raw;
    int64_t time_ms;
    size_t type_at, type_n, id_at, id_n;
    size_t lines_at; /* of one event: addresses, then verdicts, tagged by their first byte */
    size_t lines_n;
    size_t key_at, value_at, value_n; /* packed */
};

struct sup_log_job {
    bool on;
    struct sup_event_packer *packer; /* NULL while off */
    struct sup_buf bytes, packed, addresses, verdicts;
    struct entry *entries;
    size_t n, cap;
    size_t n_packed; /* whose raw documents may be gone */
};

struct sup_log_job *sup_log_job_new(const struct sup_options *config)
{
    struct sup_log_job *j = calloc(1, sizeof(*j));

    if (!j)
        return NULL;
    j->on = config->events.retention_ms > 0;
    sup_buf_init(&j->bytes, BYTES_MAX);
    sup_buf_init(&j->packed, BYTES_MAX);
    sup_buf_init(&j->addresses, 1U << 20);
    sup_buf_init(&j->verdicts, 1U << 20);
    j->packer = j->on ? sup_event_packer_new() : NULL;
    if (!j->on || j->packer)
        return j;
    sup_log_job_free(j);
    return NULL;
}

void sup_log_job_free(struct sup_log_job *j)
{
    if (!j)
        return;
    sup_buf_fini(&j->bytes);
    sup_buf_fini(&j->packed);
    sup_buf_fini(&j->addresses);
    sup_buf_fini(&j->verdicts);
    sup_event_packer_free(j->packer);
    free(j->entries);
    free(j);
}

void sup_log_job_reset(struct sup_log_job *j)
{
    j->n = 0;
    j->n_packed = 0;
    sup_buf_reset(&j->bytes);
    sup_buf_reset(&j->packed);
}

bool sup_log_job_empty(const struct sup_log_job *j)
{
    return j->n == 0;
}

/* Never the time of arrival if there is another: the same again must be the same entry. */
static int64_t time_of(const struct sup_event *event, const struct sup_classify_context *ctx)
{
    bool own = event->event_ms != SUP_NO_TIME || event->envelope_ms != SUP_NO_TIME;

    if (!own && event->mail_ms != SUP_NO_TIME && event->mail_ms < ctx->now_ms)
        return event->mail_ms;
    return sup_classify_time(event, ctx);
}

/* A later record of the same document adds its lines behind: entries are taken in order. */
static struct entry *entry_of(struct sup_log_job *j, struct sup_slice raw,
                              const struct sup_event *event, const struct sup_classify_context *ctx)
{
    void *entries = j->entries;

    if (j->n > j->n_packed && j->entries[j->n - 1].raw.p == raw.p)
        return &j->entries[j->n - 1];
    if (sup_array_grow(&entries, &j->cap, j->n + 1, sizeof(*j->entries)) != SUP_OK)
        return NULL;
    j->entries = entries;
    struct entry *e = &j->entries[j->n++];
    struct sup_slice type = event->type == SUP_EVENT_UNKNOWN
                                ? event->type_text
                                : sup_slice_str(sup_event_type_name(event->type));
    *e = (struct entry){.raw = raw, .time_ms = time_of(event, ctx)};
    e->type_at = j->bytes.n;
    e->type_n = type.n;
    sup_buf_add_slice(&j->bytes, type);
    e->id_at = j->bytes.n;
    e->id_n = event->message_id.n;
    sup_buf_add_slice(&j->bytes, event->message_id);
    e->lines_at = j->bytes.n;
    return e;
}

static void add_line(struct sup_log_job *j, char tag, const char *text)
{
    sup_buf_add_byte(&j->bytes, (uint8_t)tag);
    sup_buf_add_str(&j->bytes, text);
    sup_buf_add_byte(&j->bytes, '\n');
}

static void add_address(struct sup_log_job *j, struct sup_slice text)
{
    struct sup_address a;

    if (sup_address_parse((const char *)text.p, text.n, &a, NULL) == SUP_OK)
        add_line(j, 'a', a.key);
}

int sup_log_job_take(struct sup_log_job *j, struct sup_slice raw, const struct sup_event *event,
                     const struct sup_verdicts *vs, const struct sup_classify_context *ctx)
{
    if (!j->on || event->type == SUP_EVENT_NONE)
        return SUP_OK;
    struct entry *e = entry_of(j, raw, event, ctx);
    if (!e)
        return SUP_ENOMEM;
    for (size_t i = 0; i < vs->n; i++) {
        const struct sup_event_verdict *v = &vs->v[i];
        sup_buf_addf(&j->bytes, "v%s %s %s\n", sup_verdict_kind_name(v->kind), v->rule,
                     v->address.key);
        if (v->address.key_len > 0)
            add_line(j, 'a', v->address.key);
    }
    for (size_t i = 0; vs->n == 0 && i < event->n_destination; i++)
        add_address(j, event->destination[i]);
    e->lines_n = j->bytes.n - e->lines_at;
    return j->bytes.failed;
}

int sup_log_job_refuse(struct sup_log_job *j, struct sup_slice raw, const char *why,
                       const struct sup_classify_context *ctx)
{
    const struct sup_event none = {.type = SUP_EVENT_UNKNOWN,
                                   .type_text = SUP_SLICE_LIT("Unreadable"),
                                   .event_ms = SUP_NO_TIME,
                                   .envelope_ms = SUP_NO_TIME,
                                   .mail_ms = SUP_NO_TIME};

    if (!j->on || raw.n == 0 || raw.n > SUP_EVENT_ENTRY_RAW_MAX)
        return SUP_OK;
    struct entry *e = entry_of(j, raw, &none, ctx);
    if (!e)
        return SUP_ENOMEM;
    sup_buf_add_byte(&j->bytes, 'v');
    sup_buf_add_str(&j->bytes, "unreadable ");
    for (const char *p = why; *p; p++)
        sup_buf_add_byte(&j->bytes, *p == '\n' ? ' ' : (uint8_t)*p);
    sup_buf_add_byte(&j->bytes, '\n');
    e->lines_n = j->bytes.n - e->lines_at;
    return j->bytes.failed;
}

static void split_lines(struct sup_log_job *j, const struct entry *e)
{
    const uint8_t *p = j->bytes.p + e->lines_at, *end = p + e->lines_n;

    sup_buf_reset(&j->addresses);
    sup_buf_reset(&j->verdicts);
    while (p < end) {
        const uint8_t *nl = memchr(p, '\n', (size_t)(end - p));
        if (nl == NULL)
            break;
        sup_buf_add(*p == 'a' ? &j->addresses : &j->verdicts, p + 1, (size_t)(nl - p));
        p = nl + 1;
    }
}

int sup_log_job_pack(struct sup_log_job *j)
{
    int rc = SUP_OK;

    for (; j->n_packed < j->n && rc == SUP_OK; j->n_packed++) {
        struct entry *e = &j->entries[j->n_packed];
        split_lines(j, e);
        const struct sup_event_entry packed = {
            .type = {j->bytes.p + e->type_at, e->type_n},
            .message_id = {j->bytes.p + e->id_at, e->id_n},
            .addresses = sup_buf_slice(&j->addresses),
            .verdicts = sup_buf_slice(&j->verdicts),
            .raw = e->raw,
        };
        e->key_at = j->packed.n;
        sup_key_event(&j->packed, e->time_ms, e->raw);
        e->value_at = j->packed.n;
        rc = sup_event_entry_encode(j->packer, &packed, &j->packed);
        e->value_n = j->packed.n - e->value_at;
    }
    return rc == SUP_OK && j->packed.failed ? j->packed.failed : rc;
}

void sup_log_job_run(struct sup_log_job *j, struct sup_txn *t)
{
    for (size_t i = 0; i < j->n; i++) {
        const struct entry *e = &j->entries[i];
        sup_txn_put(t, SUP_CF_EVENTS, sup_slice_of(j->packed.p + e->key_at, 8 + SUP_EVENT_ENTRY_ID),
                    sup_slice_of(j->packed.p + e->value_at, e->value_n));
    }
}
