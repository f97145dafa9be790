#include "agent/agent.h"

#include "agent/config.h"
#include "agent/notify.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "http/server.h"
#include "http/sns_listener.h"
#include "service/members.h"
#include "service/memory_use.h"
#include "service/service.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DRAIN_S  25 /* less than the 30 s that the unit file gives */
#define STATUS_S 10 /* between two status lines for the service manager */

enum { EXIT_CLEAN = 0, EXIT_TROUBLE = 1, EXIT_CONFIG = 2 };

struct agent {
    const char *config_path;
    struct sup_config config;
    struct sup_httpd *http;
    struct sup_sns_listener *sns; /* NULL without sns_http */
    struct sup_service *service;
};

static void signals_of(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
}

static void prepare_signals(void)
{
    sigset_t set;
    signals_of(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, NULL);
}

/* A later version will use some of these; to accept them without a word would be a lie. */
static void warn_unused(const struct sup_options *o)
{
    if (o->sns_http.test_signer[0] != '\0')
        sup_log_warn("agent", "sns_http.test_signer is trusted: not for production");
}

/* --- reload --- */

static void reload_config(struct agent *a)
{
    struct sup_config fresh;
    struct sup_err err;
    struct sup_buf keys;
    if (sup_config_load(a->config_path, &fresh, &err) != SUP_OK) {
        sup_log_error("agent", "reload refused, the old configuration stays",
                      SUP_S("error", err.msg));
        return;
    }
    sup_log_configure(fresh.log_level, fresh.log_format, STDERR_FILENO);
    if (sup_service_reload(a->service, &fresh.options, &err) != SUP_OK)
        sup_log_error("agent", "the mesh of the new configuration is refused, the old one stays",
                      SUP_S("error", err.msg));
    if (sup_service_reload_tls(a->service, &fresh.options, &err) != SUP_OK)
        sup_log_error("agent", "new certificates of the mesh are refused, the old ones stay",
                      SUP_S("error", err.msg));
    sup_buf_init(&keys, 4096);
    sup_config_restart_keys(&a->config, &fresh, &keys);
    if (keys.n > 0)
        sup_log_warn("agent", "changed keys that need a restart",
                     SUP_S("keys", sup_buf_str(&keys)));
    sup_buf_fini(&keys);
    /* The running configuration is kept: services hold its strings, or copied the new ones. */
    sup_config_fini(&fresh);
}

static void reload(struct agent *a)
{
    char state[80];
    struct sup_err err;
    snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%" PRId64, sup_mono_ns() / 1000);
    sup_notify(state);
    reload_config(a);
    if (sup_httpd_reload(a->http, &err) != SUP_OK)
        sup_log_error("agent", "the old tokens stay", SUP_S("error", err.msg));
    sup_notify("READY=1");
    sup_log_info("agent", "reloaded");
}

/* --- running --- */

static void tell_status(struct agent *a, struct sup_status *st)
{
    char line[160];
    size_t connected = 0;
    sup_service_status(a->service, st);
    for (size_t i = 0; i < st->n_peers; i++)
        connected += st->peers[i].connected ? 1 : 0;
    snprintf(line, sizeof(line),
             "STATUS=%s, %zu of %zu peers connected, %" PRIu64 " waiting for SES",
             st->healthy ? "healthy" : "unhealthy", connected, st->n_peers, st->outbox.pending);
    sup_notify(line);
}

/* Until a signal says stop, or the store has failed for good: then the exit status tells the
 * supervisor to start the agent again. */
static int wait_for_end(struct agent *a)
{
    int status = EXIT_CLEAN;
    struct sup_err err = {0};
    sigset_t set;
    const struct timespec tick = {.tv_sec = STATUS_S};
    struct sup_status *st = calloc(1, sizeof(*st));
    signals_of(&set);
    for (;;) {
        int sig = sigtimedwait(&set, NULL, &tick);
        if (sig == SIGHUP) {
            reload(a);
        } else if (sig == SIGTERM || sig == SIGINT) {
            sup_log_info("agent", "stopping", SUP_S("signal", strsignal(sig)));
            break;
        } else if (sup_service_fatal(a->service, &err) != SUP_OK) {
            sup_log_error("agent", "the store has failed; stopping to be started again",
                          SUP_S("error", err.msg));
            status = EXIT_TROUBLE;
            break;
        } else if (sig < 0 && errno == EAGAIN && st != NULL) {
            tell_status(a, st);
        }
    }
    free(st);
    return status;
}

/* While the agent drains: a second signal, or the time running out, ends it at once. That loses
 * nothing, since whatever was acknowledged is synced; it only repeats work after the start. */
static void *guard_drain(void *arg)
{
    sigset_t set;
    const struct timespec limit = {.tv_sec = DRAIN_S};
    (void)arg;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    int sig;
    do {
        sig = sigtimedwait(&set, NULL, &limit);
    } while (sig < 0 && errno == EINTR);
    sup_log_warn("agent",
                 sig < 0 ? "draining took too long, ending now" : "second signal, ending now");
    _exit(EXIT_TROUBLE);
}

static void drain(struct agent *a)
{
    pthread_t guard;
    sup_notify("STOPPING=1");
    if (sup_thread_start(&guard, "drain-guard", guard_drain, NULL) == SUP_OK)
        pthread_detach(guard);
    sup_service_close(a->service);
    sup_sns_listener_stop(a->sns);
    sup_httpd_stop(a->http);
    sup_service_stop(a->service);
}

static int start(struct agent *a)
{
    struct sup_err err = {0};
    const struct sup_options *o = &a->config.options;
    int rc = sup_httpd_start(o, &a->http, &err);
    if (rc == SUP_OK) {
        sup_log_info("agent", "starting", SUP_S("version", SUPSYNC_VERSION), SUP_S("node", o->node),
                     SUP_S("region", o->region), SUP_S("socket", o->admin.socket),
                     SUP_I("port", sup_httpd_port(a->http)));
        rc = o->sns_http.listen[0] != '\0' ? sup_sns_listener_start(o, &a->sns, &err) : SUP_OK;
    }
    if (rc == SUP_OK)
        rc = sup_service_start(o, &a->service, &err);
    if (rc == SUP_OK) {
        if (a->sns != NULL)
            sup_sns_listener_attach(a->sns, a->service);
        sup_httpd_attach(a->http, a->service);
        return EXIT_CLEAN;
    }
    sup_log_error("agent", "cannot start", SUP_S("error", err.msg),
                  SUP_S("code", sup_code_name(rc)));
    return rc == SUP_EINPUT ? EXIT_CONFIG : EXIT_TROUBLE;
}

int sup_agent_run(const char *config_path)
{
    struct agent a = {.config_path = config_path};
    struct sup_err err;

    prepare_signals();
    sup_memory_use_limit();
    if (sup_config_load(config_path, &a.config, &err) != SUP_OK) {
        fprintf(stderr, "supsync: %s\n", err.msg);
        return EXIT_CONFIG;
    }
    sup_log_configure(a.config.log_level, a.config.log_format, STDERR_FILENO);
    warn_unused(&a.config.options);
    int status = start(&a);
    if (status == EXIT_CLEAN) {
        sup_notify("READY=1\nSTATUS=running");
        sup_log_info("agent", "running");
        status = wait_for_end(&a);
        drain(&a);
        sup_log_info("agent", "stopped");
    } else if (a.http != NULL) {
        sup_sns_listener_stop(a.sns);
        sup_httpd_stop(a.http);
    }
    sup_sns_listener_free(a.sns);
    sup_httpd_free(a.http);
    if (a.service != NULL)
        sup_service_free(a.service);
    sup_config_fini(&a.config);
    return status;
}
