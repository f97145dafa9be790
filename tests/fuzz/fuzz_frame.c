/* Any bytes as what a peer sends: frames, whatever the pieces they come in, and the messages in
 * them, and what is said to a HELLO. What is accepted keeps to the limits and encodes to what
 * decodes to the same. */
#include "fuzz.h"

#include "codec/mesh_msg.h"
#include "codec/value.h"
#include "mesh/session_impl.h"

#include <string.h>

/* Past those of repair and snapshots. */
#define TYPES 40

static struct sup_mesh_mem *mem;
static struct sup_mesh_mem *mem2;
static struct sup_mesh_msg msg;
static struct sup_mesh_msg again;

static void check_vv(const struct sup_vv *v)
{
    FUZZ_CHECK(v->n <= SUP_VV_MAX);
    for (size_t i = 0; i < v->n; i++)
        FUZZ_CHECK(v->e[i].incarnation > (i > 0 ? v->e[i - 1].incarnation : 0));
}

static void check_mutations(const struct sup_mutations *ms)
{
    FUZZ_CHECK(ms->n > 0 && ms->n <= SUP_MESH_MUTATIONS_MAX);
    for (size_t i = 0; i < ms->n; i++) {
        const struct sup_mutation *m = &ms->m[i];
        FUZZ_CHECK(m->incarnation != 0 && m->seq != 0);
        FUZZ_CHECK(m->key.n > 0 && m->key.n <= SUP_ADDRESS_MAX && !memchr(m->key.p, 0, m->key.n));
        FUZZ_CHECK(m->cls >= 1 && m->cls <= SUP_N_CLASSES);
        FUZZ_CHECK(m->encoded.n > 0 && m->encoded.n <= SUP_DECISION_MAX);
    }
}

static bool known(void *arg, const char *node)
{
    (void)arg;
    return strcmp(node, "us") == 0;
}

/* Either end's judgement of a HELLO: a session, or a refusal whose reason can be sent. */
static void check_hello(const struct sup_hello *peer)
{
    const struct sup_session_local local = {.cluster = "prod",
                                            .node = "eu",
                                            .node_id = 1,
                                            .key_check = 42,
                                            .drift_limit_ms = 60000,
                                            .known = known};

    for (int dialed = 0; dialed < 2; dialed++) {
        enum sup_refusal why = SUP_REFUSED_OTHER;
        struct sup_err err = {0};
        int rc = sup_hello_check(peer, &local, dialed ? "us" : NULL, &why, &err);
        FUZZ_CHECK((rc == SUP_OK) == (err.msg[0] == '\0'));
        FUZZ_CHECK(rc != SUP_OK || (strcmp(peer->cluster, "prod") == 0 && peer->node_id != 1 &&
                                    strcmp(peer->node, "us") == 0));
        FUZZ_CHECK(rc == SUP_OK || strcmp(sup_refusal_name(why), "other") != 0);
    }
}

static void check_message(void)
{
    switch (msg.type) {
    case SUP_FRAME_HELLO:
        FUZZ_CHECK(strnlen(msg.u.hello.node, SUP_MESH_NAME_MAX + 1) <= SUP_MESH_NAME_MAX);
        FUZZ_CHECK(strnlen(msg.u.hello.cluster, SUP_MESH_NAME_MAX + 1) <= SUP_MESH_NAME_MAX);
        check_vv(&msg.u.hello.vv);
        check_hello(&msg.u.hello);
        break;
    case SUP_FRAME_REFUSE:
    case SUP_FRAME_BYE:
        FUZZ_CHECK(strnlen(msg.u.goodbye.reason, SUP_MESH_REASON_MAX + 1) <= SUP_MESH_REASON_MAX);
        break;
    case SUP_FRAME_HEARTBEAT:
        check_vv(&msg.u.heartbeat.vv);
        break;
    case SUP_FRAME_PULL:
    case SUP_FRAME_ACK:
        check_vv(&msg.u.pull.vv);
        break;
    case SUP_FRAME_TRIMMED:
        check_vv(&msg.u.trimmed.floor);
        break;
    case SUP_FRAME_MUTATIONS:
        check_mutations(&msg.u.mutations);
        break;
    default:
        break; /* that it encodes and decodes again is checked by the caller */
    }
}

static void check_frame(const struct sup_frame *f)
{
    struct sup_buf body;
    struct sup_buf body2;

    FUZZ_CHECK(f->body.n <= SUP_FRAME_BODY_MAX);
    if (sup_mesh_msg_decode(f->type, f->body, mem, &msg, NULL) != SUP_OK)
        return;
    check_message();
    sup_buf_init(&body, SUP_FRAME_BODY_MAX);
    sup_buf_init(&body2, SUP_FRAME_BODY_MAX);
    FUZZ_CHECK(sup_mesh_msg_encode(&msg, mem2, &body, NULL) == SUP_OK);
    FUZZ_CHECK(sup_mesh_msg_decode(f->type, sup_buf_slice(&body), mem, &again, NULL) == SUP_OK);
    FUZZ_CHECK(sup_mesh_msg_encode(&again, mem2, &body2, NULL) == SUP_OK);
    FUZZ_CHECK(sup_slice_eq(sup_buf_slice(&body), sup_buf_slice(&body2)));
    sup_buf_fini(&body);
    sup_buf_fini(&body2);
}

/* Frames and final code, in pieces of that size. */
static uint64_t decode(struct sup_slice in, size_t piece, int *end)
{
    struct sup_frame_decoder *d = sup_frame_decoder_new(SUP_FRAME_BODY_MAX);
    uint64_t frames = 0;
    int rc = SUP_EAGAIN;

    FUZZ_CHECK(d);
    while (in.n > 0 && (rc == SUP_EAGAIN || rc == SUP_OK)) {
        struct sup_slice part = sup_slice_of(in.p, in.n < piece ? in.n : piece);
        size_t before = part.n;
        struct sup_frame f;
        rc = sup_frame_decode(d, &part, &f, NULL);
        FUZZ_CHECK(rc == SUP_OK || rc != SUP_EAGAIN || part.n == 0);
        in = sup_slice_of(in.p + (before - part.n), in.n - (before - part.n));
        if (rc == SUP_OK) {
            frames++;
            check_frame(&f);
        }
    }
    sup_frame_decoder_free(d);
    *end = rc;
    return frames;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sup_slice in = sup_slice_of(data, size);
    int whole;
    int bytes;

    if (!mem) {
        mem = sup_mesh_mem_new();
        mem2 = sup_mesh_mem_new();
    }
    FUZZ_CHECK(mem && mem2);
    FUZZ_CHECK(decode(in, SIZE_MAX, &whole) == decode(in, 1 + size / 7, &bytes));
    FUZZ_CHECK(whole == bytes);
    /* Past checksum and header: the rest as a message, its first byte as the type. */
    if (size > 0)
        check_frame(
            &(struct sup_frame){.type = data[0] % TYPES, .body = sup_slice_of(data + 1, size - 1)});
    return 0;
}
