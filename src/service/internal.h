#ifndef SUP_SERVICE_INTERNAL_H
#define SUP_SERVICE_INTERNAL_H

#include "aws/client.h"
#include "service/apply.h"
#include "service/archive_watch.h"
#include "service/coverage_keeper.h"
#include "service/housekeeper.h"
#include "service/importer.h"
#include "service/ingest.h"
#include "service/reconcile.h"
#include "service/replicate.h"
#include "service/service.h"
#include "service/ses_calls.h"
#include "service/ses_worker.h"
#include "service/sketch_keeper.h"
#include "service/sources.h"
#include "store/store.h"

#include <stdatomic.h>

/* What stands behind the facade; for service's own files. Parts are NULL where the configuration
 * leaves them out. */
struct sup_service {
    const struct sup_options *config;
    struct sup_store *store;
    struct sup_aws *aws;
    struct sup_ses_calls *calls;
    struct sup_stop abort;            /* ends AWS calls under way, when a drain takes too long */
    struct sup_sketch_keeper *keeper; /* NULL without a mesh */
    struct sup_apply *apply;
    _Atomic(struct sup_ses_worker *) ses; /* the writer thread wakes it as soon as it is there */
    struct sup_coverage_keeper *coverage;
    struct sup_reconciler *reconciler;
    struct sup_importer *importer; /* NULL without a bucket, and in mode observe */
    struct sup_replicator *replicator;
    struct sup_ingest *ingest;
    struct sup_archive_watch *archives; /* NULL without any */
    struct sup_sources *sources;
    struct sup_housekeeper *housekeeper;
    int64_t started_ms;
    atomic_bool started; /* all parts are there: peers may be answered */
};

/* In regions.c: for sup_replicator_options.summary; arg is the service. */
bool sup_service_summary(void *arg, struct sup_summary *out);

/* The Region of a node: its name up to a '/'. */
void sup_region_of_node(const char *node, char *out, size_t n);

/* A decision for showing; texts are copied into m, which lives as long as the result. */
struct sup_text_pool;
struct sup_text_pool *sup_text_pool_new(void);
void sup_text_pool_free(struct sup_text_pool *p);
/* Never NULL: "" when there is no memory. */
const char *sup_text_pool_add(struct sup_text_pool *p, struct sup_slice s);

void sup_show_decision(struct sup_service *s, const struct sup_decision *d,
                       struct sup_text_pool *pool, struct sup_shown_decision *out);

#endif
