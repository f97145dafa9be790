#include "service/memory_use.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

#define MIB           (INT64_C(1) << 20)
#define LOOK_EVERY_MS 10000
/* Resident beyond what the heap uses: code and stacks take some forty. */
#define KEPT_MAX (64 * MIB)
/* Giving back locks one arena after the other for some milliseconds: not for less than this, or not
 * soon again. */
#define WORTH         (8 * MIB)
#define TRIM_WAIT_MS  (10 * 60000)
#define MALLOC_ARENAS 8

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

static void set(const char *name, const char *label, const char *help, int64_t bytes)
{
    sup_metric_set(sup_metric(name, label, SUP_GAUGE, help), bytes);
}

static void measure_store(struct sup_store *store)
{
    static const char name[] = "supsync_store_memory_bytes";
    static const char help[] = "Memory of the store: memtables hold what is in no table file yet, "
                               "the cache what was read";
    struct sup_store_memory use;

    sup_store_memory(store, &use);
    set(name, "part=\"memtables\"", help, (int64_t)use.memtables);
    set(name, "part=\"cache\"", help, (int64_t)use.cache);
    set(name, "part=\"readers\"", help, (int64_t)use.readers);
}

static void give_back(struct sup_memory_use *m, int64_t now, int64_t used)
{
    int64_t before = resident();
    int64_t gained;

    if (now < m->trim_at_ms || before <= used + KEPT_MAX)
        return;
    (void)malloc_trim(0);
    gained = before - resident();
    if (gained < WORTH)
        m->trim_at_ms = now + TRIM_WAIT_MS;
    sup_log_debug("memory", "gave back what was free", SUP_I("bytes", gained),
                  SUP_I("in_use", used));
}

void sup_memory_use_look(struct sup_memory_use *m, struct sup_store *store)
{
    int64_t now = sup_mono_ms();

    measure_store(store);
    if (now >= m->look_at_ms) {
        struct mallinfo2 heap = mallinfo2(); /* zeros under a sanitizer */
        int64_t used = (int64_t)(heap.uordblks + heap.hblkhd);
        m->look_at_ms = now + LOOK_EVERY_MS;
        set("supsync_heap_used_bytes", NULL, "Allocated and not freed, the store's memory included",
            used);
        if (used > 0)
            give_back(m, now, used);
    }
    set("process_resident_memory_bytes", NULL, "Resident memory of the process, in bytes",
        resident());
}

void sup_memory_use_limit(void)
{
    (void)mallopt(M_ARENA_MAX, MALLOC_ARENAS);
}
