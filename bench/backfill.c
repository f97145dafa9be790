/* What reading an archive costs, with nothing kept: the parse-only side of bench/backfill.py.
 *
 *   bench_backfill FILE
 *
 * Splits the file into documents, reads each and classifies it, on one thread. Prints one line of
 * JSON. */
#include "cli/source.h"
#include "common.h"
#include "core/classify.h"
#include "core/event_read.h"

struct counts {
    uint64_t documents, events, verdicts;
};

static void take(struct sup_event_reader *reader, struct sup_verdicts *vs,
                 struct sup_slice document, struct counts *n)
{
    const struct sup_classify_context ctx = {.now_ms = sup_wall_ms(), .sent_ms = SUP_NO_TIME};
    struct sup_event event;
    struct sup_err err = {0};

    n->documents++;
    sup_event_reader_begin(reader, document);
    while (sup_event_reader_next(reader, &event, &err) == SUP_OK) {
        bench_must(sup_classify(&event, &ctx, vs), NULL, "classify");
        n->events++;
        n->verdicts += vs->n;
    }
}

int main(int argc, char **argv)
{
    struct sup_source *source = sup_source_new();
    struct sup_event_reader *reader = sup_event_reader_new();
    struct sup_verdicts vs = {0};
    struct sup_slice document;
    struct counts n = {0};
    struct sup_err err = {0};
    uint64_t offset = 0;

    if (argc != 2 || source == NULL || reader == NULL) {
        fprintf(stderr, "use: bench_backfill FILE\n");
        return EXIT_FAILURE;
    }
    bench_must(sup_source_open(source, argv[1], &err), &err, argv[1]);
    int64_t begun = sup_mono_ms();
    double cpu = bench_cpu_s();
    while (sup_source_next(source, &document, &offset, &err) == SUP_OK)
        take(reader, &vs, document, &n);
    cpu = bench_cpu_s() - cpu;
    double wall = (double)(sup_mono_ms() - begun) / 1000;
    printf(
        "{\"documents\":%llu,\"events\":%llu,\"verdicts\":%llu,\"cpu_s\":%.3f,\"wall_s\":%.3f}\n",
        (unsigned long long)n.documents, (unsigned long long)n.events,
        (unsigned long long)n.verdicts, cpu, wall);
    sup_verdicts_fini(&vs);
    sup_event_reader_free(reader);
    sup_source_free(source);
    return EXIT_SUCCESS;
}
