/* The frames of every version that is still spoken, as they were when it was new: golden/vN-*.hex.
 * They must stay readable as long as version N is within the range that HELLO names, and so must
 * the same with fields added that this program does not know. */
#include "codec/mesh_msg.h"
#include "golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* One version back is supported: a mesh is upgraded node by node. */
_Static_assert(SUP_MESH_VERSION_MAX == 1 || SUP_MESH_VERSION_MIN < SUP_MESH_VERSION_MAX,
               "the version before the newest must stay in the range");

/* Each version has these, and what it added. A new version's list is appended and its files are
 * written by test_mesh_msg (SUPSYNC_GOLDEN_WRITE); those of before stay as they are. */
static const struct {
    unsigned version;
    const char *name;
} frames[] = {{1, "hello"},
              {1, "refuse"},
              {1, "bye"},
              {1, "heartbeat"},
              {1, "mutations"},
              {1, "pull"},
              {1, "ack"},
              {1, "trimmed"},
              {1, "repair"},
              {1, "hello-members"},
              {1, "heartbeat-members"},
              {1, "summary"},
              {1, "snapshot"}};

static void assert_readable(uint16_t type, struct sup_slice body, struct sup_mesh_mem *mem)
{
    struct sup_mesh_msg *msg = calloc(1, sizeof(*msg));
    struct sup_err err = {0};

    if (sup_mesh_msg_decode(type, body, mem, msg, &err) != SUP_OK)
        fail_msg("frame type %u: %s", type, err.msg);
    assert_int_equal(msg->type, type);
    free(msg);
}

/* A file holds one frame or more. Returns how many. */
static unsigned read_all(struct sup_slice in, struct sup_mesh_mem *mem)
{
    static const char later[] = "\xfa\x7f\x05later"; /* field 2047 */
    struct sup_frame_decoder *decoder = sup_frame_decoder_new(SUP_FRAME_BODY_MAX);
    struct sup_frame frame;
    struct sup_buf body;
    unsigned n = 0;

    sup_buf_init(&body, SUP_FRAME_BODY_MAX);
    while (sup_frame_decode(decoder, &in, &frame, NULL) == SUP_OK) {
        assert_readable(frame.type, frame.body, mem);
        sup_buf_reset(&body);
        sup_buf_add_slice(&body, frame.body);
        sup_buf_add(&body, later, sizeof(later) - 1);
        assert_readable(frame.type, sup_buf_slice(&body), mem);
        n++;
    }
    assert_int_equal(in.n, 0);
    sup_buf_fini(&body);
    sup_frame_decoder_free(decoder);
    return n;
}

static void every_version_is_readable(void **state)
{
    static uint8_t bytes[65536];
    struct sup_mesh_mem *mem = sup_mesh_mem_new();
    unsigned versions = 0;
    unsigned n = 0;
    char name[64];
    size_t len;

    (void)state;
    for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
        if (frames[i].version < SUP_MESH_VERSION_MIN)
            continue;
        (void)snprintf(name, sizeof(name), "v%u-%s", frames[i].version, frames[i].name);
        golden_load(name, bytes, &len, sizeof(bytes));
        n += read_all(sup_slice_of(bytes, len), mem);
        versions |= 1U << frames[i].version;
    }
    for (unsigned v = SUP_MESH_VERSION_MIN; v <= SUP_MESH_VERSION_MAX; v++)
        assert_true(versions & 1U << v);
    print_message("%u frames of versions %d to %d\n", n, SUP_MESH_VERSION_MIN,
                  SUP_MESH_VERSION_MAX);
    assert_true(n >= sizeof(frames) / sizeof(frames[0]));
    sup_mesh_mem_free(mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_version_is_readable)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
