#include "mesh_rig.h"

#include "base/clock.h"
#include "codec/value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void node_state(void *arg, uint64_t *incarnation, struct sup_vv *vv)
{
    struct rig_node *n = arg;

    *incarnation = n->incarnation;
    sup_vv_init(vv);
    (void)sup_vv_raise(vv, n->incarnation, atomic_load(&n->seq));
}

static bool node_knows(void *arg, const char *node)
{
    struct rig_node *n = arg;
    return strcmp(n->knows, node) == 0;
}

void rig_node(struct rig_node *n, const char *name, const char *knows)
{
    memset(n, 0, sizeof(*n));
    (void)snprintf(n->cluster, sizeof(n->cluster), "test");
    (void)snprintf(n->name, sizeof(n->name), "%s", name);
    (void)snprintf(n->knows, sizeof(n->knows), "%s", knows);
    n->incarnation = sup_random_id();
    atomic_init(&n->seq, 1);
    n->local = (struct sup_session_local){.cluster = n->cluster,
                                          .node = n->name,
                                          .node_id = sup_random_id(),
                                          .key_check = 42,
                                          .drift_limit_ms = 60000,
                                          .state = node_state,
                                          .known = node_knows,
                                          .arg = n};
}

struct sup_mesh_tls *rig_tls(const struct pki *p, const char *ca, const char *name)
{
    char ca_file[64];
    char cert_file[64];
    char key_file[64];
    struct sup_mesh_tls *tls = NULL;
    struct sup_err err = {0};

    (void)snprintf(ca_file, sizeof(ca_file), "%s.pem", ca);
    (void)snprintf(cert_file, sizeof(cert_file), "%s.pem", name);
    (void)snprintf(key_file, sizeof(key_file), "%s.key", name);
    const struct sup_mesh_tls_files files = {.ca = pki_path(p, ca_file),
                                             .cert = pki_path(p, cert_file),
                                             .key = pki_path(p, key_file),
                                             .crl = ""};
    if (sup_mesh_tls_load(&files, &tls, &err) != SUP_OK)
        print_error("%s\n", err.msg);
    assert_non_null(tls);
    return tls;
}

const char *rig_url(bool tls, int port)
{
    static _Thread_local char url[64];
    (void)snprintf(url, sizeof(url), "%s://127.0.0.1:%d", tls ? "tls+tcp" : "tcp", port);
    return url;
}

void rig_links(const struct sup_mesh_tls *dialing, const struct sup_mesh_tls *listening,
               const char *server_name, struct sup_link **dialed, struct sup_link **accepted)
{
    struct sup_listener *l = NULL;
    struct sup_dialer *d = NULL;
    struct sup_err err = {0};

    assert_int_equal(sup_listener_open(rig_url(listening != NULL, 0), listening, &l, &err), SUP_OK);
    assert_int_equal(sup_dialer_new(rig_url(dialing != NULL, sup_listener_port(l)), dialing,
                                    server_name, &d, &err),
                     SUP_OK);
    assert_int_equal(sup_link_dial(d, 5000, dialed, &err), SUP_OK);
    assert_int_equal(sup_link_accept(l, 5000, accepted, &err), SUP_OK);
    sup_dialer_free(d);
    sup_listener_free(l);
}

bool rig_eventually(bool (*check)(void *arg), void *arg, int64_t ms)
{
    int64_t deadline = sup_mono_ms() + ms;

    while (!check(arg)) {
        if (sup_mono_ms() > deadline)
            return false;
        (void)usleep(2000);
    }
    return true;
}

const struct sup_mesh_msg *rig_mutations(uint64_t incarnation, uint64_t seq, size_t n, size_t size)
{
    static _Thread_local struct sup_mesh_msg msg;
    static _Thread_local struct sup_mutation ms[64];
    static _Thread_local uint8_t noise[SUP_DECISION_MAX];

    assert_true(n <= 64 && size <= sizeof(noise));
    if (noise[0] == 0) {
        struct sup_rng rng;
        sup_rng_seed(&rng, sup_random_u64());
        for (size_t i = 0; i < sizeof(noise); i++)
            noise[i] = (uint8_t)(1 + sup_rng_below(&rng, 64));
    }
    for (size_t i = 0; i < n; i++)
        ms[i] = (struct sup_mutation){.incarnation = incarnation,
                                      .seq = seq + i,
                                      .key = SUP_SLICE_LIT("someone@example.com"),
                                      .cls = SUP_CLASS_BOUNCE,
                                      .encoded = sup_slice_of(noise, size)};
    msg.type = SUP_FRAME_MUTATIONS;
    msg.u.mutations = (struct sup_mutations){.m = ms, .n = n};
    return &msg;
}
