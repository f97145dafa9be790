#include "core/joining.h"

#include "base/text.h"
#include "codec/frame.h"

#include <string.h>

#define NOBODY SIZE_MAX

void sup_joining_init(struct sup_joining *j, enum sup_join_phase phase,
                      const struct sup_join_state *durable, const struct sup_joining_options *o,
                      int64_t now_ms)
{
    memset(j, 0, sizeof(*j));
    sup_join_init(&j->machine, phase, o->alone_ms, now_ms);
    j->said = phase;
    if (durable)
        j->durable = *durable;
    j->stream.id = o->stream;
    j->window = o->window > 0 ? o->window : SUP_JOINING_WINDOW;
    j->donor = NOBODY;
}

/* --- the copy --- */

/* A stream begins where the copy ends. */
static void begin(struct sup_joining *j, const struct sup_joining_event *e,
                  struct sup_joining_actions *out)
{
    j->running = j->durable;
    j->running.phase = SUP_JOIN_COPY;
    sup_text_copy(j->running.donor, sizeof(j->running.donor), e->name);
    sup_text_copy(j->durable.donor, sizeof(j->durable.donor), e->name);
    sup_join_stream_begin(&j->stream, j->stream.id + 1);
    j->donor = e->peer;
    out->ask = true;
    out->id = j->stream.id;
    out->after = sup_slice_of(j->running.after, j->running.after_n);
    out->credit = j->window;
}

/* Nothing more is taken of this stream. */
static void give_up(struct sup_joining *j, int64_t now_ms, size_t peer, int64_t wait_ms)
{
    if (j->donor == peer)
        j->donor = NOBODY;
    sup_join_failed(&j->machine, now_ms, peer, wait_ms);
}

/* Checks the chunk and moves on what it stands for. */
static int take_in(struct sup_joining *j, int64_t now_ms, const struct sup_joining_event *e)
{
    const struct sup_snapshot_chunk *c = &e->msg->u.chunk;
    struct sup_joining_part *part = e->part;
    int rc;

    part->stream = j->stream.id;
    part->donor = j->donor;
    part->credit = sup_snapshot_credit(c);
    part->size = c->size;
    part->before_n = j->running.after_n;
    memcpy(part->before, j->running.after, sizeof(part->before));
    part->before_bytes = j->running.bytes;
    if (j->bytes + c->size > j->window + SUP_FRAME_BODY_MAX)
        return sup_err_set(e->err, SUP_EINPUT, "more of a snapshot than credit");
    rc = sup_join_stream_chunk(&j->stream, c, e->hash, &j->running, e->err);
    if (rc != SUP_OK)
        return rc;
    part->state = j->running;
    j->in_flight++;
    j->bytes += c->size;
    sup_join_heard(&j->machine, now_ms);
    return SUP_OK;
}

static void chunk(struct sup_joining *j, int64_t now_ms, const struct sup_joining_event *e,
                  struct sup_joining_actions *out)
{
    if (e->peer != j->donor || e->msg->id != j->stream.id)
        return; /* of a stream that is not waited for any more */
    out->refused = e->msg->u.chunk.state;
    if (out->refused != SUP_SNAPSHOT_GOES_ON) {
        give_up(j, now_ms, e->peer, out->refused == SUP_SNAPSHOT_EXPIRED ? 0 : SUP_JOIN_BUSY_MS);
        return;
    }
    out->code = take_in(j, now_ms, e);
    out->submit = out->code == SUP_OK;
    if (out->code != SUP_OK)
        give_up(j, now_ms, e->peer, SUP_JOIN_BROKEN_MS);
}

static void applied(struct sup_joining *j, int64_t now_ms, const struct sup_joining_event *e,
                    struct sup_joining_actions *out)
{
    const struct sup_joining_part *part = e->part;
    bool present = j->donor == part->donor && j->stream.id == part->stream;

    j->in_flight--;
    j->bytes -= part->size;
    out->id = part->stream;
    if (e->code != SUP_OK) {
        out->cancel = present;
        give_up(j, now_ms, part->donor,
                e->code == SUP_EINPUT ? SUP_JOIN_BROKEN_MS : SUP_JOIN_BUSY_MS);
        return;
    }
    j->durable = part->state;
    sup_join_heard(&j->machine, now_ms);
    if (part->state.phase == SUP_JOIN_LOG) {
        sup_join_copied(&j->machine, now_ms);
        j->donor = NOBODY;
    } else if (present) {
        out->ack = true;
        out->credit = part->credit;
    }
}

/* --- peers --- */

/* Known from now on, so that nobody is taken to be alone before the first tick. */
static void set_member(struct sup_join *m, size_t peer, bool member)
{
    if (peer >= SUP_JOIN_PEERS_MAX)
        return;
    m->peers[peer].member = member;
    if (m->n <= peer)
        m->n = peer + 1;
}

/* The one whose set was copied before a restart: to be compared with is another one. */
static void remember_donor(struct sup_joining *j, const struct sup_joining_event *e)
{
    bool copied = j->machine.phase == SUP_JOIN_LOG || j->machine.phase == SUP_JOIN_CHECK;

    if (copied && j->machine.donor == NOBODY && strcmp(e->name, j->durable.donor) == 0)
        j->machine.donor = e->peer;
}

static void seen(struct sup_joining *j, int64_t now_ms, const struct sup_joining_event *e,
                 struct sup_joining_actions *out)
{
    enum sup_join_order order = SUP_JOIN_WAIT;

    remember_donor(j, e);
    sup_join_see(&j->machine, now_ms, e->peer, e->view);
    if (sup_join_silent(&j->machine, now_ms, e->peer) && j->in_flight == 0) {
        out->cancel = true;
        out->id = j->stream.id;
        give_up(j, now_ms, e->peer, SUP_JOIN_SILENT_MS);
    }
    (void)sup_join_move(&j->machine, now_ms, j->machine.n);
    /* Only when all of the last stream came back it is known where the next one begins. */
    if (j->in_flight == 0 && !out->cancel)
        order = sup_join_next(&j->machine, now_ms, e->peer);
    if (order == SUP_JOIN_ASK)
        begin(j, e, out);
    if (order == SUP_JOIN_ADOPT)
        sup_text_copy(j->durable.donor, sizeof(j->durable.donor), e->name);
    out->adopt = order == SUP_JOIN_ADOPT;
    out->compare = order == SUP_JOIN_COMPARE;
}

static void lost(struct sup_joining *j, int64_t now_ms, size_t peer)
{
    struct sup_join_peer gone = {.member = true};

    if (peer >= SUP_JOIN_PEERS_MAX)
        return;
    if (j->donor == peer)
        j->donor = NOBODY;
    gone.member = j->machine.peers[peer].member;
    sup_join_see(&j->machine, now_ms, peer, &gone);
}

/* Repairs with that peer end for other reasons, too: of those nothing is waited for. */
static void repaired(struct sup_joining *j, int64_t now_ms, const struct sup_joining_event *e)
{
    struct sup_join *m = &j->machine;

    if (m->phase == SUP_JOIN_COPY && m->busy && m->with == e->peer &&
        !m->peers[e->peer].snapshots) {
        if (e->code == SUP_OK)
            sup_join_copied(m, now_ms);
        else
            sup_join_failed(m, now_ms, e->peer, SUP_JOIN_BUSY_MS);
    }
    sup_join_compared(m, now_ms, e->peer, e->code);
}

/* --- the phase --- */

static void stored(struct sup_joining *j, const struct sup_joining_event *e)
{
    j->storing = false;
    if (e->code != SUP_OK)
        return; /* the disk is full, maybe: who is ready tries again */
    if (e->phase == SUP_JOIN_READY)
        j->said = SUP_JOIN_READY;
    else if (e->phase == SUP_JOIN_LOG)
        j->durable.phase = SUP_JOIN_LOG;
}

/* A node answers as ready only when it is stored that it is. */
static void tell(struct sup_joining *j, enum sup_join_phase before, bool may_store,
                 struct sup_joining_actions *out)
{
    enum sup_join_phase phase = j->machine.phase;
    bool due;

    out->moved = phase != before;
    if (phase != SUP_JOIN_READY)
        j->said = phase;
    if (phase == SUP_JOIN_READY)
        due = j->said != SUP_JOIN_READY;
    else if (phase == SUP_JOIN_LOG) /* as a rule the last part has stored it */
        due = out->moved && j->durable.phase != SUP_JOIN_LOG;
    else
        due = out->moved && phase == SUP_JOIN_ALONE;
    out->store = due && may_store && !j->storing;
    out->phase = phase;
    j->storing = j->storing || out->store;
}

void sup_joining_step(struct sup_joining *j, int64_t now_ms, const struct sup_joining_event *e,
                      struct sup_joining_actions *out)
{
    enum sup_join_phase before = j->machine.phase;

    *out = (struct sup_joining_actions){.code = SUP_OK};
    switch (e->type) {
    case SUP_JOINING_TICK:
        (void)sup_join_move(&j->machine, now_ms, e->n);
        break;
    case SUP_JOINING_MEMBER:
        set_member(&j->machine, e->peer, e->n > 0);
        break;
    case SUP_JOINING_SEEN:
        seen(j, now_ms, e, out);
        break;
    case SUP_JOINING_LOST:
        lost(j, now_ms, e->peer);
        break;
    case SUP_JOINING_CHUNK:
        chunk(j, now_ms, e, out);
        break;
    case SUP_JOINING_APPLIED:
        applied(j, now_ms, e, out);
        break;
    case SUP_JOINING_REPAIRED:
        repaired(j, now_ms, e);
        break;
    case SUP_JOINING_STORED:
        stored(j, e);
        break;
    }
    tell(j, before, e->type != SUP_JOINING_APPLIED && e->type != SUP_JOINING_STORED, out);
}
