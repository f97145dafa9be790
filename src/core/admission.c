#include "core/admission.h"

/* What the shares are made of. The rest is this node's own: incarnations of earlier lives, and
 * those of a store from before there were shares. */
#define SHARED (SUP_VV_MAX / 4 * 3)

uint64_t sup_admission_charge(uint64_t member, bool own)
{
    uint64_t charge = (member & ~1ULL) | own;

    return charge != 0 ? charge : 2; /* 0 is no entry in a struct sup_vv */
}

size_t sup_admission_share(size_t n_peers)
{
    size_t share = SHARED / 2 / (n_peers > 0 ? n_peers : 1);

    return share > 0 ? share : 1;
}

size_t sup_admission_room(const struct sup_vv *charges, size_t known, size_t n_peers,
                          uint64_t charge)
{
    size_t most = SUP_VV_MAX - SUP_ADMISSION_OWN;
    size_t share = sup_admission_share(n_peers);
    size_t used = 0;

    for (size_t i = 0; i < charges->n; i++)
        used += charges->e[i].seq == charge;
    if (used >= share || known >= most)
        return 0;
    return share - used < most - known ? share - used : most - known;
}

void sup_admission_filter(const struct sup_admission_peer *p, const struct sup_vv *known,
                          struct sup_vv *theirs)
{
    size_t relay_room = p->relay_room;
    size_t kept = 0;

    for (size_t i = 0; i < theirs->n; i++) {
        uint64_t incarnation = theirs->e[i].incarnation;
        bool keep = true;
        if (sup_vv_get(known, incarnation) == 0) {
            bool own = incarnation == p->present;
            keep = own ? p->own_room > 0 : relay_room > 0;
            relay_room -= keep && !own;
        }
        if (keep)
            theirs->e[kept++] = theirs->e[i];
    }
    theirs->n = kept;
}
