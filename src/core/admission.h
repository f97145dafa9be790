#ifndef SUP_CORE_ADMISSION_H
#define SUP_CORE_ADMISSION_H

#include "model/vv.h"

/* Whose incarnations have an entry in this node's version vector. It has room for SUP_VV_MAX, and a
 * member that means harm, or one that restarts without end, must not fill it: then nobody's new
 * incarnation would be taken, and honest members would stop replicating with each other.
 *
 * So the room is shared out. Each new entry is charged to the member that it came from, in one of
 * two classes: the incarnation that this member says is its own present one, and those of others
 * that it passes on. (An incarnation that some member says is its own is charged to that one,
 * whoever brings it.) What a member can introduce ends with its share; no other member's share
 * becomes smaller by it, and the one that matters most, of what comes from its origin, cannot be
 * used up by those who pass things on.
 *
 * Decisions of an incarnation without an entry are not lost. They are merged as they come, but not
 * logged and not counted: they come again in the next session, and merge to nothing.
 *
 * Pure. A charge is a number that stands for a member and a class; a table of them is held in a
 * struct sup_vv, which maps incarnations to numbers. */

/* Entries that no peer can take: they are this node's own. */
#define SUP_ADMISSION_OWN 64

/* member: any number that stands for one, but for its lowest bit. */
uint64_t sup_admission_charge(uint64_t member, bool own);
/* Entries in each class of each of n_peers peers. */
size_t sup_admission_share(size_t n_peers);
/* How many more entries may be made with that charge. known: entries in the version vector. */
size_t sup_admission_room(const struct sup_vv *charges, size_t known, size_t n_peers,
                          uint64_t charge);

/* What a peer says that it has, and what of that this node would have an entry for: only that can
 * be lacking here. Entries which are known here stay, of the others as many as there is room
 * for. */
struct sup_admission_peer {
    uint64_t present;  /* incarnation that the peer says is its own */
    size_t own_room;   /* in the class of its own */
    size_t relay_room; /* in that of others */
};
void sup_admission_filter(const struct sup_admission_peer *p, const struct sup_vv *known,
                          struct sup_vv *theirs);

#endif
