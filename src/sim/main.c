#include "clock.h"
#include "region.h"
#include "server.h"
#include "sim.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

struct sim_region *sim_find_region(struct sim *s, const char *name)
{
    for (size_t i = 0; i < s->n_regions; i++) {
        if (strcmp(s->regions[i].name, name) == 0)
            return &s->regions[i];
    }
    return NULL;
}

/* What every Region has from the start. */
static void furnish(struct sim *s, struct sim_region *g)
{
    char arn[SIM_ARN_LEN], subscription[SIM_ARN_LEN], bucket[128];
    int64_t now = sim_wall_ms();
    sim_queues_create(&g->queues, SIM_EVENTS "-dlq", now);
    struct sim_queue *q = sim_queues_create(&g->queues, SIM_EVENTS, now);
    q->visibility_ms = (int64_t)s->options.visibility_timeout_s * 1000;
    sim_queue_set_dead_letter(q, SIM_EVENTS "-dlq", 5);
    sim_topic_arn(g, SIM_EVENTS, arn);
    sim_topics_create(&g->topics, arn);
    sim_topics_subscribe(&g->topics, arn, SIM_EVENTS, false, subscription);
    snprintf(bucket, sizeof bucket, "supsync-%s", g->name);
    sim_s3_make_bucket(&s->s3, bucket, g->name);
}

static bool sim_init(struct sim *s)
{
    uint64_t seed = s->options.seed;
    if (!s->options.seed_given && getrandom(&seed, sizeof seed, 0) != sizeof seed)
        return false;
    sim_random_seed(seed);
    sim_creds_init(&s->creds);
    if (s->options.access_key)
        sim_creds_add(&s->creds, s->options.access_key, s->options.secret_key);
    sim_s3_init(&s->s3);
    s->n_regions = s->options.n_regions;
    s->regions = sim_alloc(s->n_regions * sizeof *s->regions);
    for (size_t i = 0; i < s->n_regions; i++) {
        sim_region_init(&s->regions[i], s->options.regions[i], s->options.rps);
        furnish(s, &s->regions[i]);
    }
    return sim_sns_signer_init(&s->signer, s->options.sns_signature);
}

static void sim_fini(struct sim *s)
{
    sim_sns_signer_fini(&s->signer);
    for (size_t i = 0; i < s->n_regions; i++)
        sim_region_fini(&s->regions[i]);
    free(s->regions);
    sim_s3_fini(&s->s3);
    sim_creds_fini(&s->creds);
}

static int serve(struct sim *s, const sigset_t *signals)
{
    if (sim_park_start(&s->park) != 0 || !(s->imports = sim_import_worker_start(s))) {
        fputs("supsync-sim: no threads\n", stderr);
        sim_park_stop(&s->park);
        return 1;
    }
    struct MHD_Daemon *d = sim_server_start(s);
    if (d) {
        int got;
        printf("supsync-sim: listening on %s\n", s->host);
        fflush(stdout);
        sigwait(signals, &got);
    }
    sim_park_stop(&s->park);
    if (d)
        sim_server_stop(d);
    sim_import_worker_stop(s->imports);
    return d ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct sim sim = {0};
    int rc = sim_options_parse(&sim.options, argc, argv);
    if (rc == 0) {
        /* Before any thread is made: they inherit the mask. */
        sigset_t signals;
        sigemptyset(&signals);
        sigaddset(&signals, SIGTERM);
        sigaddset(&signals, SIGINT);
        pthread_sigmask(SIG_BLOCK, &signals, NULL);
        signal(SIGPIPE, SIG_IGN);
        rc = sim_init(&sim) ? serve(&sim, &signals) : 1;
        sim_fini(&sim);
    }
    sim_options_fini(&sim.options);
    return rc < 0 ? 0 : rc;
}
