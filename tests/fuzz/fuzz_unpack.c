/* Any bytes as an archive that is packed, plain, gzip or Zstandard, that comes in pieces: the first
 * byte says how large they are. Whatever it is, it ends, and the pieces make no difference. */
#include "fuzz.h"

#include "core/archive_reader.h"

#include <stdbool.h>
#include <string.h>

struct bytes {
    const uint8_t *p;
    size_t n, at, piece;
};

static int hand_out(void *arg, uint8_t *to, size_t room, size_t *n, struct sup_err *err)
{
    struct bytes *b = arg;

    (void)err;
    *n = b->n - b->at;
    *n = *n < room ? *n : room;
    *n = *n < b->piece ? *n : b->piece;
    if (*n > 0)
        memcpy(to, b->p + b->at, *n);
    b->at += *n;
    return SUP_OK;
}

/* A sum of all documents and their places; *rc says how it ended. */
static uint64_t read_all(struct bytes b, int *rc)
{
    static struct sup_archive_reader *reader;
    struct sup_slice document;
    struct sup_err err = {0};
    uint64_t sum = 0, offset = 0;

    if (reader == NULL)
        reader = sup_archive_reader_new();
    *rc = sup_archive_reader_begin(reader, hand_out, &b, &err);
    while (*rc == SUP_OK || *rc == SUP_ELIMIT) {
        *rc = sup_archive_reader_next(reader, &document, &offset, &err);
        if (*rc != SUP_OK)
            continue;
        FUZZ_CHECK(document.n > 0 && document.n <= SUP_ARCHIVE_DOCUMENT_MAX);
        sum = (sum ^ offset) * 1099511628211U;
        for (size_t i = 0; i < document.n; i++)
            sum = (sum ^ document.p[i]) * 1099511628211U;
    }
    FUZZ_CHECK(*rc == SUP_ENOTFOUND || err.msg[0] != '\0');
    return sum;
}

static bool is_refused(int rc)
{
    return rc == SUP_ECORRUPT || rc == SUP_EINPUT;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int whole, pieces;

    if (size < 1 || size > 2048)
        return 0;
    uint64_t a = read_all((struct bytes){data + 1, size - 1, 0, size}, &whole);
    uint64_t b = read_all((struct bytes){data + 1, size - 1, 0, (size_t)data[0] + 1}, &pieces);
    /* What is damaged may come out as far as it was good, and be told from text by that. */
    FUZZ_CHECK(whole == pieces || (is_refused(whole) && is_refused(pieces)));
    FUZZ_CHECK(a == b || is_refused(whole));
    return 0;
}
