#include "codec/audit.h"

#include "codec/pb_arena.h"
#include "store.pb-c.h"

#include <sodium.h>
#include <string.h>

#define MEM_MAX 4096
/* What a key goes on with behind that of sup_key_audit: it sorts marks before what is beside. */
#define MARK        1
#define BESIDE      2
#define BESIDE_HASH 16
/* Behind the address and its NUL: time, class, origin. */
#define DECISION_TAIL (8 + 1 + 8)
#define BESIDE_TAIL   (DECISION_TAIL + 1 + BESIDE_HASH)

const char *sup_overruled_by_name(enum sup_overruled_by by)
{
    static const char *const names[] = {"", "time", "state", "origin", "bytes"};

    return (size_t)by < sizeof(names) / sizeof(names[0]) ? names[by] : "";
}

/* Unkeyed, but nobody can make two decisions of one hash. */
void sup_key_audit_beside(struct sup_key *k, struct sup_slice base, struct sup_slice encoded)
{
    k->n = base.n < sizeof(k->b) - 1 - BESIDE_HASH ? base.n : sizeof(k->b) - 1 - BESIDE_HASH;
    memcpy(k->b, base.p, k->n);
    k->b[k->n++] = BESIDE;
    (void)crypto_generichash(k->b + k->n, BESIDE_HASH, encoded.p, encoded.n, NULL, 0);
    k->n += BESIDE_HASH;
}

void sup_key_audit_mark(struct sup_key *k, struct sup_slice decision_key)
{
    k->n = decision_key.n < sizeof(k->b) ? decision_key.n : sizeof(k->b) - 1;
    memcpy(k->b, decision_key.p, k->n);
    k->b[k->n++] = MARK;
}

bool sup_key_audit_is_mark(struct sup_slice key)
{
    const uint8_t *nul = key.n > 0 ? memchr(key.p, 0, key.n) : NULL;

    size_t tail = nul ? key.n - (size_t)(nul - key.p) - 1 : 0;

    return tail == DECISION_TAIL + 1 || tail == BESIDE_TAIL + 1;
}

void sup_overruled_encode(const struct sup_overruled *o, struct sup_buf *out)
{
    Supsync__Store__Overruled msg = SUPSYNC__STORE__OVERRULED__INIT;

    msg.time = o->time;
    msg.origin = o->origin;
    msg.by = (uint32_t)o->by;
    msg.state = (uint32_t)o->state;
    sup_pb_pack(&msg.base, out);
}

int sup_overruled_decode(struct sup_slice bytes, struct sup_overruled *out, struct sup_err *err)
{
    const Supsync__Store__Overruled *msg;
    struct sup_pb_arena a;
    int rc = SUP_OK;

    sup_pb_arena_init(&a, MEM_MAX);
    msg = sup_pb_unpack(&supsync__store__overruled__descriptor, &a, bytes, "mark", &rc, err);
    if (msg)
        *out = (struct sup_overruled){
            .time = msg->time,
            .origin = msg->origin,
            .state = msg->state == SUP_CLEARED ? SUP_CLEARED : SUP_SUPPRESSED,
            .by = msg->by <= SUP_OVERRULED_BY_BYTES ? (enum sup_overruled_by)msg->by
                                                    : SUP_OVERRULED_BY_TIME};
    sup_pb_arena_reset(&a);
    return rc;
}
