#include "service/hook.h"

#include "base/buf.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Less than a pipe holds (64 KiB), so that writing it never waits for the command. */
#define INPUT_MAX     16384
#define POLL_SLICE_MS 20

extern char **environ;

static void add_string(struct sup_buf *b, const char *name, const char *text)
{
    sup_buf_addf(b, "\"%s\":\"", name);
    for (const char *p = text; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (c == '"' || c == '\\')
            sup_buf_addf(b, "\\%c", c);
        else if (c < 0x20)
            sup_buf_addf(b, "\\u%04x", c);
        else
            sup_buf_add_byte(b, c);
    }
    sup_buf_add_str(b, "\",");
}

static void add_alert(struct sup_buf *b, const struct sup_alert *a)
{
    sup_buf_add_byte(b, '{');
    add_string(b, "node", a->node);
    add_string(b, "region", a->region);
    add_string(b, "rate", a->rate);
    add_string(b, "kind", a->kind);
    add_string(b, "name", a->name);
    add_string(b, "before", a->before);
    add_string(b, "level", a->level);
    sup_buf_addf(b, "\"value\":%.6f,\"time_ms\":%lld}\n", a->value, (long long)a->time_ms);
}

/* Signals as in a fresh process: the agent's threads block them. */
static int spawn(char *const *argv, int in, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none, all;

    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    posix_spawnattr_setpgroup(&attr, 0); /* its own, so that all of it can be ended */
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                        POSIX_SPAWN_SETSIGDEF);
    int e = posix_spawnp(pid, argv[0], &actions, &attr, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
    return e;
}

static int start(const struct sup_hook *h, struct sup_slice input, pid_t *pid, struct sup_err *err)
{
    char **argv = calloc(h->n + 1, sizeof(*argv));
    int fds[2];

    if (!argv)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    for (size_t i = 0; i < h->n; i++)
        argv[i] = (char *)(uintptr_t)h->argv[i]; /* posix_spawn only reads them */
    if (pipe2(fds, O_CLOEXEC) != 0) {
        free(argv);
        return sup_err_set(err, SUP_EIO, "a pipe cannot be made: %s", strerror(errno));
    }
    int e = spawn(argv, fds[0], pid);
    /* A command that does not read may be gone by now: with our own reading end open, that is no
     * broken pipe. */
    if (e == 0 && write(fds[1], input.p, input.n) < 0)
        e = errno;
    close(fds[0]);
    close(fds[1]);
    free(argv);
    return e == 0 ? SUP_OK : sup_err_set(err, SUP_EIO, "cannot be started: %s", strerror(e));
}

static int outcome(int status, struct sup_err *err)
{
    if (WIFSIGNALED(status))
        return sup_err_set(err, SUP_EIO, "ended by signal %d", WTERMSIG(status));
    if (WEXITSTATUS(status) != 0)
        return sup_err_set(err, SUP_EIO, "ended with status %d", WEXITSTATUS(status));
    return SUP_OK;
}

static int wait_for(const struct sup_hook *h, pid_t pid, struct sup_stop *stop, struct sup_err *err)
{
    int64_t deadline = sup_mono_ms() + h->timeout_ms;
    int status = 0;
    pid_t got;

    while ((got = waitpid(pid, &status, WNOHANG)) == 0 && sup_mono_ms() < deadline)
        if (sup_stop_wait_ms(stop, POLL_SLICE_MS))
            break;
    if (got == pid)
        return outcome(status, err);
    kill(-pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (sup_stop_is_set(stop))
        return sup_err_set(err, SUP_ECLOSED, "stopped");
    return sup_err_set(err, SUP_ETIMEDOUT, "took longer than %lld ms and was ended",
                       (long long)h->timeout_ms);
}

int sup_hook_run(const struct sup_hook *h, const struct sup_alert *a, struct sup_stop *stop,
                 struct sup_err *err)
{
    struct sup_buf input;
    pid_t pid = 0;

    sup_buf_init(&input, INPUT_MAX);
    add_alert(&input, a);
    int rc = input.failed ? sup_err_set(err, input.failed, "the alert is too long")
                          : start(h, sup_buf_slice(&input), &pid, err);
    sup_buf_fini(&input);
    return rc == SUP_OK ? wait_for(h, pid, stop, err) : rc;
}
