/* Point checks, and what a record costs in memory and on disk.
 *
 *   bench_lookup DIR [RECORDS]     default 1000000; DIR is made and must be empty
 *
 * Loads RECORDS bounces through apply, then asks for addresses that are and are not known: through
 * sup_service_check, and beside it RocksDB's get alone on the same keys. One line of JSON. */
#include "base/log.h"
#include "codec/keys.h"
#include "common.h"
#include "service/apply_txn.h"
#include "service/event_job.h"
#include "service/internal.h"

#include <pthread.h>
#include <sys/stat.h>

#define LOAD_JOBS 64
#define PER_JOB   200

struct load {
    struct sup_apply_job job;
    struct loader *loader;
    uint64_t from, to;
};

struct loader {
    struct sup_service *s;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    size_t in_flight;
};

static size_t address_of(uint64_t i, char out[64])
{
    return (size_t)snprintf(out, 64, "customer%llu.of.shop@domain%llu.example",
                            (unsigned long long)i, (unsigned long long)(i % 5000));
}

static int load_run(struct sup_apply_job *job, struct sup_txn *t, struct sup_err *err)
{
    struct load *l = (struct load *)job;

    for (uint64_t i = l->from; i < l->to; i++) {
        char address[64];
        char id[96];
        size_t n = address_of(i, address);
        struct sup_applied applied;
        snprintf(id, sizeof(id), "01000157c44f053b-61b59c11-9236-11e6-8f96-%012llu-000000",
                 (unsigned long long)i);
        struct sup_proposal p = {
            .key = sup_slice_of(address, n),
            .d = {.cls = SUP_CLASS_BOUNCE,
                  .state = SUP_SUPPRESSED,
                  .cause = SUP_CAUSE_EVENT,
                  .evidence = {.region = sup_slice_str("eu-west-1"),
                               .feedback_id = sup_slice_str(id),
                               .message_id = sup_slice_str(id),
                               .sub_type = sup_slice_str("Permanent/General"),
                               .status = sup_slice_str("5.1.1"),
                               .diagnostic = sup_slice_str("smtp; 550 5.1.1 user unknown"),
                               .spelling = sup_slice_of(address, n)}},
            .dedup = sup_slice_str(id),
            .spellings = {address},
            .n_spellings = 1,
        };
        int rc = sup_apply_decide(l->loader->s->apply, t, &p, &applied, err);
        if (rc != SUP_OK)
            return rc;
    }
    return SUP_OK;
}

static void load_done(struct sup_apply_job *job, int code, const struct sup_err *err)
{
    struct load *l = (struct load *)job;

    bench_must(code, err, "load");
    pthread_mutex_lock(&l->loader->mutex);
    l->loader->in_flight--;
    pthread_cond_signal(&l->loader->cond);
    pthread_mutex_unlock(&l->loader->mutex);
    free(l);
}

static double load_all(struct sup_service *s, uint64_t records)
{
    struct loader loader = {.s = s};
    int64_t begin = sup_mono_ns();

    pthread_mutex_init(&loader.mutex, NULL);
    pthread_cond_init(&loader.cond, NULL);
    for (uint64_t i = 0; i < records; i += PER_JOB) {
        struct load *l = calloc(1, sizeof(*l));
        l->job.run = load_run;
        l->job.done = load_done;
        l->loader = &loader;
        l->from = i;
        l->to = i + PER_JOB < records ? i + PER_JOB : records;
        pthread_mutex_lock(&loader.mutex);
        while (loader.in_flight >= LOAD_JOBS)
            pthread_cond_wait(&loader.cond, &loader.mutex);
        loader.in_flight++;
        pthread_mutex_unlock(&loader.mutex);
        bench_must(sup_apply_submit(s->apply, &l->job, -1), NULL, "submit");
    }
    pthread_mutex_lock(&loader.mutex);
    while (loader.in_flight > 0)
        pthread_cond_wait(&loader.cond, &loader.mutex);
    pthread_mutex_unlock(&loader.mutex);
    return (double)(sup_mono_ns() - begin) / 1e9;
}

static uint64_t lcg(uint64_t *x)
{
    *x = *x * 6364136223846793005ULL + 1442695040888963407ULL;
    return *x >> 20;
}

/* Checks a second, known addresses or not. */
static double checks(struct sup_service *s, uint64_t records, bool known, double seconds)
{
    int64_t end = sup_mono_ns() + (int64_t)(seconds * 1e9);
    uint64_t seed = 42;
    uint64_t n = 0;

    while (sup_mono_ns() < end) {
        for (int k = 0; k < 100; k++, n++) {
            char address[64];
            size_t len = address_of(known ? lcg(&seed) % records : records + lcg(&seed), address);
            struct sup_check out;
            struct sup_err err = {0};
            bench_must(sup_service_check(s, address, len, &out, &err), &err, "check");
            if (out.verdict != (known ? SUP_BLOCK : SUP_ALLOW)) {
                fprintf(stderr, "wrong answer for %s\n", address);
                exit(EXIT_FAILURE);
            }
        }
    }
    return (double)n / seconds;
}

static double plain_gets(struct sup_service *s, uint64_t records, bool known, double seconds)
{
    int64_t end = sup_mono_ns() + (int64_t)(seconds * 1e9);
    uint64_t seed = 42;
    uint64_t n = 0;
    struct sup_buf value;

    sup_buf_init(&value, 1U << 20);
    while (sup_mono_ns() < end) {
        for (int k = 0; k < 100; k++, n++) {
            char address[64];
            size_t len = address_of(known ? lcg(&seed) % records : records + lcg(&seed), address);
            struct sup_key key;
            sup_key_record(&key, sup_apply_hash(s->apply), sup_slice_of(address, len));
            (void)sup_store_get(s->store, NULL, SUP_CF_RECORDS, sup_key_slice(&key), &value, NULL);
        }
    }
    sup_buf_fini(&value);
    return (double)n / seconds;
}

int main(int argc, char **argv)
{
    uint64_t records = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000;
    struct sup_options o;
    struct sup_service *s = NULL;
    struct sup_err err = {0};
    double rss0;
    double load_s;

    if (argc < 2) {
        fprintf(stderr, "usage: bench_lookup DIR [RECORDS]\n");
        return 2;
    }
    sup_log_configure(SUP_LOG_ERROR, SUP_LOG_TEXT, 2);
    mkdir(argv[1], 0700);
    o = bench_options("eu-west-1", argv[1]);
    bench_must(sup_service_start(&o, &s, &err), &err, "start");
    rss0 = bench_rss_mib();
    load_s = load_all(s, records);
    sup_service_stop(s);
    sup_service_free(s);
    /* What an agent holds after a start, not what loading left behind. */
    bench_must(sup_service_start(&o, &s, &err), &err, "start again");
    double get_miss = plain_gets(s, records, false, 2);
    double check_miss = checks(s, records, false, 2);
    double get_hit = plain_gets(s, records, true, 2);
    double check_hit = checks(s, records, true, 2);
    printf("{\"bench\":\"lookup\",\"records\":%llu,\"load_per_s\":%.0f,\"rss_idle_mib\":%.1f,"
           "\"rss_mib\":%.1f,\"disk_bytes_per_record\":%.1f,\"rocksdb_get_miss_per_s\":%.0f,"
           "\"check_miss_per_s\":%.0f,\"rocksdb_get_hit_per_s\":%.0f,\"check_hit_per_s\":%.0f}\n",
           (unsigned long long)records, (double)records / load_s, rss0, bench_rss_mib(),
           (double)sup_store_disk_bytes(s->store) / (double)records, get_miss, check_miss, get_hit,
           check_hit);
    sup_service_stop(s);
    sup_service_free(s);
    return 0;
}
