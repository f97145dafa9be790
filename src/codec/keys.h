#ifndef SUP_CODEC_KEYS_H
#define SUP_CODEC_KEYS_H

#include "base/buf.h"
#include "codec/hash.h"
#include "model/address.h"
#include "model/hlc.h"

#include <stdbool.h>
#include <stdint.h>

/* Keys of the column families. Each starts with what it is scanned by; numbers are big endian, so
 * byte order is numeric order. Address keys hold no NUL (model/address.h), so a NUL ends one. */

#define SUP_KEY_MAX (SUP_ADDRESS_MAX + 64)

struct sup_key {
    uint8_t b[SUP_KEY_MAX];
    size_t n;
};

struct sup_slice sup_key_slice(const struct sup_key *k);

/* records: hash64 ‖ address. */
void sup_key_record(struct sup_key *k, const struct sup_hash_key *hash, struct sup_slice address);
bool sup_key_record_parse(struct sup_slice key, uint64_t *hash, struct sup_slice *address);

/* log: incarnation ‖ seq. */
void sup_key_log(struct sup_key *k, uint64_t incarnation, uint64_t seq);
bool sup_key_log_parse(struct sup_slice key, uint64_t *incarnation, uint64_t *seq);

/* quarantine: HLC time ‖ class ‖ origin ‖ address. */
void sup_key_quarantine(struct sup_key *k, sup_hlc_time time, uint8_t cls, uint64_t origin,
                        struct sup_slice address);
bool sup_key_quarantine_parse(struct sup_slice key, sup_hlc_time *time);

/* audit: address ‖ NUL ‖ HLC time ‖ class ‖ origin. As these sort by address, audit is also the
 * index by which the set is listed in order. */
void sup_key_audit(struct sup_key *k, struct sup_slice address, sup_hlc_time time, uint8_t cls,
                   uint64_t origin);
void sup_key_audit_first(struct sup_key *k,
                         struct sup_slice address);                  /* lower bound of an address */
void sup_key_audit_end(struct sup_key *k, struct sup_slice address); /* upper bound, exclusive */
bool sup_key_audit_parse(struct sup_slice key, struct sup_slice *address, sup_hlc_time *time);

/* outbox, expiry and evidence: time in ms (not negative) ‖ address. */
void sup_key_timed(struct sup_key *k, int64_t ms, struct sup_slice address);
bool sup_key_timed_parse(struct sup_slice key, int64_t *ms, struct sup_slice *address);

/* dedup: 16-byte hash of what identifies an event's recipient. Unkeyed BLAKE2b: ids come from SES.
 */
void sup_key_dedup(struct sup_key *k, struct sup_slice identity);

/* meta: version vector entry of an incarnation. */
void sup_key_meta_vv(struct sup_key *k, uint64_t incarnation);
void sup_key_meta_vv_end(struct sup_key *k); /* upper bound, exclusive */
bool sup_key_meta_vv_parse(struct sup_slice key, uint64_t *incarnation);
/* meta: up to where the log of an incarnation was trimmed. */
void sup_key_meta_floor(struct sup_key *k, uint64_t incarnation);
void sup_key_meta_floor_end(struct sup_key *k); /* upper bound, exclusive */
bool sup_key_meta_floor_parse(struct sup_slice key, uint64_t *incarnation);
/* meta: whose share of the version vector an incarnation takes (core/admission.h). */
void sup_key_meta_charge(struct sup_key *k, uint64_t incarnation);
void sup_key_meta_charge_end(struct sup_key *k); /* upper bound, exclusive */
bool sup_key_meta_charge_parse(struct sup_slice key, uint64_t *incarnation);

#endif
