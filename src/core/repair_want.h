#ifndef SUP_CORE_REPAIR_WANT_H
#define SUP_CORE_REPAIR_WANT_H

#include "model/decision.h"

/* What a FETCH says of each record: its hash, and of each register that the puller has, when it was
 * decided and 4 bytes of a checksum. So only what is newer travels. 9 bytes for a record that the
 * puller lacks, 21 for one with one register. Pure. */

#define SUP_REPAIR_WANT_SIZE_MAX (9 + SUP_N_CLASSES * 12)

struct sup_repair_want {
    uint64_t key;
    struct {
        bool present;
        sup_hlc_time time;
        uint32_t check;
    } have[SUP_N_CLASSES];
};

/* have: the puller's registers, all absent for a record that it lacks. */
void sup_repair_want_make(uint64_t key, const struct sup_registers *have,
                          struct sup_repair_want *out);
void sup_repair_want_pack(const struct sup_repair_want *w, struct sup_buf *out);
/* c fails when there is none. */
void sup_repair_want_unpack(struct sup_cur *c, struct sup_repair_want *out);
/* Is the server's register news to the puller? At equal times both orders are possible, so it is
 * sent, unless the two are the same. */
bool sup_repair_want_news(const struct sup_repair_want *w, enum sup_class cls,
                          const struct sup_register *r);

#endif
