#ifndef SIM_IMPORTS_H
#define SIM_IMPORTS_H

#include "buf.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim;
struct sim_region;

/* Import jobs of one Region's suppression list. Any thread. */
enum sim_job_status { SIM_JOB_CREATED, SIM_JOB_PROCESSING, SIM_JOB_COMPLETED, SIM_JOB_FAILED };

struct sim_import_job {
    char id[40];
    char *s3_url;
    char *host; /* Host header of the request, for the presigned URL */
    bool json;  /* else CSV */
    bool remove;
    enum sim_job_status status;
    int64_t created_ms;   /* the Region's wall clock */
    int64_t completed_ms; /* 0: not yet */
    int64_t due_mono_ms;  /* when work on it begins */
    size_t processed;
    size_t failed;
    char *failed_url; /* NULL: none */
    char *error;      /* NULL: none */
    struct sim_import_job *next;
};
struct sim_imports {
    pthread_mutex_t lock;
    struct sim_import_job *first, *last;
    size_t n;
};

/* "Adding email addresses in bulk to your account-level suppression list": at most so many rows. */
#define SIM_IMPORT_PUT_MAX    100000
#define SIM_IMPORT_DELETE_MAX 10000

void sim_imports_init(struct sim_imports *i);
void sim_imports_fini(struct sim_imports *i);

/* The thread that works on the jobs of all Regions, one after the other. */
struct sim_import_worker;
struct sim_import_worker *sim_import_worker_start(struct sim *s); /* NULL: failed */
void sim_import_worker_stop(struct sim_import_worker *w);

/* What one object does to the list: fills processed, failed, error of the job and the rows that
 * failed (as they stood). */
void sim_import_apply(struct sim_region *g, struct sim_import_job *job, const struct sim_buf *text,
                      struct sim_buf *failed_rows);

#endif
