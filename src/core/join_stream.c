#include "codec/keys.h"
#include "core/join.h"

#include <string.h>

/* A set grows while it is copied. A stream of more than it said that it is, and so much, has no
 * end. */
#define SURPLUS(set) ((set) / 4 + 1000000)
/* Decisions in a quarantine: a peer with more of them is not one to copy. */
#define QUARANTINED_MAX 1000000

void sup_join_stream_begin(struct sup_join_stream *s, uint32_t id)
{
    memset(s, 0, sizeof(*s));
    s->id = id;
}

static int begin(struct sup_join_stream *s, const struct sup_snapshot_chunk *c,
                 struct sup_join_state *state, struct sup_err *err)
{
    if (c->vv.n == 0)
        return sup_err_set(err, SUP_EINPUT, "a snapshot without a version vector");
    s->begun = true;
    s->set = c->set;
    sup_vv_copy(&s->vv, &c->vv);
    if (state->has_vv)
        sup_vv_min(&state->vv, &c->vv);
    else
        sup_vv_copy(&state->vv, &c->vv);
    state->has_vv = true;
    state->set = c->set;
    state->streams++;
    return SUP_OK;
}

/* A record's key in the store must be behind the one before: whoever keeps to that cannot send a
 * record twice, nor leave one out unseen by the order alone. */
static int take_key(const struct sup_snapshot_record *r, const struct sup_hash_key *hash,
                    struct sup_join_state *state, struct sup_err *err)
{
    struct sup_slice last = sup_slice_of(state->after, state->after_n);
    struct sup_key k;

    sup_key_record(&k, hash, r->key);
    if (k.n > sizeof(state->after) || sup_slice_cmp(sup_key_slice(&k), last) <= 0)
        return sup_err_set(err, SUP_EINPUT, "records of a snapshot are not in order");
    memcpy(state->after, k.b, k.n);
    state->after_n = k.n;
    return SUP_OK;
}

int sup_join_stream_chunk(struct sup_join_stream *s, const struct sup_snapshot_chunk *c,
                          const struct sup_hash_key *hash, struct sup_join_state *state,
                          struct sup_err *err)
{
    int rc = s->begun ? SUP_OK : begin(s, c, state, err);

    if (rc != SUP_OK)
        return rc;
    if (c->n == 0 && c->n_quarantined == 0 && !c->last)
        return sup_err_set(err, SUP_EINPUT, "an empty part of a snapshot");
    if (c->n_quarantined > 0 && s->records_begun)
        return sup_err_set(err, SUP_EINPUT, "quarantined decisions behind records");
    s->records_begun = s->records_begun || c->n > 0;
    s->quarantined += c->n_quarantined;
    s->records += c->n;
    if (s->quarantined > QUARANTINED_MAX || s->records > s->set + SURPLUS(s->set))
        return sup_err_set(err, SUP_EINPUT, "a snapshot without end");
    for (size_t i = 0; rc == SUP_OK && i < c->n; i++)
        rc = take_key(&c->records[i], hash, state, err);
    state->records += c->n;
    state->bytes += c->size;
    if (rc == SUP_OK && c->last)
        state->phase = SUP_JOIN_LOG;
    return rc;
}
