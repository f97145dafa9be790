/* Who is a member: the configuration, what the store remembers, and what operators ruled.
 *
 * A peer that was configured once stays a member until an operator says that it is not: a file that
 * somebody edited by mistake must not let the log be cut behind a node that is only away. Its
 * entries in version vectors are kept for ever, 16 bytes each. To drop one would be safe only if no
 * copy of any store could come back with it, and that nobody can know: a node restored from an old
 * copy would ask for what all others forgot, and would continue an incarnation that was used. */
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "codec/hash.h"
#include "service/apply_members.h"
#include "service/internal.h"
#include "service/members.h"
#include "service/replicate_internal.h"

#include <stdlib.h>
#include <string.h>

struct sup_kept {
    struct sup_kept *next;
    char text[];
};

/* NULL: out of memory. */
static const char *keep(struct sup_replicator *r, const char *text)
{
    size_t n = strlen(text) + 1;
    struct sup_kept *k = malloc(sizeof(*k) + n);

    if (!k)
        return NULL;
    memcpy(k->text, text, n);
    k->next = r->kept;
    r->kept = k;
    return k->text;
}

struct sup_peer *sup_replicator_find(struct sup_replicator *r, const char *name)
{
    for (size_t i = 0; i < r->n_peers; i++) {
        if (strcmp(r->peers[i].config->name, name) == 0)
            return &r->peers[i];
    }
    return NULL;
}

/* --- one peer --- */

static bool decommissioned(const struct sup_peer *p)
{
    return p->n_rulings > 0 && p->rulings[p->n_rulings - 1].decommission;
}

/* The next place, filled in from the store; not yet counted. */
static int prepare(struct sup_replicator *r, const char *name, const char *url, bool configured,
                   struct sup_peer **out, struct sup_err *err)
{
    struct sup_peer *p = &r->peers[r->n_peers];
    int rc;

    if (r->n_peers == SUP_STATUS_PEERS_MAX)
        return sup_err_set(err, SUP_ELIMIT, "more than %d peers, with those that are remembered",
                           SUP_STATUS_PEERS_MAX);
    memset(p, 0, sizeof(*p));
    p->r = r;
    p->index = r->n_peers;
    p->own.name = keep(r, name);
    p->own.url = keep(r, url);
    p->config = &p->own;
    p->member = sup_apply_member(r->opts.apply, name);
    p->configured = configured;
    p->level_mono_ms = p->behind_mono_ms = -1;
    p->absent_mono_ms = sup_mono_ms();
    p->contact_wall_ms = p->summary_wall_ms = p->repairs.last_ms = SUP_NO_TIME;
    p->rtt_ms = -1;
    if (!p->own.name || !p->own.url)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    sup_region_of_node(name, p->region, sizeof(p->region));
    rc = sup_peer_load(p, err);
    if (rc != SUP_OK)
        return rc;
    atomic_store(&p->retired, decommissioned(p));
    pthread_mutex_init(&p->mutex, NULL);
    sup_cond_init(&p->cond);
    *out = p;
    return SUP_OK;
}

/* Those who share the room of version vectors. */
static void share(struct sup_replicator *r)
{
    size_t n = 0;

    for (size_t i = 0; i < r->n_peers; i++)
        n += !r->peers[i].retired;
    sup_apply_share_among(r->opts.apply, n);
}

/* --- at start --- */

/* Its name, as the store has it, and its address; SUP_ENOTFOUND behind the last one. */
static int next_stored(struct sup_iter *it, struct sup_peer_state *s, struct sup_err *err)
{
    int rc = SUP_ENOTFOUND;

    if (sup_iter_valid(it)) {
        rc = sup_peer_state_decode(sup_iter_value(it), s, err);
        sup_iter_next(it);
    }
    return rc;
}

/* Peers of earlier configurations. */
static int remember(struct sup_replicator *r, struct sup_err *err)
{
    struct sup_slice open = {NULL, 0};
    struct sup_peer_state *s = calloc(1, sizeof(*s));
    struct sup_iter *it = sup_iter_new(r->opts.store, NULL, SUP_CF_PEERS, open, open);
    struct sup_peer *p;
    int rc = s && it ? SUP_OK : sup_err_set(err, SUP_ENOMEM, "out of memory");

    while (rc == SUP_OK && (rc = next_stored(it, s, err)) == SUP_OK) {
        if (sup_replicator_find(r, s->name))
            continue;
        if (r->n_peers == SUP_STATUS_PEERS_MAX && sup_peer_state_decommissioned(s))
            continue; /* nobody misses it */
        rc = prepare(r, s->name, s->url, false, &p, err);
        if (rc != SUP_OK)
            break;
        r->n_peers++;
        if (!p->retired)
            sup_log_warn("members",
                         "a peer is not in the configuration any more, but was not "
                         "decommissioned: it still holds back the log",
                         SUP_S("peer", s->name));
    }
    sup_iter_free(it);
    free(s);
    return rc == SUP_ENOTFOUND ? SUP_OK : rc;
}

/* What stands for the names of the members: the same wherever the same are configured. */
static uint64_t members_hash(struct sup_replicator *r, const struct sup_options *c)
{
    const char *names[SUP_STATUS_PEERS_MAX + 1];
    size_t n = 0;
    struct sup_buf text;
    uint64_t hash;

    sup_buf_init(&text, 64U << 10);
    names[n++] = c->node;
    for (size_t i = 0; i < c->mesh.n_peers && n < SUP_STATUS_PEERS_MAX + 1; i++)
        names[n++] = c->mesh.peers[i].name;
    for (size_t done = 0; done < n; done++) { /* few: selection sort */
        size_t least = done;
        for (size_t i = done + 1; i < n; i++) {
            if (strcmp(names[i], names[least]) < 0)
                least = i;
        }
        sup_buf_addf(&text, "%s\n", names[least]);
        names[least] = names[done];
    }
    hash = sup_hash64(sup_apply_hash(r->opts.apply), sup_buf_slice(&text));
    sup_buf_fini(&text);
    return hash != 0 ? hash : 1;
}

static void take_settings(struct sup_replicator *r, const struct sup_options *c)
{
    atomic_store(&r->epoch, c->mesh.epoch);
    atomic_store(&r->members, members_hash(r, c));
    atomic_store(&r->absence_alarm_ms, c->mesh.absence_alarm_ms);
    atomic_store(&r->log_max_bytes, c->mesh.log_max_bytes);
}

static void warn_configured(const struct sup_peer *p)
{
    if (p->retired)
        sup_log_warn("members",
                     "a configured peer was decommissioned: it is neither dialled nor "
                     "accepted until that is taken back",
                     SUP_S("peer", p->config->name));
}

int sup_replicator_members_init(struct sup_replicator *r, struct sup_err *err)
{
    const struct sup_options *c = r->opts.config;
    struct sup_peer *p;
    int rc = SUP_OK;

    pthread_mutex_init(&r->members_mutex, NULL);
    r->peers = calloc(SUP_STATUS_PEERS_MAX, sizeof(*r->peers));
    if (!r->peers)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    take_settings(r, c);
    for (size_t i = 0; rc == SUP_OK && i < c->mesh.n_peers; i++) {
        rc = prepare(r, c->mesh.peers[i].name, c->mesh.peers[i].url, true, &p, err);
        if (rc == SUP_OK) {
            r->n_peers++;
            warn_configured(p);
        }
    }
    if (rc == SUP_OK)
        rc = remember(r, err);
    share(r);
    return rc;
}

void sup_replicator_members_fini(struct sup_replicator *r)
{
    for (size_t i = 0; i < r->n_peers; i++) {
        sup_dialer_free(r->peers[i].next_dialer);
        pthread_cond_destroy(&r->peers[i].cond);
        pthread_mutex_destroy(&r->peers[i].mutex);
        free(r->peers[i].metrics);
    }
    free(r->peers);
    while (r->kept) {
        struct sup_kept *next = r->kept->next;
        free(r->kept);
        r->kept = next;
    }
    pthread_mutex_destroy(&r->members_mutex);
}

/* --- changes --- */

/* Who may have more of our incarnation than we do is to be asked again: see service/apply.h. */
static void ask_anew(struct sup_replicator *r)
{
    sup_apply_settle(r->opts.apply, 0);
}

static int add(struct sup_replicator *r, const struct sup_peer_options *c, struct sup_err *err)
{
    struct sup_peer *p;
    int rc = prepare(r, c->name, c->url, true, &p, err);

    if (rc != SUP_OK)
        return rc;
    pthread_mutex_lock(&r->core_mutex);
    rc = sup_replica_add(r->core, err);
    if (rc == SUP_OK) {
        sup_replica_load(r->core, p->index, &p->vv);
        sup_replica_load_incarnation(r->core, p->index, p->incarnation);
        r->n_peers++;
    }
    pthread_mutex_unlock(&r->core_mutex);
    if (rc != SUP_OK)
        return rc;
    share(r);
    ask_anew(r);
    sup_log_info("members", "a peer was added", SUP_S("peer", p->config->name),
                 SUP_S("url", p->config->url));
    return sup_peer_start(p, err);
}

static int change_url(struct sup_peer *p, const char *url, struct sup_err *err)
{
    struct sup_dialer *dialer = NULL;
    const char *kept = keep(p->r, url);
    int rc = kept ? sup_dialer_new(url, p->r->tls, p->config->name, &dialer, err)
                  : sup_err_set(err, SUP_ENOMEM, "out of memory");

    if (rc != SUP_OK)
        return rc;
    sup_log_info("members", "a peer has another address", SUP_S("peer", p->config->name),
                 SUP_S("old", p->config->url), SUP_S("new", url));
    pthread_mutex_lock(&p->mutex);
    p->own.url = kept;
    if (p->retired || !p->started) {
        sup_dialer_free(dialer);
        dialer = NULL;
    } else {
        sup_dialer_close(p->dialer); /* ends a dial under way */
        if (p->session)
            sup_session_close(p->session, SUP_REFUSED_OTHER, "the address changed");
    }
    if (dialer) {
        sup_dialer_free(p->next_dialer);
        p->next_dialer = dialer;
    }
    p->nudged = true;
    pthread_cond_broadcast(&p->cond);
    pthread_mutex_unlock(&p->mutex);
    return !p->retired && !p->started ? sup_peer_start(p, err) : SUP_OK;
}

static const struct sup_peer_options *in_config(const struct sup_options *c, const char *name)
{
    for (size_t i = 0; i < c->mesh.n_peers; i++) {
        if (strcmp(c->mesh.peers[i].name, name) == 0)
            return &c->mesh.peers[i];
    }
    return NULL;
}

static void set_configured(struct sup_peer *p, bool configured)
{
    bool before;

    pthread_mutex_lock(&p->mutex);
    before = p->configured;
    p->configured = configured;
    pthread_mutex_unlock(&p->mutex);
    if (before && !configured && !p->retired)
        sup_log_warn("members",
                     "a peer left the configuration: it stays a member, and holds back "
                     "the log, until it is decommissioned",
                     SUP_S("peer", p->config->name));
    else if (configured && !before)
        warn_configured(p);
}

/* Nothing is changed unless all of it can be. */
static int check(struct sup_replicator *r, const struct sup_options *c, struct sup_err *err)
{
    size_t n = r->n_peers;
    bool tls;

    if (!c->mesh.enabled)
        return sup_err_set(err, SUP_EINPUT, "mesh: the section is gone: restart the agent");
    for (size_t i = 0; i < c->mesh.n_peers; i++) {
        int rc = sup_mesh_url_check(c->mesh.peers[i].url, &tls, err);
        if (rc == SUP_OK && tls && !r->tls)
            rc = sup_err_set(err, SUP_EINPUT, "%s needs mesh.tls, which needs a restart",
                             c->mesh.peers[i].url);
        if (rc != SUP_OK)
            return rc;
        n += sup_replicator_find(r, c->mesh.peers[i].name) == NULL;
    }
    if (n > SUP_STATUS_PEERS_MAX)
        return sup_err_set(err, SUP_ELIMIT, "more than %d peers, with those that are remembered",
                           SUP_STATUS_PEERS_MAX);
    return SUP_OK;
}

static int reload(struct sup_replicator *r, const struct sup_options *c, struct sup_err *err)
{
    int rc = check(r, c, err);

    if (rc != SUP_OK)
        return rc;
    take_settings(r, c);
    pthread_mutex_lock(&r->core_mutex);
    sup_replica_set_log_max_bytes(r->core, c->mesh.log_max_bytes);
    pthread_mutex_unlock(&r->core_mutex);
    for (size_t i = 0; i < r->n_peers; i++)
        set_configured(&r->peers[i], in_config(c, r->peers[i].config->name) != NULL);
    for (size_t i = 0; rc == SUP_OK && i < c->mesh.n_peers; i++) {
        struct sup_peer *p = sup_replicator_find(r, c->mesh.peers[i].name);
        if (!p)
            rc = add(r, &c->mesh.peers[i], err);
        else if (strcmp(p->config->url, c->mesh.peers[i].url) != 0)
            rc = change_url(p, c->mesh.peers[i].url, err);
    }
    return rc;
}

int sup_replicator_reload(struct sup_replicator *r, const struct sup_options *fresh,
                          struct sup_err *err)
{
    int rc;

    pthread_mutex_lock(&r->members_mutex);
    rc = reload(r, fresh, err);
    pthread_mutex_unlock(&r->members_mutex);
    return rc;
}

/* --- rulings --- */

/* Behind the others, and durable. Without it nothing is done: a crash must not undo it. */
static int record(struct sup_peer *p, const struct sup_member_ruling *m, struct sup_err *err)
{
    struct sup_peer_state *s = calloc(1, sizeof(*s));
    struct sup_peer_state *before = calloc(1, sizeof(*before));
    int rc = s && before ? SUP_OK : sup_err_set(err, SUP_ENOMEM, "out of memory");

    if (rc == SUP_OK) {
        pthread_mutex_lock(&p->mutex);
        memcpy(before->rulings, p->rulings, sizeof(p->rulings));
        before->n_rulings = p->n_rulings;
        *s = *before;
        sup_peer_state_rule(s, sup_wall_ms(), !m->undo, m->actor, m->note);
        memcpy(p->rulings, s->rulings, sizeof(p->rulings));
        p->n_rulings = s->n_rulings;
        pthread_mutex_unlock(&p->mutex);
        rc = sup_peer_save(p, err);
        if (rc != SUP_OK) {
            pthread_mutex_lock(&p->mutex);
            memcpy(p->rulings, before->rulings, sizeof(p->rulings));
            p->n_rulings = before->n_rulings;
            pthread_mutex_unlock(&p->mutex);
        }
    }
    free(before);
    free(s);
    return rc;
}

static void set_retired(struct sup_peer *p, bool retired)
{
    struct sup_replicator *r = p->r;

    atomic_store(&p->retired, retired);
    pthread_mutex_lock(&r->core_mutex);
    sup_replica_retire(r->core, p->index, retired);
    pthread_mutex_unlock(&r->core_mutex);
    share(r);
}

static void retire(struct sup_peer *p)
{
    set_retired(p, true);
    pthread_mutex_lock(&p->mutex);
    if (p->started && p->dialer)
        sup_dialer_close(p->dialer);
    if (p->session)
        sup_session_close(p->session, SUP_REFUSED_NAME, "decommissioned");
    if (p->served)
        sup_session_close(p->served, SUP_REFUSED_NAME, "decommissioned");
    p->nudged = true;
    pthread_cond_broadcast(&p->cond);
    pthread_mutex_unlock(&p->mutex);
    sup_apply_wake(p->r->opts.apply); /* where its server may wait */
}

static int take_back(struct sup_peer *p, struct sup_err *err)
{
    sup_peer_stop(p); /* the thread of before; it ends by itself */
    pthread_mutex_lock(&p->mutex);
    p->absent_mono_ms = sup_mono_ms();
    pthread_mutex_unlock(&p->mutex);
    set_retired(p, false);
    ask_anew(p->r);
    return sup_peer_start(p, err);
}

static int may_rule(struct sup_replicator *r, const struct sup_member_ruling *m,
                    struct sup_peer **out, struct sup_err *err)
{
    struct sup_peer *p = sup_replicator_find(r, m->node);
    struct sup_vv mine;
    uint64_t lacking;

    if (strcmp(m->node, r->opts.config->node) == 0)
        return sup_err_set(err, SUP_EINPUT, "%s is this node: run it on the others", m->node);
    if (!p)
        return sup_err_set(err, SUP_ENOTFOUND, "%s was never a peer of this node", m->node);
    *out = p;
    if (p->retired != m->undo)
        return sup_err_set(err, SUP_EINPUT,
                           m->undo ? "%s is not decommissioned" : "%s is decommissioned already",
                           m->node);
    if (m->undo || m->force)
        return SUP_OK;
    sup_apply_vv(r->opts.apply, &mine);
    pthread_mutex_lock(&p->mutex);
    lacking = sup_vv_missing(&mine, &p->vv);
    pthread_mutex_unlock(&p->mutex);
    if (lacking > 0)
        return sup_err_set(err, SUP_EAUTH,
                           "%s has %llu decisions that this node has not got yet: wait, or use "
                           "force to give them up",
                           m->node, (unsigned long long)lacking);
    return SUP_OK;
}

int sup_replicator_rule(struct sup_replicator *r, const struct sup_member_ruling *m,
                        struct sup_err *err)
{
    struct sup_peer *p = NULL;
    int rc;

    pthread_mutex_lock(&r->members_mutex);
    rc = may_rule(r, m, &p, err);
    if (rc == SUP_OK)
        rc = record(p, m, err);
    if (rc == SUP_OK) {
        sup_log_warn("members", m->undo ? "a node is a member again" : "a node was decommissioned",
                     SUP_S("peer", m->node), SUP_S("actor", m->actor), SUP_S("note", m->note));
        if (m->undo)
            rc = take_back(p, err);
        else
            retire(p);
    }
    pthread_mutex_unlock(&r->members_mutex);
    return rc;
}

/* --- configurations compared --- */

static enum sup_membership compare(struct sup_replicator *r, uint64_t epoch, uint64_t members)
{
    uint64_t own = atomic_load(&r->epoch);

    if (members == 0)
        return SUP_MEMBERS_UNKNOWN;
    if (epoch != own)
        return epoch > own ? SUP_MEMBERS_NEWER : SUP_MEMBERS_OLDER;
    return members == atomic_load(&r->members) ? SUP_MEMBERS_SAME : SUP_MEMBERS_DIFFERENT;
}

void sup_peer_compare_membership(struct sup_peer *p, uint64_t epoch, uint64_t members)
{
    enum sup_membership m = compare(p->r, epoch, members);
    const char *text = m == SUP_MEMBERS_NEWER
                           ? "our configuration is older than a peer's: its mesh.epoch is higher"
                       : m == SUP_MEMBERS_OLDER ? "a peer's configuration is older than ours"
                       : m == SUP_MEMBERS_DIFFERENT
                           ? "a peer has other members in its configuration at the same mesh.epoch"
                           : NULL;

    p->epoch = epoch;
    p->members = members;
    if (m == p->membership)
        return;
    if (text)
        sup_log_warn("members", text, SUP_S("peer", p->config->name), SUP_U("its_epoch", epoch),
                     SUP_U("our_epoch", atomic_load(&p->r->epoch)));
    else if (m == SUP_MEMBERS_SAME && p->membership != SUP_MEMBERS_UNKNOWN)
        sup_log_info("members", "a peer's configuration has the same members as ours",
                     SUP_S("peer", p->config->name));
    p->membership = m;
}
