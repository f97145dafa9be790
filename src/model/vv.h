#ifndef SUP_MODEL_VV_H
#define SUP_MODEL_VV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Version vector: for each origin incarnation, the highest sequence number up to which everything
 * is applied. Small (a few entries a node), sorted by incarnation. A value type with a fixed
 * maximum, so a peer cannot make it grow. */

#define SUP_VV_MAX 512

struct sup_vv_entry {
    uint64_t incarnation;
    uint64_t seq;
};

struct sup_vv {
    struct sup_vv_entry e[SUP_VV_MAX];
    size_t n;
};

void sup_vv_init(struct sup_vv *v);
/* As an assignment, which would copy all of the array. */
void sup_vv_copy(struct sup_vv *to, const struct sup_vv *from);
uint64_t sup_vv_get(const struct sup_vv *v, uint64_t incarnation); /* 0 when absent */
/* Raises (never lowers) the entry. Absent and 0 are the same: 0 adds no entry. Returns SUP_OK, or
 * SUP_ELIMIT when full. */
int sup_vv_raise(struct sup_vv *v, uint64_t incarnation, uint64_t seq);
/* Takes the entry out: it is absent, as if it never was. */
void sup_vv_remove(struct sup_vv *v, uint64_t incarnation);
/* Raises v by all of o. SUP_OK, or SUP_ELIMIT with v raised by a part of o. */
int sup_vv_merge(struct sup_vv *v, const struct sup_vv *o);
/* Lowers v to the entry-wise minimum with o (absent = 0). */
void sup_vv_min(struct sup_vv *v, const struct sup_vv *o);
bool sup_vv_covers(const struct sup_vv *v, const struct sup_vv *o); /* v >= o everywhere */
/* How many mutations o has that v lacks. */
uint64_t sup_vv_missing(const struct sup_vv *v, const struct sup_vv *o);

#endif
