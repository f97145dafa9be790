/* Who may speak to whom: certificates that are wrong in each way, on either side. */
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "mesh/refusal.h"
#include "mesh_rig.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static struct pki *pki;

static int group_setup(void **state)
{
    (void)state;
    pki = pki_new();
    pki_authority(pki, "other-ca");
    pki_issue(pki, "ca", "a", "a", false);
    pki_issue(pki, "ca", "b", "b", false);
    pki_issue(pki, "ca", "c", "c", false);
    pki_issue(pki, "ca", "slash", "eu-west-1/b", false);
    pki_issue(pki, "ca", "old", "b", true);
    pki_issue(pki, "ca", "old-a", "a", true);
    pki_issue_dates(pki, "ca", "early", "b", 5, 60);
    pki_issue_dates(pki, "ca", "early-a", "a", 5, 60);
    pki_issue(pki, "other-ca", "rogue", "b", false);
    pki_issue(pki, "other-ca", "rogue-a", "a", false);
    pki_revoke(pki, "ca", "no-a", "a");
    pki_revoke(pki, "ca", "no-b", "b");
    pki_revoke(pki, "ca", "no-c", "c");
    pki_revoke_until(pki, "ca", "late-no-a", "a", -2);
    pki_revoke_until(pki, "ca", "late-no-c", "c", -2);
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    pki_free(pki);
    return 0;
}

static int64_t crl_grace_ms;

/* Paths of NAME.pem and so on; good until the next call on this thread's test. */
static struct sup_mesh_tls_files files_of(const char *ca, const char *cert, const char *crl)
{
    char file[4][64];

    (void)snprintf(file[0], sizeof(file[0]), "%s.pem", ca);
    (void)snprintf(file[1], sizeof(file[1]), "%s.pem", cert);
    (void)snprintf(file[2], sizeof(file[2]), "%s.key", cert);
    (void)snprintf(file[3], sizeof(file[3]), "%s.crl", crl);
    return (struct sup_mesh_tls_files){.ca = pki_path(pki, file[0]),
                                       .cert = pki_path(pki, file[1]),
                                       .key = pki_path(pki, file[2]),
                                       .crl = *crl ? pki_path(pki, file[3]) : "",
                                       .crl_grace_ms = crl_grace_ms};
}

static struct sup_mesh_tls *load(const char *ca, const char *cert, const char *crl)
{
    const struct sup_mesh_tls_files files = files_of(ca, cert, crl);
    struct sup_mesh_tls *tls = NULL;
    struct sup_err err = {0};

    if (sup_mesh_tls_load(&files, &tls, &err) != SUP_OK)
        print_error("%s\n", err.msg);
    assert_non_null(tls);
    return tls;
}

/* --- the log, which both nodes of a test write to --- */

static int log_fd = -1;

static void log_begin(void)
{
    log_fd = memfd_create("log", MFD_CLOEXEC);
    /* Both threads write: each line behind what is there. */
    assert_true(log_fd >= 0 && fcntl(log_fd, F_SETFL, O_APPEND) == 0);
    sup_log_configure(SUP_LOG_INFO, SUP_LOG_TEXT, log_fd);
}

/* Is there a line with all three? */
static bool log_has(const char *event, const char *peer, const char *reason)
{
    static char text[65536];
    ssize_t n = pread(log_fd, text, sizeof(text) - 1, 0);

    text[n > 0 ? n : 0] = '\0';
    for (char *rest = text, *line; (line = strsep(&rest, "\n")) != NULL;) {
        if (strstr(line, event) && strstr(line, peer) && strstr(line, reason))
            return true;
    }
    return false;
}

static void log_must_have(const char *event, const char *peer, const char *reason)
{
    char text[4096];
    ssize_t n = pread(log_fd, text, sizeof(text), 0);

    if (!log_has(event, peer, reason))
        print_error("%.*s", n > 0 ? (int)n : 0, text);
    if (!log_has(event, peer, reason))
        print_error("no line \"%s\" of %s that says \"%s\"\n", event, peer, reason);
    assert_true(log_has(event, peer, reason));
}

static void log_end(void)
{
    sup_log_configure(SUP_LOG_INFO, SUP_LOG_TEXT, STDERR_FILENO);
    (void)close(log_fd);
}

/* --- two nodes --- */

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

static struct meeting *meeting_new(const char *name_a, const char *name_b)
{
    struct meeting *m = calloc(1, sizeof(*m));

    rig_node(&m->a, name_a, name_b);
    rig_node(&m->b, name_b, name_a);
    assert_int_equal(sup_heart_start(&m->heart, NULL), SUP_OK);
    return m;
}

static void meeting_open(struct meeting *m, struct sup_mesh_tls *tls_a, struct sup_mesh_tls *tls_b,
                         const char *dialed_name)
{
    struct sup_link *dialed;
    pthread_t t;

    rig_links(tls_a, tls_b, dialed_name, &dialed, &m->accepted);
    assert_int_equal(sup_thread_start(&t, "accept", accept_session, m), SUP_OK);
    m->rc_a =
        sup_session_open_dialed(dialed, &m->a.local, dialed_name, m->heart, &m->sa, &m->err_a);
    (void)pthread_join(t, NULL);
}

static void meeting_free(struct meeting *m)
{
    sup_session_free(m->sa);
    sup_session_free(m->sb);
    sup_heart_free(m->heart);
    free(m);
}

struct outcome {
    const char *ca_a, *cert_a, *crl_a;
    const char *ca_b, *cert_b, *crl_b;
    bool by_a;                   /* who refuses */
    const char *refuser, *other; /* what the two lines say of the reason */
    const char *peer;            /* whom the listening side's line is about */
};

/* Both say why and about whom, at once, not at a deadline; nobody ends with a session. */
static void must_refuse(const struct outcome *o)
{
    struct meeting *m = meeting_new("a", "b");
    struct sup_mesh_tls *tls_a = load(o->ca_a, o->cert_a, o->crl_a);
    struct sup_mesh_tls *tls_b = load(o->ca_b, o->cert_b, o->crl_b);
    int64_t begin = sup_mono_ms();
    uint64_t by_us = sup_session_refusals(SUP_REFUSED_IDENTITY, true);
    uint64_t by_peer = sup_session_refusals(SUP_REFUSED_IDENTITY, false);

    log_begin();
    meeting_open(m, tls_a, tls_b, "b");
    print_message("a: %s\nb: %s\n", m->err_a.msg, m->err_b.msg);
    assert_int_equal(m->rc_a, SUP_EAUTH);
    assert_int_equal(m->rc_b, SUP_EAUTH);
    assert_in_range(sup_mono_ms() - begin, 0, SUP_HELLO_TIMEOUT_MS - 1000);
    log_must_have(o->by_a ? "peer refused" : "refused by peer", "peer=b",
                  o->by_a ? o->refuser : o->other);
    log_must_have(o->by_a ? "refused by peer" : "peer refused", o->peer,
                  o->by_a ? o->other : o->refuser);
    assert_int_equal(sup_session_refusals(SUP_REFUSED_IDENTITY, true), by_us + 1);
    assert_int_equal(sup_session_refusals(SUP_REFUSED_IDENTITY, false), by_peer + 1);
    log_end();
    meeting_free(m);
    sup_mesh_tls_free(tls_a);
    sup_mesh_tls_free(tls_b);
}

static void must_meet(const char *cert_a, const char *crl_a, const char *cert_b, const char *crl_b,
                      const char *name_b)
{
    struct meeting *m = meeting_new("a", name_b);
    struct sup_mesh_tls *tls_a = load("ca", cert_a, crl_a);
    struct sup_mesh_tls *tls_b = load("ca", cert_b, crl_b);

    meeting_open(m, tls_a, tls_b, name_b);
    if (!m->sa || !m->sb)
        print_error("a: %s\nb: %s\n", m->err_a.msg, m->err_b.msg);
    assert_int_equal(m->rc_a, SUP_OK);
    assert_int_equal(m->rc_b, SUP_OK);
    meeting_free(m);
    sup_mesh_tls_free(tls_a);
    sup_mesh_tls_free(tls_b);
}

static void right_certificates(void **state)
{
    (void)state;
    must_meet("a", "", "b", "", "b");
    must_meet("a", "no-c", "b", "no-c", "b");
}

/* Node names may hold a slash, which no host name does; it is compared as any other text. */
static void a_name_with_a_slash(void **state)
{
    (void)state;
    must_meet("a", "", "slash", "", "eu-west-1/b");
}

/* A CRL whose successor is two days late still revokes, and for a while keeps nobody else out. */
static void a_list_that_is_out_of_date(void **state)
{
    const int64_t day = 86400000;

    (void)state;
    crl_grace_ms = 3 * day;
    must_meet("a", "late-no-c", "b", "late-no-c", "b");
    must_refuse(&(struct outcome){"ca", "a", "", "ca", "b", "late-no-a", false, "is revoked",
                                  "certificate_revoked", "peer=a"});
    crl_grace_ms = day;
    must_refuse(&(struct outcome){"ca", "a", "", "ca", "b", "late-no-c", false,
                                  "is not checkable: the CRL is out of date", "certificate_unknown",
                                  "peer=a"});
    must_refuse(&(struct outcome){"ca", "a", "late-no-c", "ca", "b", "", true,
                                  "is not checkable: the CRL is out of date", "certificate_unknown",
                                  "refused by peer"});
    /* Who is revoked is told so. */
    must_refuse(&(struct outcome){"ca", "a", "", "ca", "b", "late-no-a", false, "is revoked",
                                  "certificate_revoked", "peer=a"});
    crl_grace_ms = 0;
    must_meet("a", "no-c", "b", "no-c", "b");
}

static void wrong_server_name(void **state)
{
    (void)state;
    must_refuse(&(struct outcome){"ca", "a", "", "ca", "c", "", true, "is issued to c, not to b",
                                  "bad_certificate", "refused by peer"});
}

/* The listening side cannot know a name before HELLO: it compares then. */
static void wrong_client_name(void **state)
{
    (void)state;
    must_refuse(&(struct outcome){"ca", "c", "", "ca", "b", "", false,
                                  "node a shows a certificate issued to c",
                                  "node a shows a certificate issued to c", "peer=c"});
}

static void another_authority(void **state)
{
    (void)state;
    must_refuse(&(struct outcome){"ca", "a", "", "ca", "rogue", "", true,
                                  "not signed by a trusted authority", "unknown_ca",
                                  "refused by peer"});
    must_refuse(&(struct outcome){"ca", "rogue-a", "", "ca", "b", "", false,
                                  "not signed by a trusted authority", "unknown_ca", "peer=a"});
}

static void expired(void **state)
{
    (void)state;
    must_refuse(&(struct outcome){"ca", "a", "", "ca", "old", "", true, "is expired",
                                  "certificate_expired", "refused by peer"});
    must_refuse(&(struct outcome){"ca", "old-a", "", "ca", "b", "", false, "is expired",
                                  "certificate_expired", "peer=a"});
}

static void not_yet_valid(void **state)
{
    (void)state;
    must_refuse(&(struct outcome){"ca", "a", "", "ca", "early", "", true, "is not yet valid",
                                  "certificate_unknown", "refused by peer"});
    must_refuse(&(struct outcome){"ca", "early-a", "", "ca", "b", "", false, "is not yet valid",
                                  "certificate_unknown", "peer=a"});
}

static void revoked(void **state)
{
    (void)state;
    must_refuse(&(struct outcome){"ca", "a", "no-b", "ca", "b", "", true, "is revoked",
                                  "certificate_revoked", "refused by peer"});
    must_refuse(&(struct outcome){"ca", "a", "", "ca", "b", "no-a", false, "is revoked",
                                  "certificate_revoked", "peer=a"});
}

/* --- files --- */

static void must_not_load(struct sup_mesh_tls_files files, const char *text)
{
    struct sup_mesh_tls *tls = NULL;
    struct sup_err err = {0};

    assert_int_equal(sup_mesh_tls_load(&files, &tls, &err), SUP_EINPUT);
    if (!strstr(err.msg, text))
        print_error("\"%s\" does not say \"%s\"\n", err.msg, text);
    assert_non_null(strstr(err.msg, text));
    assert_null(tls);
}

static void files_that_do_not_fit(void **state)
{
    (void)state;
    struct sup_mesh_tls_files files = files_of("ca", "a", "");

    files.key = pki_path(pki, "b.key");
    must_not_load(files, "they do not belong together");
    files = files_of("ca", "a", "");
    files.node = "b";
    must_not_load(files, "it is issued to a, not to this node: peers want the name b in it");
}

static void dates(void **state)
{
    (void)state;
    struct sup_mesh_tls_dates d;
    const int64_t day = 86400000;
    int64_t now = sup_wall_ms();
    struct sup_mesh_tls *tls = load("ca", "old-a", "late-no-c");

    sup_mesh_tls_dates(tls, &d);
    assert_in_range(now - d.cert_until_ms, day - 120000, day + 120000);
    assert_in_range(d.cert_until_ms - d.cert_from_ms, 0, 60 * day);
    assert_in_range(now - d.crl_until_ms, 2 * day - 120000, 2 * day + 120000);
    assert_in_range(d.ca_until_ms - now, 60 * day - 120000, 60 * day + 120000);
    sup_mesh_tls_free(tls);
    tls = load("ca", "a", "");
    sup_mesh_tls_dates(tls, &d);
    assert_int_equal(d.crl_until_ms, 0);
    sup_mesh_tls_free(tls);
}

/* --- reading anew --- */

static bool stands(struct sup_session *s)
{
    struct sup_mesh_mem *mem = sup_mesh_mem_new();
    struct sup_mesh_msg *msg = malloc(sizeof(*msg));
    int rc = sup_session_recv(s, 300, mem, msg, NULL);

    free(msg);
    sup_mesh_mem_free(mem);
    return rc == SUP_ETIMEDOUT;
}

static void must_reload(struct sup_mesh_tls *tls, const char *ca, const char *cert, const char *crl)
{
    const struct sup_mesh_tls_files files = files_of(ca, cert, crl);
    struct sup_err err = {0};

    if (sup_mesh_tls_reload(tls, &files, &err) != SUP_OK)
        print_error("%s\n", err.msg);
    assert_string_equal(err.msg, "");
}

/* A session stands through a change of certificates and a list that does not name it; one that does
 * ends it, with the reason, and the next is refused in its handshake. */
static void reload_ends_revoked_sessions_only(void **state)
{
    (void)state;
    struct sup_mesh_tls *tls_a = load("ca", "a", "");
    struct sup_mesh_tls *tls_b = load("ca", "b", "");
    struct meeting *m = meeting_new("a", "b");
    struct meeting *again = meeting_new("a", "b");

    log_begin();
    meeting_open(m, tls_a, tls_b, "b");
    assert_non_null(m->sa);
    assert_non_null(m->sb);
    must_reload(tls_b, "ca", "slash", "no-c");
    assert_int_equal(sup_heart_recheck(m->heart, tls_b), 0);
    assert_true(stands(m->sa) && stands(m->sb));
    must_reload(tls_b, "ca", "b", "no-a");
    assert_int_equal(sup_heart_recheck(m->heart, tls_b), 1); /* a's certificate; b's is fine */
    assert_false(stands(m->sa) || stands(m->sb));
    log_must_have("session ended", "peer=a", "the peer's certificate is revoked now");
    meeting_open(again, tls_a, tls_b, "b");
    assert_int_equal(again->rc_a, SUP_EAUTH);
    log_must_have("peer refused", "peer=a", "is revoked");
    log_end();
    meeting_free(m);
    meeting_free(again);
    sup_mesh_tls_free(tls_a);
    sup_mesh_tls_free(tls_b);
}

/* What can begin between the reload and the look at the sessions: a handshake by the old files. */
static void a_session_that_opens_after_the_look(void **state)
{
    (void)state;
    struct sup_mesh_tls *tls_a = load("ca", "a", "");
    struct sup_mesh_tls *old_b = load("ca", "b", "");
    struct sup_mesh_tls *new_b = load("ca", "b", "no-a");
    struct meeting *m = meeting_new("a", "b");

    assert_int_equal(sup_heart_recheck(m->heart, new_b), 0);
    meeting_open(m, tls_a, old_b, "b");
    assert_false(m->sb && stands(m->sb));
    meeting_free(m);
    sup_mesh_tls_free(tls_a);
    sup_mesh_tls_free(old_b);
    sup_mesh_tls_free(new_b);
}

static void an_authority_that_was_withdrawn(void **state)
{
    (void)state;
    struct sup_mesh_tls *tls_a = load("ca", "a", "");
    struct sup_mesh_tls *tls_b = load("ca", "b", "");
    struct meeting *m = meeting_new("a", "b");

    meeting_open(m, tls_a, tls_b, "b");
    assert_non_null(m->sb);
    must_reload(tls_b, "other-ca", "rogue", "");
    assert_int_equal(sup_heart_recheck(m->heart, tls_b),
                     2); /* in one process, both use one heart */
    meeting_free(m);
    sup_mesh_tls_free(tls_a);
    sup_mesh_tls_free(tls_b);
}

/* Files that are no good leave all as it was. */
static void a_bad_reload(void **state)
{
    (void)state;
    struct sup_mesh_tls *tls_a = load("ca", "a", "");
    struct sup_mesh_tls *tls_b = load("ca", "b", "");
    struct sup_mesh_tls_files files = files_of("ca", "b", "");
    struct meeting *m = meeting_new("a", "b");
    struct sup_err err = {0};

    files.key = pki_path(pki, "a.key");
    assert_int_equal(sup_mesh_tls_reload(tls_b, &files, &err), SUP_EINPUT);
    assert_non_null(strstr(err.msg, "do not belong together"));
    files.key = "/nonexistent/key";
    assert_int_equal(sup_mesh_tls_reload(tls_b, &files, &err), SUP_EIO);
    meeting_open(m, tls_a, tls_b, "b");
    assert_int_equal(m->rc_a, SUP_OK);
    assert_int_equal(m->rc_b, SUP_OK);
    meeting_free(m);
    sup_mesh_tls_free(tls_a);
    sup_mesh_tls_free(tls_b);
}

/* --- how much strangers can have logged --- */

static void log_quota(void **state)
{
    (void)state;
    struct sup_log_quota q = {0};
    uint64_t dropped = 0;
    uint64_t written = 0;
    uint64_t told = 0;
    int64_t now = 5000;

    for (int i = 0; i < SUP_STRANGER_BURST; i++)
        assert_true(sup_log_quota_take(&q, now, &dropped));
    assert_false(sup_log_quota_take(&q, now, &dropped));
    /* A thousand a second for a minute: one line a second, which tells of the others. */
    for (int i = 0; i < 60000; i++) {
        if (sup_log_quota_take(&q, ++now, &dropped)) {
            written++;
            told += dropped;
        }
    }
    assert_int_equal(written, 60);
    assert_int_equal(written + told + q.dropped, 60001);
    /* After a pause a burst again, no more. */
    now += 3600000;
    for (int i = 0; i < SUP_STRANGER_BURST; i++)
        assert_true(sup_log_quota_take(&q, now, &dropped));
    assert_false(sup_log_quota_take(&q, now, &dropped));
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
    struct sup_mesh_tls *tls = load("ca", "b", "");
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
        cmocka_unit_test(a_list_that_is_out_of_date),
        cmocka_unit_test(wrong_server_name),
        cmocka_unit_test(wrong_client_name),
        cmocka_unit_test(another_authority),
        cmocka_unit_test(expired),
        cmocka_unit_test(not_yet_valid),
        cmocka_unit_test(revoked),
        cmocka_unit_test(files_that_do_not_fit),
        cmocka_unit_test(dates),
        cmocka_unit_test(reload_ends_revoked_sessions_only),
        cmocka_unit_test(a_session_that_opens_after_the_look),
        cmocka_unit_test(an_authority_that_was_withdrawn),
        cmocka_unit_test(a_bad_reload),
        cmocka_unit_test(client_without_certificate),
        cmocka_unit_test(old_tls_versions),
        cmocka_unit_test(log_quota),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
