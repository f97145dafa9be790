/* Whose incarnations have an entry in the version vector: core/admission.h, with what the store and
 * the members say. */
#include "base/clock.h"
#include "base/log.h"
#include "codec/keys.h"
#include "core/admission.h"
#include "service/apply_internal.h"

/* A member that said nothing for so long is not there to be asked: heartbeats come each second, and
 * a session ends after 5 s of silence. */
#define HEARD_MS 10000
/* Of one reason to complain one line is logged in so long. */
#define LOG_EVERY_MS 60000

/* For so long what was forgotten here is not taken from others, who may have it still. */
#define FORGOTTEN_MS 3600000

uint64_t sup_apply_member(const struct sup_apply *a, const char *name)
{
    uint64_t id = sup_hash64(&a->opts.hash, sup_slice_str(name));

    return id != 0 ? id : 1;
}

void sup_apply_share_among(struct sup_apply *a, size_t n_peers)
{
    pthread_mutex_lock(&a->mutex);
    a->n_peers = n_peers;
    pthread_mutex_unlock(&a->mutex);
}

/* With the mutex; NULL: nobody. */
static struct sup_apply_member *find(struct sup_apply *a, uint64_t id)
{
    for (size_t i = 0; i < a->n_members; i++) {
        if (a->members[i].id == id)
            return &a->members[i];
    }
    return NULL;
}

void sup_apply_heard(struct sup_apply *a, uint64_t member, uint64_t incarnation, uint64_t seq)
{
    struct sup_apply_member *m;

    pthread_mutex_lock(&a->mutex);
    m = find(a, member);
    if (!m && a->n_members < SUP_APPLY_MEMBERS_MAX)
        m = &a->members[a->n_members++];
    if (m)
        *m = (struct sup_apply_member){
            .id = member, .incarnation = incarnation, .seq = seq, .mono_ms = a->opts.mono_ms()};
    pthread_mutex_unlock(&a->mutex);
}

void sup_apply_from(struct sup_apply *a, uint64_t member)
{
    const struct sup_apply_member *m;

    pthread_mutex_lock(&a->mutex);
    m = find(a, member);
    a->source = m ? *m : (struct sup_apply_member){.id = member};
    pthread_mutex_unlock(&a->mutex);
}

/* With the mutex, on the writer thread: who calls it its own; NULL: nobody. The first one who did
 * when it was admitted, whatever others say since; of several before that, the job's source. */
static const struct sup_apply_member *owner(struct sup_apply *a, uint64_t incarnation)
{
    uint64_t charge = sup_vv_get(&a->now.charges, incarnation);
    const struct sup_apply_member *claims = NULL;

    for (size_t i = 0; i < a->n_members; i++) {
        const struct sup_apply_member *m = &a->members[i];
        if (sup_admission_charge(m->id, true) == charge)
            return m;
        if (m->incarnation == incarnation && (!claims || m->id == a->source.id))
            claims = m;
    }
    return claims;
}

/* With the mutex. Unless somebody has said since that it is his: then it is as new. Who has left
 * says nothing any more, and his last one is forgotten for good. */
static bool forgotten(const struct sup_apply *a, uint64_t incarnation)
{
    uint64_t since = sup_vv_get(&a->forgotten, incarnation);

    for (size_t i = 0; i < a->n_members; i++) {
        if (a->members[i].incarnation == incarnation && a->members[i].mono_ms >= (int64_t)since)
            return false;
    }
    return since > 0 && a->opts.mono_ms() - (int64_t)since < FORGOTTEN_MS;
}

/* With the mutex. */
static void note_forgotten(struct sup_apply *a, uint64_t incarnation)
{
    int64_t now = a->opts.mono_ms();

    for (size_t i = a->forgotten.n; i > 0; i--) {
        const struct sup_vv_entry *e = &a->forgotten.e[i - 1];
        if (now - (int64_t)e->seq >= FORGOTTEN_MS)
            sup_vv_remove(&a->forgotten, e->incarnation);
    }
    /* Without room it may come back with somebody's vector, and is forgotten again. */
    (void)sup_vv_raise(&a->forgotten, incarnation, (uint64_t)now);
}

static void drop(struct sup_txn *t, void (*make)(struct sup_key *k, uint64_t incarnation),
                 uint64_t incarnation)
{
    struct sup_key k;

    make(&k, incarnation);
    sup_txn_delete(t, SUP_CF_META, sup_key_slice(&k));
}

int sup_apply_retire(struct sup_apply *a, struct sup_txn *t, const struct sup_vv *incarnations,
                     struct sup_err *err)
{
    (void)err;
    for (size_t i = 0; i < incarnations->n; i++) {
        uint64_t incarnation = incarnations->e[i].incarnation;
        uint64_t seq = sup_vv_get(&a->now.vv, incarnation);
        if (seq != incarnations->e[i].seq || sup_vv_get(&a->now.floor, incarnation) != seq ||
            incarnation == a->now.incarnation)
            continue;
        sup_vv_remove(&a->now.vv, incarnation);
        sup_vv_remove(&a->now.floor, incarnation);
        sup_vv_remove(&a->now.charges, incarnation);
        /* Were it to come back in this batch it would be written again. */
        sup_vv_remove(&a->written, incarnation);
        sup_vv_remove(&a->written_floor, incarnation);
        sup_vv_remove(&a->written_charges, incarnation);
        drop(t, sup_key_meta_vv, incarnation);
        drop(t, sup_key_meta_floor, incarnation);
        drop(t, sup_key_meta_charge, incarnation);
        pthread_mutex_lock(&a->mutex);
        note_forgotten(a, incarnation);
        pthread_mutex_unlock(&a->mutex);
        sup_log_info("apply", "an old incarnation that all members have is forgotten",
                     SUP_U("incarnation", incarnation), SUP_U("decisions", seq));
    }
    return SUP_OK;
}

static void complain(struct sup_apply *a, uint64_t incarnation)
{
    int64_t now = a->opts.mono_ms();

    if (a->complained_ms != INT64_MIN && now - a->complained_ms < LOG_EVERY_MS)
        return;
    a->complained_ms = now;
    sup_log_warn("apply",
                 "a peer brings more incarnations than its share of the version vector "
                 "holds: their decisions are merged, but not counted",
                 SUP_U("incarnation", incarnation));
}

bool sup_apply_admit(struct sup_apply *a, uint64_t incarnation)
{
    const struct sup_apply_member *m;
    uint64_t charge;
    size_t n_peers;

    if (sup_vv_get(&a->now.vv, incarnation) > 0)
        return true;
    pthread_mutex_lock(&a->mutex);
    n_peers = a->n_peers;
    m = owner(a, incarnation);
    charge = sup_admission_charge(m ? m->id : a->source.id, m != NULL);
    pthread_mutex_unlock(&a->mutex);
    if (n_peers == 0 || (!m && a->source.id == 0))
        return a->now.vv.n < SUP_VV_MAX - SUP_ADMISSION_OWN;
    if (sup_admission_room(&a->now.charges, a->now.vv.n, n_peers, charge) > 0 &&
        sup_vv_raise(&a->now.charges, incarnation, charge) == SUP_OK)
        return true;
    complain(a, incarnation);
    return false;
}

uint64_t sup_apply_believed(struct sup_apply *a, uint64_t incarnation, uint64_t seq)
{
    const struct sup_apply_member *m;

    if (incarnation == a->now.incarnation && sup_apply_is_certain(a))
        return 0;
    pthread_mutex_lock(&a->mutex);
    m = owner(a, incarnation);
    if (forgotten(a, incarnation))
        seq = 0;
    else if (m && m->id != a->source.id && m->incarnation == incarnation && seq > m->seq &&
             a->opts.mono_ms() - m->mono_ms < HEARD_MS)
        seq = m->seq;
    pthread_mutex_unlock(&a->mutex);
    return seq;
}

void sup_apply_admissible(struct sup_apply *a, uint64_t member, struct sup_vv *theirs)
{
    struct sup_admission_peer p = {.own_room = SUP_VV_MAX, .relay_room = SUP_VV_MAX};
    const struct sup_apply_member *m;

    pthread_mutex_lock(&a->mutex);
    m = find(a, member);
    p.present = m ? m->incarnation : 0;
    if (a->n_peers > 0) {
        size_t known = a->published.n;
        p.own_room = sup_admission_room(&a->published_charges, known, a->n_peers,
                                        sup_admission_charge(member, true));
        p.relay_room = sup_admission_room(&a->published_charges, known, a->n_peers,
                                          sup_admission_charge(member, false));
    }
    for (size_t i = theirs->n; a->forgotten.n > 0 && i > 0; i--) {
        uint64_t incarnation = theirs->e[i - 1].incarnation;
        if (sup_vv_get(&a->published, incarnation) == 0 && forgotten(a, incarnation))
            sup_vv_remove(theirs, incarnation);
    }
    sup_admission_filter(&p, &a->published, theirs);
    pthread_mutex_unlock(&a->mutex);
}
