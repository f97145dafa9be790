#ifndef SUP_BENCH_COMMON_H
#define SUP_BENCH_COMMON_H

#include "base/clock.h"
#include "base/err.h"
#include "service/options.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Shared by the bench programs. */

static inline void bench_must(int rc, const struct sup_err *err, const char *what)
{
    if (rc == SUP_OK)
        return;
    fprintf(stderr, "%s: %s: %s\n", what, sup_code_name(rc), err ? err->msg : "");
    exit(EXIT_FAILURE);
}

static inline double bench_cpu_s(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static inline double bench_rss_mib(void)
{
    FILE *f = fopen("/proc/self/statm", "re");
    long pages = 0;

    if (f) {
        if (fscanf(f, "%*d %ld", &pages) != 1)
            pages = 0;
        fclose(f);
    }
    return (double)pages * (double)sysconf(_SC_PAGESIZE) / 1048576.0;
}

static inline struct sup_options bench_options(const char *node, const char *data_dir)
{
    struct sup_options o;

    memset(&o, 0, sizeof(o));
    o.node = node;
    o.region = node;
    o.data_dir = data_dir;
    o.admin.socket = o.admin.listen = o.admin.tls_cert = o.admin.tls_key = o.admin.tokens_file = "";
    o.aws.endpoint_url = "http://127.0.0.1:1"; /* nothing is called in mode observe */
    o.ses.mode = SUP_MODE_OBSERVE;
    o.ses.max_rps = 1;
    o.ses.scan_interval_ms = 6 * 3600000;
    o.ses.absence_interval_ms = 600000;
    o.ses.fuse_percent = 5;
    o.ses.fuse_count = 1000;
    o.ses.import_bucket = o.ses.import_prefix = "";
    o.sns_http.listen = o.sns_http.tls_cert = o.sns_http.tls_key = "";
    o.sns_http.issuers = o.sns_http.test_signer = "";
    o.mesh.cluster = o.mesh.listen = "";
    o.mesh.tls_ca = o.mesh.tls_cert = o.mesh.tls_key = o.mesh.tls_crl = "";
    o.mesh.secret_file = "";
    o.mesh.max_clock_drift_ms = 60000;
    o.ingest.dedup_ttl_ms = 15LL * 86400000;
    return o;
}

static inline int bench_cmp_i64(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

#endif
