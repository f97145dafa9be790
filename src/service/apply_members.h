#ifndef SUP_SERVICE_APPLY_MEMBERS_H
#define SUP_SERVICE_APPLY_MEMBERS_H

#include "service/apply.h"

/* Who brings a decision is known to the job that applies it (sup_apply_from); the version vector's
 * room is shared out among the members: core/admission.h. Without members there are no shares. */

/* A number for a node's name: the same in every process of the cluster. */
uint64_t sup_apply_member(const struct sup_apply *a, const char *name);
/* How many peers share the room. Any thread. */
void sup_apply_share_among(struct sup_apply *a, size_t n_peers);
/* A member says itself, over a link on which its name was verified, which incarnation is its
 * present one and how much of that it has. Any thread. */
void sup_apply_heard(struct sup_apply *a, uint64_t member, uint64_t incarnation, uint64_t seq);
/* Leaves of what a member says that it has what this node keeps, or could, the positions of. Any
 * thread. */
void sup_apply_admissible(struct sup_apply *a, uint64_t member, struct sup_vv *theirs);
/* Nobody can have more of the present incarnation than this node: it was made in this process's
 * life, or settled. Any thread. */
bool sup_apply_certain(struct sup_apply *a);

/* --- for apply*.c, on the writer thread --- */

/* A member, as it was last heard of. */
struct sup_apply_member {
    uint64_t id;
    uint64_t incarnation; /* its present one; 0: it did not say */
    uint64_t seq;         /* it has that much of it */
    int64_t mono_ms;      /* when it said so */
};
#define SUP_APPLY_MEMBERS_MAX 64

/* Does the version vector have an entry for it, or may one be made? Then it is charged. */
bool sup_apply_admit(struct sup_apply *a, uint64_t incarnation);
/* How much of an incarnation the job's source can be believed to have: of what another member
 * calls its own no more than that one says itself, as long as it is there to say it; of what was
 * forgotten here, and of what this node is certain of, none. */
uint64_t sup_apply_believed(struct sup_apply *a, uint64_t incarnation, uint64_t seq);
/* As sup_apply_certain. */
bool sup_apply_is_certain(const struct sup_apply *a);

#endif
