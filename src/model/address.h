#ifndef SUP_MODEL_ADDRESS_H
#define SUP_MODEL_ADDRESS_H

#include "base/err.h"

#include <stddef.h>

/* E-mail addresses.
 *
 * Two forms matter. The *key* says who the recipient is: trimmed, ASCII lower case, IDN domain in
 * A-label form; "+tag" and dots are not folded. The *spelling* is the exact form that a Region's
 * SES list stores: PutSuppressedDestination trims and lower-cases the domain only, so Foo@x.com and
 * foo@x.com are two entries of the list, while sending matches them case-blind. */

#define SUP_ADDRESS_MAX 320 /* RFC 5321 section 4.5.3.1: 64 + 1 + 255 */

struct sup_address {
    char key[SUP_ADDRESS_MAX + 1];
    char spelling[SUP_ADDRESS_MAX + 1];
    size_t key_len;
    size_t spelling_len;
    size_t domain_at; /* offset of the domain in key, behind the last '@' */
};

/* Parses one bare addr-spec (RFC 5321/5322; quoted local parts and address literals allowed; UTF-8
 * local parts as RFC 6531 has them). Surrounding white space is trimmed. n may be any size; refused
 * with SUP_EINPUT and the reason: empty, longer than 320 bytes, control characters or NUL, invalid
 * UTF-8, invisible characters in the local part, no '@', empty or oversized parts, a domain that
 * IDNA refuses. *out is written on success only. Pure; any thread. */
int sup_address_parse(const char *s, size_t n, struct sup_address *out, struct sup_err *err);

/* As above, but for what stands in events and headers: accepts "Display Name <addr>", "<addr>",
 * RFC 5322 comments around it and white space beside the '@'. A list of addresses is refused: this
 * is for one. */
int sup_address_parse_mailbox(const char *s, size_t n, struct sup_address *out,
                              struct sup_err *err);

/* Mailbox simulator addresses (simulator.amazonses.com) never count and never replicate. */
int sup_address_is_simulator(const struct sup_address *a);

#endif
