/* credential_process: a command whose standard output is a JSON document
 * (AWS SDKs and Tools Reference Guide, "Process credential provider"). */
#include "aws/credentials_source.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESS_TIMEOUT_MS 60000
#define PROCESS_OUTPUT_MAX (64u << 10)
#define POLL_SLICE_MS      100

extern char **environ;

static int start(const char *command, pid_t *pid, int *out_fd, struct sup_err *err)
{
    char sh[] = "sh";
    char dash_c[] = "-c";
    char *copy = strdup(command);
    char *argv[] = {sh, dash_c, copy, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none;
    int fds[2];

    if (copy == NULL || pipe2(fds, O_CLOEXEC) != 0) {
        free(copy);
        return sup_err_set(err, SUP_EIO, "credential_process: %s", strerror(errno));
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
    posix_spawnattr_init(&attr);
    /* A group of its own, so that a pipeline can be ended as one; and no signals blocked. */
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setpgroup(&attr, 0);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
    int e = posix_spawn(pid, "/bin/sh", &actions, &attr, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
    close(fds[1]);
    free(copy);
    if (e != 0) {
        close(fds[0]);
        return sup_err_set(err, SUP_EIO, "credential_process: %s", strerror(e));
    }
    *out_fd = fds[0];
    return SUP_OK;
}

/* Until the end of the output, the deadline, or a stop. */
static int collect(int fd, struct sup_buf *text, struct sup_stop *stop, struct sup_err *err)
{
    int64_t deadline = sup_mono_ms() + PROCESS_TIMEOUT_MS;

    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        char chunk[4096];
        if (stop != NULL && sup_stop_is_set(stop))
            return sup_err_set(err, SUP_ECLOSED, "credential_process: stopped");
        if (sup_mono_ms() > deadline)
            return sup_err_set(err, SUP_ETIMEDOUT, "credential_process: no answer in 60 s");
        int ready = poll(&p, 1, POLL_SLICE_MS);
        if (ready == 0 || (ready < 0 && errno == EINTR))
            continue;
        ssize_t n = ready > 0 ? read(fd, chunk, sizeof chunk) : -1;
        if (n == 0)
            return SUP_OK;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return sup_err_set(err, SUP_EIO, "credential_process: %s", strerror(errno));
        sup_buf_add(text, chunk, (size_t)n);
        OPENSSL_cleanse(chunk, sizeof chunk);
        if (text->failed != SUP_OK)
            return sup_err_set(err, text->failed, "credential_process: too much output");
    }
}

static int run(const char *command, struct sup_buf *text, struct sup_stop *stop,
               struct sup_err *err)
{
    pid_t pid = 0;
    int fd = -1;
    int status = 0;
    int rc = start(command, &pid, &fd, err);

    if (rc != SUP_OK)
        return rc;
    rc = collect(fd, text, stop, err);
    close(fd);
    if (rc != SUP_OK)
        kill(-pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (rc == SUP_OK && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
        rc = sup_err_set(err, SUP_EAUTH, "credential_process: command failed with status %d",
                         WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    return rc;
}

int sup_cred_process(const char *command, const char *account_id, struct sup_stop *stop,
                     struct sup_aws_credentials *out, struct sup_err *err)
{
    static const struct sup_cred_json names = {.access_key_id = "AccessKeyId",
                                               .secret_access_key = "SecretAccessKey",
                                               .session_token = "SessionToken",
                                               .expiration = "Expiration",
                                               .account_id = "AccountId"};
    struct sup_buf text;
    json_error_t je;

    sup_buf_init(&text, PROCESS_OUTPUT_MAX);
    int rc = run(command, &text, stop, err);
    json_t *o = rc == SUP_OK ? json_loadb((const char *)text.p, text.n, 0, &je) : NULL;
    if (rc == SUP_OK && json_integer_value(json_object_get(o, "Version")) != 1)
        rc = sup_err_set(err, SUP_EAUTH, "credential_process: output is not a version 1 document");
    if (rc == SUP_OK && (rc = sup_cred_from_json(o, &names, out, err)) != SUP_OK)
        sup_err_prefix(err, rc, "credential_process");
    if (rc == SUP_OK) {
        out->source = "process";
        if (out->account_id == NULL && account_id != NULL)
            out->account_id = strdup(account_id);
    }
    json_decref(o);
    if (text.p != NULL)
        OPENSSL_cleanse(text.p, text.cap);
    sup_buf_fini(&text);
    return rc;
}
