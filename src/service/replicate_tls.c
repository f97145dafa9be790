#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "mesh/expiry.h"
#include "service/replicate_internal.h"
#include "service/status.h"

#include <inttypes.h>

#define DAY_MS 86400000LL

static struct sup_mesh_tls_files files_of(const struct sup_options *c)
{
    /* The identity of a node is its name: peers want it in the certificate. */
    return (struct sup_mesh_tls_files){.ca = c->mesh.tls_ca,
                                       .cert = c->mesh.tls_cert,
                                       .key = c->mesh.tls_key,
                                       .crl = c->mesh.tls_crl,
                                       .crl_grace_ms = c->mesh.tls_crl_grace_ms,
                                       .node = c->node};
}

int sup_replicator_tls_init(struct sup_replicator *r, struct sup_err *err)
{
    const struct sup_options *c = r->opts.config;
    const struct sup_mesh_tls_files files = files_of(c);

    atomic_init(&r->tls_warned_ms, INT64_MIN);
    if (c->mesh.tls_ca[0] == '\0')
        return SUP_OK; /* the configuration allowed it: mesh.insecure */
    return sup_mesh_tls_load(&files, &r->tls, err);
}

int sup_replicator_reload_tls(struct sup_replicator *r, const struct sup_options *fresh,
                              struct sup_err *err)
{
    const struct sup_mesh_tls_files files = files_of(fresh);

    if (!r->tls)
        return SUP_OK; /* to begin with TLS needs a restart: the URLs change, too */
    if (fresh->mesh.tls_ca[0] == '\0')
        return sup_err_set(err, SUP_EINPUT, "mesh.tls cannot be taken away without a restart");
    int rc = sup_mesh_tls_reload(r->tls, &files, err);
    if (rc != SUP_OK)
        return rc;
    atomic_store(&r->tls_warned_ms, INT64_MIN);
    size_t ended = sup_heart_recheck(r->heart, r->tls);
    sup_log_info("mesh", "certificates read anew", SUP_S("cert", files.cert),
                 SUP_S("crl", files.crl), SUP_U("sessions_ended", ended));
    return SUP_OK;
}

/* --- what ends soon --- */

typedef void (*say_fn)(void *arg, const char *what, const char *consequence, int64_t left_ms);

static bool ends_soon(int64_t now, int64_t from, int64_t until)
{
    return until - now < sup_expiry_warn_ms(from, until);
}

/* In the status and, once a day, in the log. */
static void each_ending(struct sup_replicator *r, say_fn say, void *arg)
{
    struct sup_mesh_tls_dates d;
    int64_t now = sup_wall_ms();
    enum sup_crl_state crl;

    sup_mesh_tls_dates(r->tls, &d);
    crl = sup_crl_state(now, d.crl_until_ms, d.crl_grace_ms);
    if (ends_soon(now, d.cert_from_ms, d.cert_until_ms))
        say(arg, "certificate", "peers refuse it then", d.cert_until_ms - now);
    if (ends_soon(now, d.ca_from_ms, d.ca_until_ms))
        say(arg, "CA", "peers of it are refused then", d.ca_until_ms - now);
    if (crl == SUP_CRL_LATE)
        say(arg, "CRL",
            "newer revocations are not known, and after mesh.tls.crl_grace all peers of its CA "
            "are refused",
            d.crl_until_ms - now);
    else if (crl == SUP_CRL_STALE)
        say(arg, "CRL", "new connections with peers of its CA are refused", d.crl_until_ms - now);
}

static double days(int64_t ms)
{
    return (double)(ms < 0 ? -ms : ms) / (double)DAY_MS;
}

static void say_problem(void *arg, const char *what, const char *consequence, int64_t left_ms)
{
    sup_status_problem(arg, "the %s of the mesh %s %.1f days%s: %s", what,
                       left_ms < 0 ? "has been out of date for" : "ends in", days(left_ms),
                       left_ms < 0 ? "" : " (mesh.tls; SIGHUP reads new files)", consequence);
}

static void say_log(void *arg, const char *what, const char *consequence, int64_t left_ms)
{
    (void)arg;
    sup_log_warn("mesh", left_ms < 0 ? "out of date" : "ends soon", SUP_S("what", what),
                 SUP_D("days", left_ms < 0 ? -days(left_ms) : days(left_ms)),
                 SUP_S("then", consequence));
}

void sup_replicator_tls_status(struct sup_replicator *r, struct sup_status *out)
{
    if (r->tls)
        each_ending(r, say_problem, out);
}

void sup_replicator_tls_measure(struct sup_replicator *r)
{
    int64_t now = sup_mono_ms();
    int64_t warned = atomic_load(&r->tls_warned_ms);
    struct sup_mesh_tls_dates dates;

    if (!r->tls)
        return;
    sup_mesh_tls_dates(r->tls, &dates);
    sup_metric_set(sup_metric("supsync_mesh_certificate_expiry_timestamp_seconds", "", SUP_GAUGE,
                              "When this node's certificate of the mesh ends, in Unix time"),
                   dates.cert_until_ms / 1000);
    if (dates.crl_until_ms != 0)
        sup_metric_set(sup_metric("supsync_mesh_crl_expiry_timestamp_seconds", "", SUP_GAUGE,
                                  "When the next CRL of the mesh is due, in Unix time"),
                       dates.crl_until_ms / 1000);
    if (warned != INT64_MIN && now - warned < DAY_MS)
        return;
    atomic_store(&r->tls_warned_ms, now);
    each_ending(r, say_log, NULL);
}
