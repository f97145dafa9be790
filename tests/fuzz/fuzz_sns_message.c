/* Any bytes as the Message of a sound SNS envelope: what the envelope adds is there, what the
 * message says is the same as without it. */
#include "fuzz.h"

#include "base/utf8.h"
#include "core/event_read.h"
#include "event_text.h"

#include <string.h>

static void add_escaped(struct sup_buf *out, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '"' || p[i] == '\\')
            sup_buf_addf(out, "\\%c", p[i]);
        else if (p[i] < 0x20)
            sup_buf_addf(out, "\\u%04x", p[i]);
        else
            sup_buf_add_byte(out, p[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sup_event_reader *reader;
    struct sup_event bare, wrapped;
    struct sup_buf body, a, b;

    if (reader == NULL)
        reader = sup_event_reader_new();
    if (size > 100000 || !sup_utf8_valid(data, size))
        return 0;
    sup_buf_init(&body, SUP_EVENT_BODY_MAX);
    sup_buf_init(&a, 8 << 20);
    sup_buf_init(&b, 8 << 20);
    int rc = sup_event_read(reader, sup_slice_of(data, size), &bare, NULL);
    if (rc == SUP_OK)
        event_text(&bare, &a);
    /* Another envelope or records inside: other rules. */
    bool plain = rc != SUP_OK || (bare.type != SUP_EVENT_NONE && bare.envelope_ms == SUP_NO_TIME &&
                                  bare.sns_message_id.p == NULL);
    sup_buf_add_str(&body, "{\"Type\":\"Notification\",\"Message\":\"");
    add_escaped(&body, data, size);
    sup_buf_add_str(&body, "\",\"Timestamp\":\"2020-01-01T00:00:00Z\",\"MessageId\":\"id\"}");
    int rw = sup_event_read(reader, sup_buf_slice(&body), &wrapped, NULL);
    if (rc == SUP_OK && rw == SUP_OK && plain && wrapped.envelope_ms != SUP_NO_TIME &&
        wrapped.sns_message_id.n == 2) {
        wrapped.envelope_ms = SUP_NO_TIME;
        wrapped.sns_message_id = (struct sup_slice){0};
        event_text(&wrapped, &b);
        FUZZ_CHECK(sup_slice_eq(sup_buf_slice(&a), sup_buf_slice(&b)));
    }
    FUZZ_CHECK(rc == SUP_OK || rw != SUP_OK || !plain);
    sup_buf_fini(&body);
    sup_buf_fini(&a);
    sup_buf_fini(&b);
    return 0;
}
