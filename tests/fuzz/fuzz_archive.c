/* Any bytes as an archive that comes in pieces: the first byte says how large they are. What comes
 * out is what the whole text gives, and each document goes through the event reader. */
#include "fuzz.h"

#include "core/archive.h"
#include "core/event_read.h"
#include "core/json_split.h"

#include <string.h>

#define DOCUMENT_MAX ((size_t)1 << 16)

static void feed(struct sup_archive *a, struct sup_slice text, size_t *at, size_t piece)
{
    size_t n;
    uint8_t *p = sup_archive_room(a, &n);

    FUZZ_CHECK(p != NULL && n > 0);
    n = n < piece ? n : piece;
    n = n < text.n - *at ? n : text.n - *at;
    if (n > 0)
        memcpy(p, text.p + *at, n);
    *at += n;
    sup_archive_fed(a, n, *at == text.n);
}

static void read_events(struct sup_slice document)
{
    static struct sup_event_reader *reader;
    struct sup_event event;
    int rc;

    if (reader == NULL)
        reader = sup_event_reader_new();
    sup_event_reader_begin(reader, document);
    do {
        rc = sup_event_reader_next(reader, &event, NULL);
    } while (rc != SUP_ENOTFOUND);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sup_archive *a;
    struct sup_slice text, rest, document, want;
    uint64_t offset;
    size_t at = 0;
    int rc;

    if (size < 1 || size >= DOCUMENT_MAX)
        return 0;
    if (a == NULL)
        a = sup_archive_new(DOCUMENT_MAX);
    sup_archive_reset(a);
    text = sup_slice_of(data + 1, size - 1);
    size_t mark = text.n >= 3 && memcmp(text.p, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    rest = sup_slice_of(text.p + mark, text.n - mark);
    const char *name;
    sup_archive_sniff(text, &name);
    FUZZ_CHECK(name != NULL);
    while ((rc = sup_archive_next(a, &document, &offset)) != SUP_ENOTFOUND) {
        if (rc == SUP_EAGAIN) {
            feed(a, text, &at, (size_t)data[0] + 1);
            continue;
        }
        FUZZ_CHECK(rc == SUP_OK);
        FUZZ_CHECK(sup_json_split(&rest, &want));
        FUZZ_CHECK(sup_slice_eq(want, document) && offset == (uint64_t)(want.p - text.p));
        read_events(document);
    }
    FUZZ_CHECK(!sup_json_split(&rest, &want));
    return 0;
}
