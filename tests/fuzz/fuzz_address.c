/* Any bytes as an address and as a mailbox: what is accepted is sound, and both of its forms are
 * fixed points of the parser. */
#include "fuzz.h"

#include "base/utf8.h"
#include "model/address.h"

#include <string.h>

static void check(const struct sup_address *a)
{
    struct sup_address b;

    FUZZ_CHECK(a->key_len > 0 && a->key_len <= SUP_ADDRESS_MAX);
    FUZZ_CHECK(strlen(a->key) == a->key_len && strlen(a->spelling) == a->spelling_len);
    FUZZ_CHECK(a->spelling_len == a->key_len);
    FUZZ_CHECK(sup_utf8_valid(a->spelling, a->spelling_len));
    FUZZ_CHECK(a->domain_at > 1 && a->domain_at < a->key_len && a->key[a->domain_at - 1] == '@');
    for (size_t i = 0; i < a->key_len; i++) {
        unsigned char k = (unsigned char)a->key[i];
        FUZZ_CHECK(k >= 0x20 && k != 0x7f && !(k >= 'A' && k <= 'Z'));
        FUZZ_CHECK(i < a->domain_at || (k > 0x20 && k < 0x7f && k != '@'));
        FUZZ_CHECK(i < a->domain_at || k == (unsigned char)a->spelling[i]);
    }
    FUZZ_CHECK(sup_address_parse(a->key, a->key_len, &b, NULL) == SUP_OK);
    FUZZ_CHECK(strcmp(b.key, a->key) == 0 && strcmp(b.spelling, a->key) == 0);
    FUZZ_CHECK(sup_address_parse(a->spelling, a->spelling_len, &b, NULL) == SUP_OK);
    FUZZ_CHECK(strcmp(b.key, a->key) == 0 && strcmp(b.spelling, a->spelling) == 0);
    FUZZ_CHECK(b.domain_at == a->domain_at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *s = (const char *)data;
    struct sup_address bare;
    struct sup_address box;
    struct sup_err err = {0};
    int rc = sup_address_parse(s, size, &bare, &err);
    int rc_box = sup_address_parse_mailbox(s, size, &box, NULL);

    FUZZ_CHECK(rc == SUP_OK || (rc == SUP_EINPUT && err.code == rc && err.msg[0] != '\0'));
    FUZZ_CHECK(sup_utf8_valid(err.msg, strlen(err.msg)));
    if (rc == SUP_OK) {
        check(&bare);
        FUZZ_CHECK(rc_box == SUP_OK && strcmp(bare.spelling, box.spelling) == 0);
    }
    if (rc_box == SUP_OK)
        check(&box);
    return 0;
}
