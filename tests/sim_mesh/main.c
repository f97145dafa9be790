/* sim_mesh: runs seeds.
 *
 *   sim_mesh --runs N --from SEED [--jobs J] [--plant NAME]
 *   sim_mesh --seed SEED [--plant NAME]     one run, with its trace
 *   sim_mesh --plants N                     each planted bug must be found within N seeds
 *   sim_mesh --scenario NAME                the trace of a fixed case
 */
#include "sim.h"

#include "base/log.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct totals {
    uint64_t runs, failed;
    struct sim_counts n;
};

/* Both hold numbers only. */
static void add(void *to, const void *from, size_t size)
{
    uint64_t *sum = to;
    const uint64_t *of = from;

    for (size_t k = 0; k < size / sizeof(*of); k++)
        sum[k] += of[k];
}

static void count(struct totals *t, const struct sim *s)
{
    t->runs++;
    t->failed += s->failed;
    add(&t->n, &s->count, sizeof(t->n));
}

static bool one(uint64_t seed, enum sim_plant plant, bool trace, struct totals *t)
{
    struct sim *s = sim_new(seed, plant, trace, NULL);
    bool ok = sim_run(s);

    count(t, s);
    if (!ok && plant == PLANT_NONE)
        printf("seed %" PRIu64 " (%u nodes): %s\n  replay: sim_mesh --seed %" PRIu64 "\n", seed,
               s->shape.n_nodes, s->failure, seed);
    sim_free(s);
    return ok;
}

/* Every jobs-th seed from `from` on, in a process of its own. */
static void share(uint64_t from, uint64_t runs, unsigned jobs, unsigned me, enum sim_plant plant,
                  int out)
{
    struct totals t = {0};

    for (uint64_t i = me; i < runs && t.failed < 10; i += jobs)
        (void)one(from + i, plant, false, &t);
    fflush(stdout);
    if (write(out, &t, sizeof(t)) != (ssize_t)sizeof(t))
        _exit(2);
    _exit(0);
}

static struct totals run_many(uint64_t from, uint64_t runs, unsigned jobs, enum sim_plant plant)
{
    struct totals sum = {0};
    int p[2];

    if (pipe(p) != 0)
        exit(2);
    fflush(stdout);
    for (unsigned i = 0; i < jobs; i++) {
        pid_t pid = fork();
        if (pid < 0)
            exit(2);
        if (pid == 0)
            share(from, runs, jobs, i, plant, p[1]);
    }
    close(p[1]);
    for (unsigned i = 0; i < jobs; i++) {
        struct totals t;
        int status = 0;
        if (read(p[0], &t, sizeof(t)) != (ssize_t)sizeof(t)) {
            printf("a process ended early\n");
            sum.failed++;
        } else {
            add(&sum, &t, sizeof(t));
        }
        if (wait(&status) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
            sum.failed++;
    }
    close(p[0]);
    return sum;
}

static void say(const char *what, uint64_t n)
{
    printf(", %" PRIu64 " %s", n, what);
}

static int summary(const struct totals *t, int64_t began)
{
    printf("%" PRIu64 " runs in %lld s: %" PRIu64 " failed", t->runs,
           (long long)(time(NULL) - began), t->failed);
    say("events", t->n.events);
    say("commits", t->n.commits);
    say("crashes", t->n.crashes);
    say("wipes", t->n.wipes);
    say("restores", t->n.restores);
    say("repairs", t->n.repairs);
    say("by roots", t->n.root_repairs);
    say("snapshots asked for", t->n.asked);
    say("to go on with a copy", t->n.resumed);
    say("copies whole", t->n.copied);
    say("nodes ready", t->n.ready);
    say("alone", t->n.alone);
    say("members added", t->n.added);
    say("gone", t->n.left);
    say("incarnations forgotten", t->n.retired);
    say("quarantined", t->n.quarantined);
    say("decisions acknowledged", t->n.acked);
    say("of them lost with their disk", t->n.excused);
    putchar('\n');
    return t->failed > 0;
}

/* The tests of the tests. */
static int plants(uint64_t from, uint64_t runs)
{
    int missed = 0;

    for (int p = PLANT_NONE + 1; p < N_PLANTS; p++) {
        struct totals t = {0};
        uint64_t i = 0;
        while (i < runs && one(from + i, (enum sim_plant)p, false, &t))
            i++;
        if (i == runs)
            printf("planted %s: NOT found in %" PRIu64 " runs\n", sim_plant_name((enum sim_plant)p),
                   runs);
        else
            printf("planted %s: found by seed %" PRIu64 "\n", sim_plant_name((enum sim_plant)p),
                   from + i);
        missed += i == runs;
    }
    return missed > 0;
}

static enum sim_plant plant_of(const char *name)
{
    for (int p = 0; p < N_PLANTS; p++) {
        if (strcmp(sim_plant_name((enum sim_plant)p), name) == 0)
            return (enum sim_plant)p;
    }
    fprintf(stderr, "no bug of that name can be planted: %s\n", name);
    exit(2);
}

int main(int argc, char **argv)
{
    uint64_t from = 1, runs = 1000, seed = 0, planted = 0;
    unsigned jobs = 1;
    enum sim_plant plant = PLANT_NONE;
    const char *scenario = NULL;
    int64_t began = time(NULL);
    struct totals t = {0};

    /* What apply has to say of rolled back stores is not news here. */
    sup_log_configure(SUP_LOG_ERROR, SUP_LOG_TEXT, open("/dev/null", O_WRONLY | O_CLOEXEC));
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *v = argv[i + 1];
        if (strcmp(argv[i], "--runs") == 0)
            runs = strtoull(v, NULL, 0);
        else if (strcmp(argv[i], "--from") == 0)
            from = strtoull(v, NULL, 0);
        else if (strcmp(argv[i], "--seed") == 0)
            seed = strtoull(v, NULL, 0);
        else if (strcmp(argv[i], "--jobs") == 0)
            jobs = (unsigned)strtoul(v, NULL, 0);
        else if (strcmp(argv[i], "--plant") == 0)
            plant = plant_of(v);
        else if (strcmp(argv[i], "--plants") == 0)
            planted = strtoull(v, NULL, 0);
        else if (strcmp(argv[i], "--scenario") == 0)
            scenario = v;
        else
            return 2;
    }
    if (scenario)
        return sim_scenario(scenario);
    if (planted > 0)
        return plants(from, planted);
    if (seed > 0)
        return !one(seed, plant, true, &t);
    t = run_many(from, runs, jobs > 0 ? jobs : 1, plant);
    return summary(&t, began);
}
