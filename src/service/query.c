/* Questions about one address: check and show. */
#include "base/array.h"
#include "base/clock.h"
#include "codec/audit.h"
#include "service/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_MAX (1U << 20)

const char *sup_answer_name(enum sup_answer a)
{
    static const char *const names[] = {"allow", "block", "unknown"};

    return (size_t)a < SUP_COUNT(names) ? names[a] : "unknown";
}

void sup_region_of_node(const char *node, char *out, size_t n)
{
    snprintf(out, n, "%.*s", (int)strcspn(node, "/"), node);
}

static void fill_regions(struct sup_service *s, struct sup_check *out)
{
    struct sup_member_view members[SUP_CHECK_REGIONS_MAX - 1];
    size_t n = 0;

    out->regions[0].region = s->config->region;
    out->regions[0].age_s = 0;
    out->n_regions = 1;
    if (s->replicator)
        n = sup_replicator_members(s->replicator, members, SUP_COUNT(members));
    for (size_t i = 0; i < n; i++) {
        out->regions[out->n_regions].region = members[i].region;
        out->regions[out->n_regions].age_s = members[i].age_s;
        out->n_regions++;
    }
}

static int fill_verdict(struct sup_slice bytes, struct sup_check *out, struct sup_err *err)
{
    struct sup_mem *m = sup_mem_new();
    struct sup_record record;
    struct sup_decision d;
    int rc = m ? sup_record_decode(bytes, m, &record, err)
               : sup_err_set(err, SUP_ENOMEM, "out of memory");

    if (rc == SUP_OK) {
        out->reason = sup_registers_effective(&record.registers, sup_wall_ms(), &out->cls);
        out->verdict = out->reason == SUP_REASON_NONE ? SUP_ALLOW : SUP_BLOCK;
        out->since_ms = sup_hlc_ms(record.registers.r[out->cls - 1].time);
        if (sup_decision_decode(record.registers.r[out->cls - 1].encoded, m, &d, NULL) == SUP_OK)
            out->cause = d.cause;
    }
    sup_mem_free(m);
    return rc;
}

int sup_service_check(struct sup_service *s, const char *address, size_t n, struct sup_check *out,
                      struct sup_err *err)
{
    struct sup_address a;
    struct sup_buf value;
    struct sup_key k;
    int rc;

    memset(out, 0, sizeof(*out));
    out->verdict = SUP_UNKNOWN;
    out->since_ms = SUP_NO_TIME;
    out->why = "";
    rc = sup_address_parse(address, n, &a, err);
    if (rc != SUP_OK) {
        out->why = "not an address";
        return rc;
    }
    fill_regions(s, out);
    if (s->replicator && !sup_replicator_answers(s->replicator)) {
        out->why = "this node joins and does not have the whole set yet";
        return SUP_OK;
    }
    sup_key_record(&k, sup_apply_hash(s->apply), sup_slice_of(a.key, a.key_len));
    sup_buf_init(&value, VALUE_MAX);
    rc = sup_store_get(s->store, NULL, SUP_CF_RECORDS, sup_key_slice(&k), &value, err);
    if (rc == SUP_OK) {
        rc = fill_verdict(sup_buf_slice(&value), out, err);
    } else if (rc == SUP_ENOTFOUND) {
        out->verdict = SUP_ALLOW;
        rc = SUP_OK;
    }
    if (rc != SUP_OK)
        out->why = "the store cannot be read";
    sup_buf_fini(&value);
    return rc;
}

static const char *origin_name(struct sup_service *s, uint64_t origin, struct sup_text_pool *pool)
{
    const char *name = s->replicator ? sup_replicator_node_name(s->replicator, origin) : NULL;
    char hex[24];

    if (!name && origin == sup_apply_node_id(s->apply))
        name = s->config->node;
    snprintf(hex, sizeof(hex), "%016llx", (unsigned long long)origin);
    return name ? name : sup_text_pool_add(pool, sup_slice_str(hex));
}

void sup_show_decision(struct sup_service *s, const struct sup_decision *d,
                       struct sup_text_pool *pool, struct sup_shown_decision *out)
{
    *out = (struct sup_shown_decision){
        .cls = d->cls,
        .state = d->state,
        .cause = d->cause,
        .time = d->time,
        .origin = d->origin,
        .origin_name = origin_name(s, d->origin, pool),
        .actor = sup_text_pool_add(pool, d->actor),
        .note = sup_text_pool_add(pool, d->note),
        .expires_ms = d->expires_ms,
        .region = sup_text_pool_add(pool, d->evidence.region),
        .feedback_id = sup_text_pool_add(pool, d->evidence.feedback_id),
        .message_id = sup_text_pool_add(pool, d->evidence.message_id),
        .sub_type = sup_text_pool_add(pool, d->evidence.sub_type),
        .status = sup_text_pool_add(pool, d->evidence.status),
        .diagnostic = sup_text_pool_add(pool, d->evidence.diagnostic),
        .spelling = sup_text_pool_add(pool, d->evidence.spelling),
        .overruled_origin = "",
        .overruled_by = "",
    };
}

/* --- show --- */

struct shown_mem {
    struct sup_text_pool *pool;
    struct sup_shown_decision registers[SUP_N_CLASSES];
    struct sup_shown_ses ses[SUP_SPELLINGS_MAX];
    struct sup_shown_decision *history;
    size_t history_cap;
};

void sup_shown_fini(struct sup_shown *shown)
{
    struct shown_mem *m = shown->mem;

    if (!m)
        return;
    sup_text_pool_free(m->pool);
    free(m->history);
    free(m);
    shown->mem = NULL;
}

static int show_registers(struct sup_service *s, struct sup_slice bytes, struct sup_mem *mem,
                          struct sup_shown *out, struct sup_err *err)
{
    struct shown_mem *m = out->mem;
    struct sup_record record;
    int rc = sup_record_decode(bytes, mem, &record, err);

    if (rc != SUP_OK)
        return rc;
    out->reason = sup_registers_effective(&record.registers, sup_wall_ms(), NULL);
    out->verdict = out->reason == SUP_REASON_NONE ? SUP_ALLOW : SUP_BLOCK;
    out->first_seen_ms = record.first_seen_ms;
    out->last_seen_ms = record.last_seen_ms;
    out->registers = m->registers;
    for (size_t i = 0; i < SUP_N_CLASSES; i++) {
        struct sup_decision d;
        if (!record.registers.r[i].present)
            continue;
        rc = sup_decision_decode(record.registers.r[i].encoded, mem, &d, err);
        if (rc != SUP_OK)
            return rc;
        sup_show_decision(s, &d, m->pool, &m->registers[out->n_registers++]);
    }
    return SUP_OK;
}

static int add_history(struct sup_service *s, struct sup_slice value, struct sup_mem *mem,
                       struct sup_shown *out, struct sup_err *err)
{
    struct shown_mem *m = out->mem;
    struct sup_decision d;
    void *items = m->history;
    int rc = sup_array_grow(&items, &m->history_cap, out->n_history + 1, sizeof(*m->history));

    if (rc != SUP_OK)
        return sup_err_set(err, rc, "out of memory");
    m->history = items;
    sup_mem_reset(mem);
    rc = sup_decision_decode(value, mem, &d, err);
    if (rc == SUP_OK)
        sup_show_decision(s, &d, m->pool, &m->history[out->n_history++]);
    return rc;
}

/* A mark stands behind its decision. */
static int add_mark(struct sup_service *s, struct sup_slice value, struct sup_shown *out,
                    struct sup_err *err)
{
    struct shown_mem *m = out->mem;
    struct sup_overruled o;
    int rc = sup_overruled_decode(value, &o, err);

    if (rc == SUP_OK && out->n_history > 0) {
        struct sup_shown_decision *d = &m->history[out->n_history - 1];
        d->overruled_time = o.time;
        d->overruled_origin = origin_name(s, o.origin, m->pool);
        d->overruled_by = sup_overruled_by_name(o.by);
    }
    return rc;
}

static int show_history(struct sup_service *s, const struct sup_snapshot *snap, struct sup_mem *mem,
                        struct sup_shown *out, struct sup_err *err)
{
    struct sup_slice key = sup_slice_of(out->address.key, out->address.key_len);
    struct shown_mem *m = out->mem;
    struct sup_key lower;
    struct sup_key upper;
    struct sup_iter *it;
    int rc = SUP_OK;

    sup_key_audit_first(&lower, key);
    sup_key_audit_end(&upper, key);
    it = sup_iter_new(s->store, snap, SUP_CF_AUDIT, sup_key_slice(&lower), sup_key_slice(&upper));
    if (!it)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    for (; rc == SUP_OK && sup_iter_valid(it); sup_iter_next(it))
        rc = sup_key_audit_is_mark(sup_iter_key(it))
                 ? add_mark(s, sup_iter_value(it), out, err)
                 : add_history(s, sup_iter_value(it), mem, out, err);
    if (rc == SUP_OK)
        rc = sup_iter_status(it, err);
    sup_iter_free(it);
    out->history = m->history;
    return rc;
}

static void pending(struct sup_service *s, const struct sup_snapshot *snap,
                    const struct sup_shown *out, int64_t due_ms, struct sup_outbox_entry *e)
{
    struct sup_buf value;
    struct sup_key k;

    memset(e, 0, sizeof(*e));
    if (due_ms == 0)
        return;
    sup_buf_init(&value, 4096);
    sup_key_timed(&k, due_ms, sup_slice_of(out->address.key, out->address.key_len));
    if (sup_store_get(s->store, snap, SUP_CF_OUTBOX, sup_key_slice(&k), &value, NULL) == SUP_OK)
        (void)sup_outbox_entry_decode(sup_buf_slice(&value), e, NULL);
    sup_buf_fini(&value);
}

static int show_ses(struct sup_service *s, const struct sup_snapshot *snap, struct sup_shown *out,
                    struct sup_err *err)
{
    struct sup_ses_entry *entry = malloc(sizeof(*entry));
    struct shown_mem *m = out->mem;
    struct sup_outbox_entry waiting;
    struct sup_buf value;
    int rc;

    if (!entry)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    sup_buf_init(&value, VALUE_MAX);
    rc = sup_store_get(s->store, snap, SUP_CF_SES,
                       sup_slice_of(out->address.key, out->address.key_len), &value, err);
    if (rc == SUP_OK)
        rc = sup_ses_entry_decode(sup_buf_slice(&value), entry, err);
    if (rc == SUP_OK)
        pending(s, snap, out, entry->outbox_due_ms, &waiting);
    out->ses = m->ses;
    for (size_t i = 0; rc == SUP_OK && i < entry->n_spellings; i++) {
        const struct sup_ses_spelling *sp = &entry->spellings[i];
        m->ses[out->n_ses++] = (struct sup_shown_ses){
            .region = s->config->region,
            .spelling = sup_text_pool_add(m->pool, sup_slice_str(sp->spelling)),
            .present = sp->present,
            .reason = sp->reason,
            .last_update_ms = sp->last_update_ms > 0 ? sp->last_update_ms : SUP_NO_TIME,
            .last_write_ms = sp->write_end_ms > 0 ? sp->write_end_ms : SUP_NO_TIME,
            .pending = entry->outbox_due_ms != 0,
            .attempts = waiting.attempts,
            .last_error = sup_text_pool_add(m->pool, sup_slice_str(waiting.last_error)),
        };
    }
    sup_buf_fini(&value);
    free(entry);
    return rc == SUP_ENOTFOUND ? SUP_OK : rc;
}

static int show(struct sup_service *s, const struct sup_snapshot *snap, struct sup_shown *out,
                struct sup_err *err)
{
    struct sup_mem *mem = sup_mem_new();
    struct sup_buf value;
    struct sup_key k;
    int rc;

    if (!mem)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    sup_buf_init(&value, VALUE_MAX);
    sup_key_record(&k, sup_apply_hash(s->apply),
                   sup_slice_of(out->address.key, out->address.key_len));
    rc = sup_store_get(s->store, snap, SUP_CF_RECORDS, sup_key_slice(&k), &value, err);
    if (rc == SUP_ENOTFOUND)
        rc = sup_err_set(err, rc, "nothing is known of %s", out->address.key);
    if (rc == SUP_OK)
        rc = show_registers(s, sup_buf_slice(&value), mem, out, err);
    if (rc == SUP_OK)
        rc = show_history(s, snap, mem, out, err);
    if (rc == SUP_OK)
        rc = show_ses(s, snap, out, err);
    sup_buf_fini(&value);
    sup_mem_free(mem);
    return rc;
}

int sup_service_show(struct sup_service *s, const char *address, size_t n, struct sup_shown *out,
                     struct sup_err *err)
{
    struct sup_snapshot *snap;
    struct shown_mem *m;
    int rc;

    memset(out, 0, sizeof(*out));
    rc = sup_address_parse(address, n, &out->address, err);
    if (rc != SUP_OK)
        return rc;
    m = calloc(1, sizeof(*m));
    if (m)
        m->pool = sup_text_pool_new();
    out->mem = m;
    if (!m || !m->pool) {
        sup_shown_fini(out);
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    }
    snap = sup_store_snapshot(s->store);
    rc = show(s, snap, out, err);
    sup_snapshot_free(s->store, snap);
    if (rc != SUP_OK)
        sup_shown_fini(out);
    return rc;
}
