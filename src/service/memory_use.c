#include "service/memory_use.h"

#include "base/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

/* Bytes; 0 = /proc does not say. */
static int64_t resident(void)
{
    FILE *f = fopen("/proc/self/statm", "re");
    int64_t pages = 0;

    if (!f)
        return 0;
    if (fscanf(f, "%*d %" SCNd64, &pages) != 1)
        pages = 0;
    fclose(f);
    return pages * sysconf(_SC_PAGESIZE);
}

void sup_memory_use_measure(struct sup_store *store)
{
    static const char name[] = "supsync_store_memory_bytes";
    static const char help[] = "Memory of the store: memtables hold what is in no table file yet, "
                               "the cache what was read";
    struct sup_store_memory use;

    sup_store_memory(store, &use);
    sup_metric_set(sup_metric(name, "part=\"memtables\"", SUP_GAUGE, help), (int64_t)use.memtables);
    sup_metric_set(sup_metric(name, "part=\"cache\"", SUP_GAUGE, help), (int64_t)use.cache);
    sup_metric_set(sup_metric(name, "part=\"readers\"", SUP_GAUGE, help), (int64_t)use.readers);
    sup_metric_set(sup_metric("process_resident_memory_bytes", NULL, SUP_GAUGE,
                              "Resident memory of the process, in bytes"),
                   resident());
}
