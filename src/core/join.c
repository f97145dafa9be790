#include "core/join.h"

#include <string.h>

#define NOBODY SIZE_MAX

void sup_join_init(struct sup_join *j, enum sup_join_phase phase, int64_t alone_ms, int64_t now_ms)
{
    memset(j, 0, sizeof(*j));
    j->phase = phase;
    j->alone_ms = alone_ms;
    j->phase_ms = j->hope_ms = now_ms;
    j->with = NOBODY;
    j->donor = NOBODY;
}

static void idle(struct sup_join *j)
{
    j->busy = false;
    j->with = NOBODY;
}

static void go(struct sup_join *j, int64_t now_ms, enum sup_join_phase phase)
{
    j->phase = phase;
    j->phase_ms = j->hope_ms = now_ms;
    idle(j);
}

void sup_join_see(struct sup_join *j, int64_t now_ms, size_t peer, const struct sup_join_peer *p)
{
    if (peer >= SUP_JOIN_PEERS_MAX)
        return;
    j->peers[peer] = *p;
    j->met[peer] = j->met[peer] || p->connected;
    if (j->busy && j->with == peer && !p->connected)
        sup_join_failed(j, now_ms, peer, SUP_JOIN_LOST_MS);
}

/* Can the set be had from it? One that is alone has a part of what others have, maybe: that is
 * better than nothing, and not better than what an equal one has. */
static bool is_donor(const struct sup_join *j, const struct sup_join_peer *p)
{
    if (!p->member || !p->connected || !p->has_data)
        return false;
    if (!p->snapshots && !p->repairs)
        return false;
    if (p->standing == SUP_STANDING_READY || p->standing == SUP_STANDING_UNSAID)
        return true;
    return p->standing == SUP_STANDING_ALONE && j->phase != SUP_JOIN_ALONE;
}

static bool any_donor(const struct sup_join *j)
{
    for (size_t i = 0; i < j->n; i++) {
        if (is_donor(j, &j->peers[i]))
            return true;
    }
    return false;
}

/* Ready ones first, then those that can give snapshots, then whoever was not the last. */
static unsigned worth(const struct sup_join *j, size_t i)
{
    const struct sup_join_peer *p = &j->peers[i];

    return (p->standing != SUP_STANDING_ALONE) * 4U + p->snapshots * 2U + (i != j->donor);
}

static size_t best_donor(const struct sup_join *j, int64_t now_ms)
{
    size_t best = NOBODY;

    for (size_t i = 0; i < j->n; i++) {
        if (!is_donor(j, &j->peers[i]) || now_ms < j->not_before[i])
            continue;
        if (best == NOBODY || worth(j, i) > worth(j, best))
            best = i;
    }
    return best;
}

/* A peer with nothing, whatever it says of itself. One that joins has seen somebody with more. */
static bool knows_nothing(const struct sup_join_peer *p)
{
    return p->standing == SUP_STANDING_NEW || (p->standing != SUP_STANDING_JOINING && !p->has_data);
}

/* Of the peers: how many there are, were met, and are connected and know nothing more than we do.
 */
struct census {
    size_t members, met, connected, no_wiser;
};

static struct census count(const struct sup_join *j)
{
    struct census c = {0};

    for (size_t i = 0; i < j->n; i++) {
        const struct sup_join_peer *p = &j->peers[i];
        c.members += p->member;
        c.met += p->member && j->met[i];
        c.connected += p->member && p->connected;
        c.no_wiser +=
            p->member && p->connected &&
            (knows_nothing(p) || (j->phase == SUP_JOIN_ALONE && p->standing == SUP_STANDING_ALONE));
    }
    return c;
}

static void look_around(struct sup_join *j, int64_t now_ms)
{
    struct census c = count(j);

    if (any_donor(j))
        go(j, now_ms, SUP_JOIN_COPY);
    else if (c.no_wiser == c.members)
        go(j, now_ms, SUP_JOIN_READY);
    else if (j->phase == SUP_JOIN_NEW && (now_ms - j->phase_ms >= j->alone_ms ||
                                          (now_ms - j->phase_ms >= SUP_JOIN_NEW_MS &&
                                           c.connected > 0 && c.no_wiser == c.connected)))
        go(j, now_ms, SUP_JOIN_ALONE);
}

/* Level with somebody who is ready: then the log has been read to its end. */
static bool is_level(const struct sup_join *j)
{
    for (size_t i = 0; i < j->n; i++) {
        const struct sup_join_peer *p = &j->peers[i];
        if (p->member && p->connected && p->standing != SUP_STANDING_NEW &&
            p->standing != SUP_STANDING_JOINING && p->covered)
            return true;
    }
    return false;
}

/* The donors are gone, or lost their disks, with the copy half made. Peers that are joining too may
 * have a part, or all of it in a moment; an absent one may have all of it. */
static void await_donor(struct sup_join *j, int64_t now_ms)
{
    struct census c = count(j);

    if (any_donor(j) || c.connected < c.members)
        j->hope_ms = now_ms;
    else if (now_ms - j->hope_ms >= j->alone_ms)
        go(j, now_ms, SUP_JOIN_ALONE);
}

/* The copy is whole. */
static void await_level(struct sup_join *j, int64_t now_ms)
{
    if (any_donor(j))
        j->hope_ms = now_ms;
    if (is_level(j) || now_ms - j->hope_ms >= j->alone_ms)
        go(j, now_ms, SUP_JOIN_CHECK);
}

static bool is_second(const struct sup_join *j, size_t i)
{
    const struct sup_join_peer *p = &j->peers[i];

    return p->member && p->connected && p->repairs && i != j->donor &&
           (p->standing == SUP_STANDING_READY || p->standing == SUP_STANDING_UNSAID);
}

static void check(struct sup_join *j, int64_t now_ms)
{
    int64_t since = now_ms - j->phase_ms;
    bool second = j->busy;

    for (size_t i = 0; i < j->n && !second; i++)
        second = is_second(j, i);
    if (count(j).members < 2 || since >= SUP_JOIN_CHECK_MS ||
        (!second && since >= SUP_JOIN_SECOND_MS))
        go(j, now_ms, SUP_JOIN_READY);
}

bool sup_join_move(struct sup_join *j, int64_t now_ms, size_t n)
{
    enum sup_join_phase before = j->phase;

    j->n = n < SUP_JOIN_PEERS_MAX ? n : SUP_JOIN_PEERS_MAX;
    if (j->phase == SUP_JOIN_NEW || j->phase == SUP_JOIN_ALONE)
        look_around(j, now_ms);
    else if (j->phase == SUP_JOIN_COPY)
        await_donor(j, now_ms);
    else if (j->phase == SUP_JOIN_LOG)
        await_level(j, now_ms);
    if (j->phase == SUP_JOIN_CHECK)
        check(j, now_ms);
    return j->phase != before;
}

static enum sup_join_order order(struct sup_join *j, size_t peer, enum sup_join_order o)
{
    j->busy = true;
    j->with = peer;
    return o;
}

enum sup_join_order sup_join_next(struct sup_join *j, int64_t now_ms, size_t peer)
{
    if (j->busy || peer >= j->n)
        return SUP_JOIN_WAIT;
    if (j->phase == SUP_JOIN_COPY && best_donor(j, now_ms) == peer) {
        j->donor = peer;
        j->heard_ms = now_ms;
        return order(j, peer, j->peers[peer].snapshots ? SUP_JOIN_ASK : SUP_JOIN_ADOPT);
    }
    if (j->phase == SUP_JOIN_CHECK && is_second(j, peer) && now_ms >= j->not_before[peer])
        return order(j, peer, SUP_JOIN_COMPARE);
    return SUP_JOIN_WAIT;
}

void sup_join_heard(struct sup_join *j, int64_t now_ms)
{
    j->heard_ms = now_ms;
}

bool sup_join_silent(const struct sup_join *j, int64_t now_ms, size_t peer)
{
    return j->phase == SUP_JOIN_COPY && j->busy && j->with == peer &&
           now_ms - j->heard_ms >= SUP_JOIN_SILENT_MS;
}

void sup_join_copied(struct sup_join *j, int64_t now_ms)
{
    if (j->phase == SUP_JOIN_COPY)
        go(j, now_ms, SUP_JOIN_LOG);
}

void sup_join_failed(struct sup_join *j, int64_t now_ms, size_t peer, int64_t wait_ms)
{
    if (!j->busy || j->with != peer)
        return;
    j->not_before[peer] = now_ms + wait_ms;
    idle(j);
}

void sup_join_compared(struct sup_join *j, int64_t now_ms, size_t peer, int code)
{
    if (j->phase != SUP_JOIN_CHECK || !j->busy || j->with != peer)
        return;
    if (code == SUP_OK)
        go(j, now_ms, SUP_JOIN_READY);
    else
        sup_join_failed(j, now_ms, peer, SUP_JOIN_BUSY_MS);
}

enum sup_standing sup_join_standing(enum sup_join_phase phase)
{
    switch (phase) {
    case SUP_JOIN_NEW:
        return SUP_STANDING_NEW;
    case SUP_JOIN_ALONE:
        return SUP_STANDING_ALONE;
    case SUP_JOIN_READY:
        return SUP_STANDING_READY;
    default:
        return SUP_STANDING_JOINING;
    }
}

bool sup_join_pulls(enum sup_join_phase phase)
{
    return phase != SUP_JOIN_NEW && phase != SUP_JOIN_COPY;
}

bool sup_join_pulls_from(enum sup_join_phase phase, enum sup_standing standing, bool has_data)
{
    const struct sup_join_peer p = {.standing = standing, .has_data = has_data};

    return sup_join_pulls(phase) || (phase == SUP_JOIN_NEW && knows_nothing(&p));
}

bool sup_join_answers(enum sup_join_phase phase)
{
    return phase == SUP_JOIN_ALONE || phase == SUP_JOIN_READY;
}
