/* Who may speak to whom: certificates that are wrong in each way, on either side. */
#include "base/clock.h"
#include "base/thread.h"
#include "mesh_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct pki *pki;

static int group_setup(void **state)
{
    (void)state;
    pki = pki_new();
    pki_authority(pki, "other-ca");
    pki_issue(pki, "ca", "a", "a", false);
    pki_issue(pki, "ca", "b", "b", false);
    pki_issue(pki, "ca", "slash", "eu-west-1/b", false);
    pki_issue(pki, "ca", "old", "b", true);
    pki_issue(pki, "ca", "old-a", "a", true);
    pki_issue(pki, "other-ca", "rogue", "b", false);
    pki_issue(pki, "other-ca", "rogue-a", "a", false);
    pki_revoke(pki, "ca", "revoked", "a");
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    pki_free(pki);
    return 0;
}

static struct sup_mesh_tls *load(const char *ca, const char *cert, const char *key, const char *crl)
{
    char file[4][64];
    struct sup_mesh_tls *tls = NULL;
    struct sup_err err = {0};

    (void)snprintf(file[0], sizeof(file[0]), "%s.pem", ca);
    (void)snprintf(file[1], sizeof(file[1]), "%s.pem", cert);
    (void)snprintf(file[2], sizeof(file[2]), "%s.key", key);
    (void)snprintf(file[3], sizeof(file[3]), "%s.crl", crl);
    const struct sup_mesh_tls_files files = {.ca = pki_path(pki, file[0]),
                                             .cert = pki_path(pki, file[1]),
                                             .key = pki_path(pki, file[2]),
                                             .crl = *crl ? pki_path(pki, file[3]) : ""};
    if (sup_mesh_tls_load(&files, &tls, &err) != SUP_OK)
        print_error("%s\n", err.msg);
    assert_non_null(tls);
    return tls;
}

struct meeting {
    struct rig_node a;
    struct rig_node b;
    struct sup_heart *heart;
    struct sup_link *accepted;
    struct sup_session *sa;
    struct sup_session *sb;
    int rc_a;
    int rc_b;
    struct sup_err err_a;
    struct sup_err err_b;
};

static void *accept_session(void *arg)
{
    struct meeting *m = arg;
    m->rc_b = sup_session_open_accepted(m->accepted, &m->b.local, m->heart, &m->sb, &m->err_b);
    return NULL;
}

/* Neither side may end with a session unless well is set; refusals come at once, not at a deadline.
 */
static void meet(struct sup_mesh_tls *tls_a, struct sup_mesh_tls *tls_b, const char *server_name,
                 bool well)
{
    struct meeting *m = calloc(1, sizeof(*m));
    struct sup_link *dialed;
    pthread_t t;
    int64_t begin = sup_mono_ms();

    rig_node(&m->a, "a", "b");
    rig_node(&m->b, "b", "a");
    assert_int_equal(sup_heart_start(&m->heart, NULL), SUP_OK);
    rig_links(tls_a, tls_b, server_name, &dialed, &m->accepted);
    assert_int_equal(sup_thread_start(&t, "accept", accept_session, m), SUP_OK);
    m->rc_a = sup_session_open_dialed(dialed, &m->a.local, "b", m->heart, &m->sa, &m->err_a);
    (void)pthread_join(t, NULL);
    print_message("a: %s\nb: %s\n", m->rc_a == SUP_OK ? "ok" : m->err_a.msg,
                  m->rc_b == SUP_OK ? "ok" : m->err_b.msg);
    assert_int_equal(m->rc_a == SUP_OK, well);
    assert_int_equal(m->rc_b == SUP_OK, well);
    if (!well) {
        assert_true(m->rc_a == SUP_EAUTH || m->rc_a == SUP_ECLOSED);
        assert_true(m->rc_b == SUP_EAUTH || m->rc_b == SUP_ECLOSED);
        assert_in_range(sup_mono_ms() - begin, 0, SUP_HELLO_TIMEOUT_MS - 1000);
    }
    sup_session_free(m->sa);
    sup_session_free(m->sb);
    sup_heart_free(m->heart);
    sup_mesh_tls_free(tls_a);
    sup_mesh_tls_free(tls_b);
    free(m);
}

static void right_certificates(void **state)
{
    (void)state;
    meet(load("ca", "a", "a", ""), load("ca", "b", "b", ""), "b", true);
}

/* Node names may hold a slash, which no host name does; it is compared as any other text. */
static void a_name_with_a_slash(void **state)
{
    (void)state;
    meet(load("ca", "a", "a", ""), load("ca", "slash", "slash", ""), "eu-west-1/b", true);
    meet(load("ca", "a", "a", ""), load("ca", "slash", "slash", ""), "eu-west-1", false);
}

static void wrong_server_name(void **state)
{
    (void)state;
    meet(load("ca", "a", "a", ""), load("ca", "b", "b", ""), "c", false);
}

static void server_of_another_authority(void **state)
{
    (void)state;
    meet(load("ca", "a", "a", ""), load("ca", "rogue", "rogue", ""), "b", false);
}

static void client_of_another_authority(void **state)
{
    (void)state;
    meet(load("ca", "rogue-a", "rogue-a", ""), load("ca", "b", "b", ""), "b", false);
}

static void expired_server(void **state)
{
    (void)state;
    meet(load("ca", "a", "a", ""), load("ca", "old", "old", ""), "b", false);
}

static void expired_client(void **state)
{
    (void)state;
    meet(load("ca", "old-a", "old-a", ""), load("ca", "b", "b", ""), "b", false);
}

static void revoked_client(void **state)
{
    (void)state;
    meet(load("ca", "a", "a", ""), load("ca", "b", "b", "revoked"), "b", false);
}

static void a_key_that_is_not_the_certificates(void **state)
{
    (void)state;
    meet(load("ca", "a", "a", ""), load("ca", "b", "a", ""), "b", false);
}

/* --- peers without a certificate, or without TLS, made with OpenSSL's own client --- */

static int s_client(int port, const char *options)
{
    char command[1024];

    (void)snprintf(command, sizeof(command),
                   "printf 'x' | timeout 10 openssl s_client -connect 127.0.0.1:%d -CAfile %s %s "
                   ">/dev/null 2>&1",
                   port, pki_path(pki, "ca.pem"), options);
    return system(command); // NOLINT(cert-env33-c): a fixed command in a test
}

struct door {
    struct sup_listener *l;
    struct rig_node b;
    struct sup_heart *heart;
    int rc;
    struct sup_err err;
};

static void *open_door(void *arg)
{
    struct door *d = arg;
    struct sup_link *link;
    struct sup_session *s = NULL;

    d->rc = sup_link_accept(d->l, 10000, &link, &d->err);
    if (d->rc == SUP_OK)
        d->rc = sup_session_open_accepted(link, &d->b.local, d->heart, &s, &d->err);
    sup_session_free(s);
    return NULL;
}

static void knock(const char *options)
{
    struct door d = {0};
    struct sup_mesh_tls *tls = load("ca", "b", "b", "");
    pthread_t t;

    rig_node(&d.b, "b", "a");
    assert_int_equal(sup_heart_start(&d.heart, NULL), SUP_OK);
    assert_int_equal(sup_listener_open("tls+tcp://127.0.0.1:0", tls, &d.l, NULL), SUP_OK);
    assert_int_equal(sup_thread_start(&t, "door", open_door, &d), SUP_OK);
    (void)s_client(sup_listener_port(d.l), options);
    (void)pthread_join(t, NULL);
    print_message("%s: %s\n", options, d.err.msg);
    assert_int_not_equal(d.rc, SUP_OK);
    sup_listener_free(d.l);
    sup_heart_free(d.heart);
    sup_mesh_tls_free(tls);
}

static void client_without_certificate(void **state)
{
    (void)state;
    knock("-tls1_2");
}

static void old_tls_versions(void **state)
{
    (void)state;
    knock("-tls1_1 -cipher DEFAULT@SECLEVEL=0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_certificates),
        cmocka_unit_test(a_name_with_a_slash),
        cmocka_unit_test(wrong_server_name),
        cmocka_unit_test(server_of_another_authority),
        cmocka_unit_test(client_of_another_authority),
        cmocka_unit_test(expired_server),
        cmocka_unit_test(expired_client),
        cmocka_unit_test(revoked_client),
        cmocka_unit_test(a_key_that_is_not_the_certificates),
        cmocka_unit_test(client_without_certificate),
        cmocka_unit_test(old_tls_versions),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
