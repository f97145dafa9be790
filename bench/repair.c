/* What a repair costs: bytes on the wire, round trips, CPU, beside the differing records
 * themselves; and what it costs to be ready for one.
 *
 *   bench_repair [RECORDS]
 *
 * Both machines of core/repair.h over frames as they travel, in one process; records are made up,
 * of the size of a usual bounce. Bytes count both directions, with frame headers. A line of JSON a
 * row. */
#include "core/repair.h"
#include "codec/mesh_msg.h"
#include "codec/value.h"
#include "common.h"
#include "core/repair_want.h"

#define FETCH_COUNT   2048
#define MESSAGE_BYTES (128U << 10)
#define ENTRIES_MAX   4096

static struct sup_sketch_keys keys;

static uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9;
    x ^= x >> 27;
    x *= 0x94d049bb133111eb;
    return x ^ x >> 31;
}

struct record {
    uint64_t key;
    uint32_t version; /* 0: absent */
};

static uint64_t digest(const struct record *r)
{
    return r->version == 0 ? 0 : mix(r->key + r->version) | 1;
}

static int by_key(const void *a, const void *b)
{
    const struct record *x = a;
    const struct record *y = b;

    return x->key < y->key ? -1 : x->key > y->key;
}

struct side {
    struct record *records; /* by key */
    size_t n;
    struct sup_sketch sketch;
};

/* The first record of a shard, as a seek would find it. */
static size_t first_of(const struct side *s, unsigned shard)
{
    uint64_t key = (uint64_t)shard << 56;
    size_t low = 0;
    size_t high = s->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->records[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void give(const struct side *s, const uint8_t *shards, struct sup_repair_set *set)
{
    struct sup_sketch copy;

    sup_repair_set_init(set, &keys);
    if (!shards) {
        bench_must(sup_sketch_copy(&copy, &s->sketch), NULL, "copy");
        sup_repair_set_whole(set, &copy);
        return;
    }
    for (unsigned i = 0; i < SUP_SKETCH_SHARDS; i++) {
        size_t end = i + 1 < SUP_SKETCH_SHARDS ? first_of(s, i + 1) : s->n;
        for (size_t k = first_of(s, i); (shards[i / 8] >> i % 8 & 1) && k < end; k++) {
            struct sup_riblt_item item = {s->records[k].key, digest(&s->records[k])};
            if (item.digest != 0)
                bench_must(sup_repair_set_add(set, &item), NULL, "scan");
        }
    }
}

/* --- the wire --- */

struct wire {
    struct side *puller, *server;
    struct sup_repair_puller *p;
    struct sup_repair_server *s;
    struct sup_frame_encoder *encoder;
    struct sup_mesh_mem *mem;
    struct sup_mesh_msg msg;
    struct sup_buf body, frame, out, wants;
    struct sup_buf *texts; /* of ENTRIES_MAX addresses and decisions */
    struct sup_repair_entry entries[ENTRIES_MAX];
    size_t n_entries, entry_bytes;
    uint64_t symbol_bytes, up, down, record_bytes, trips, fetches;
};

static size_t frame_size(struct wire *w)
{
    struct sup_err err = {0};

    sup_buf_reset(&w->body);
    sup_buf_reset(&w->frame);
    bench_must(sup_mesh_msg_encode(&w->msg, w->mem, &w->body, &err), &err, "encode");
    bench_must(sup_frame_encode_bulk(w->encoder, (uint16_t)w->msg.type, 0, sup_buf_slice(&w->body),
                                     &w->frame),
               NULL, "frame");
    return w->frame.n;
}

static void entry(struct wire *w, const struct record *r)
{
    struct sup_buf *b = &w->texts[w->n_entries];
    struct sup_decision d = {.cls = SUP_CLASS_BOUNCE,
                             .state = SUP_SUPPRESSED,
                             .cause = SUP_CAUSE_EVENT,
                             .time = sup_hlc_from_ms(1700000000000 + (int64_t)r->version * 1000),
                             .origin = 0x123456789abcdef,
                             .evidence = {.region = SUP_SLICE_LIT("eu-west-1"),
                                          .sub_type = SUP_SLICE_LIT("Permanent/General"),
                                          .status = SUP_SLICE_LIT("5.1.1")}};
    char id[64];
    size_t key_n;

    sup_buf_reset(b);
    sup_buf_addf(b, "user%llu@example.com", (unsigned long long)(mix(r->key) % 100000000));
    key_n = b->n;
    (void)snprintf(id, sizeof(id), "0102%016llx-%012llx-000000", (unsigned long long)mix(r->key),
                   (unsigned long long)(mix(r->key + 1) >> 16));
    d.evidence.feedback_id = sup_slice_str(id);
    sup_decision_encode(&d, b);
    w->entries[w->n_entries++] = (struct sup_repair_entry){
        .key = sup_slice_of(b->p, key_n), .encoded = sup_slice_of(b->p + key_n, b->n - key_n)};
    w->entry_bytes += b->n;
}

static size_t records_frame(struct wire *w)
{
    size_t n;

    w->msg.type = SUP_FRAME_REPAIR_RECORDS;
    memset(&w->msg.u.repair, 0, sizeof(w->msg.u.repair));
    w->msg.u.repair.u.records.entries = w->entries;
    w->msg.u.repair.u.records.n = w->n_entries;
    n = frame_size(w);
    w->n_entries = w->entry_bytes = 0;
    return n;
}

static struct record *find(const struct side *s, uint64_t key)
{
    struct record want = {.key = key};
    struct record *r = bsearch(&want, s->records, s->n, sizeof(want), by_key);

    if (!r) {
        fprintf(stderr, "asked for a record that nobody has\n");
        exit(EXIT_FAILURE);
    }
    return r;
}

static void answer_records(struct wire *w, uint32_t round, bool last)
{
    bool final;
    struct sup_repair_msg msg = {.round = round};
    size_t n;

    msg.u.records.n = w->n_entries;
    msg.u.records.last = last;
    n = records_frame(w);
    w->down += n;
    w->record_bytes += n;
    bench_must(sup_repair_puller_records(w->p, &msg, &final), NULL, "records");
}

static void fetch(struct wire *w)
{
    const struct sup_repair_wanted *wanted;
    uint32_t round = 0;
    size_t n = sup_repair_puller_wants(w->p, &round, &wanted, FETCH_COUNT);
    uint64_t keys_wanted[FETCH_COUNT];

    w->fetches++;
    sup_buf_reset(&w->wants);
    for (size_t i = 0; i < n; i++) {
        struct sup_registers have = {{{0}}};
        struct sup_repair_want want;
        keys_wanted[i] = wanted[i].key;
        if (wanted[i].changed)
            have.r[0] = (struct sup_register){.present = true,
                                              .time = find(w->puller, wanted[i].key)->version};
        sup_repair_want_make(wanted[i].key, &have, &want);
        sup_repair_want_pack(&want, &w->wants);
    }
    w->msg.type = SUP_FRAME_REPAIR_FETCH;
    memset(&w->msg.u.repair, 0, sizeof(w->msg.u.repair));
    w->msg.u.repair.u.fetch.count = n;
    w->msg.u.repair.u.fetch.wants = sup_buf_slice(&w->wants);
    w->up += frame_size(w);
    for (size_t i = 0; i < n; i++) {
        if (w->entry_bytes >= MESSAGE_BYTES)
            answer_records(w, round, false);
        entry(w, find(w->server, keys_wanted[i]));
    }
    answer_records(w, round, true);
}

static void serve(struct wire *w)
{
    while (sup_repair_server_next(w->s) != SUP_REPAIR_WAIT) {
        struct sup_repair_set set;
        if (sup_repair_server_next(w->s) != SUP_REPAIR_SEND) {
            give(w->server,
                 sup_repair_server_next(w->s) == SUP_REPAIR_SCAN ? sup_repair_server_shards(w->s)
                                                                 : NULL,
                 &set);
            sup_repair_server_set(w->s, &set);
            continue;
        }
        bench_must(sup_repair_server_message(w->s, &w->out, &w->msg.type, &w->msg.u.repair), NULL,
                   "symbols");
        size_t n = frame_size(w);
        w->down += n;
        w->symbol_bytes += n;
        bench_must(sup_repair_puller_symbols(w->p, &w->msg.u.repair), NULL, "symbols");
    }
}

static void send(struct wire *w)
{
    uint8_t sums[SUP_REPAIR_SUMS_SIZE];
    bool final;

    sup_repair_puller_message(w->p, &w->msg.type, &w->msg.u.repair);
    w->up += frame_size(w);
    if (w->msg.type == SUP_FRAME_REPAIR_ASK) {
        w->trips++;
        bench_must(sup_repair_server_ask(w->s, &w->msg.u.repair), NULL, "ask");
        serve(w);
    } else if (w->msg.type == SUP_FRAME_REPAIR_SUMS) {
        w->trips++;
        for (size_t i = 0; i < SUP_SKETCH_SHARDS; i++)
            sup_sketch_sum_put(&w->server->sketch.shards[i], sums + i * SUP_SKETCH_SUM_SIZE);
        w->msg.u.repair.u.sums.sums = sup_slice_of(sums, sizeof(sums));
        w->down += frame_size(w);
        bench_must(sup_repair_puller_sums(w->p, &w->msg.u.repair), NULL, "sums");
    } else { /* the end, which nobody waits for */
        sup_repair_server_end(w->s);
        memset(&w->msg.u.repair, 0, sizeof(w->msg.u.repair));
        w->msg.type = SUP_FRAME_REPAIR_RECORDS;
        w->msg.u.repair.u.records.last = true;
        w->down += frame_size(w);
        bench_must(sup_repair_puller_records(w->p, &w->msg.u.repair, &final), NULL, "end");
    }
}

static void repair(struct wire *w)
{
    bool fetching = false;

    for (;;) {
        enum sup_repair_action action = sup_repair_puller_next(w->p);
        struct sup_repair_set set;
        if (action == SUP_REPAIR_OVER)
            break;
        if (action == SUP_REPAIR_FETCH) {
            w->trips += !fetching; /* pipelined: the first of a round waits, the others do not */
            fetching = true;
            fetch(w);
            continue;
        }
        fetching = false;
        if (action == SUP_REPAIR_SEND) {
            send(w);
        } else {
            give(w->puller, action == SUP_REPAIR_SCAN ? sup_repair_puller_shards(w->p) : NULL,
                 &set);
            sup_repair_puller_set(w->p, &set);
        }
    }
    bench_must(sup_repair_puller_result(w->p), NULL, "repair");
}

static void wire_init(struct wire *w)
{
    memset(w, 0, sizeof(*w));
    w->encoder = sup_frame_encoder_new();
    w->mem = sup_mesh_mem_new();
    w->p = sup_repair_puller_new(&keys);
    w->s = sup_repair_server_new(&keys);
    w->texts = calloc(ENTRIES_MAX, sizeof(*w->texts));
    if (!w->encoder || !w->mem || !w->p || !w->s || !w->texts)
        bench_must(SUP_ENOMEM, NULL, "init");
    sup_buf_init(&w->body, SUP_FRAME_BODY_MAX);
    sup_buf_init(&w->frame, SUP_FRAME_BODY_MAX + SUP_FRAME_HEADER);
    sup_buf_init(&w->out, SUP_FRAME_BODY_MAX);
    sup_buf_init(&w->wants, 1U << 20);
    for (size_t i = 0; i < ENTRIES_MAX; i++)
        sup_buf_init(&w->texts[i], 4096);
}

static void wire_fini(struct wire *w)
{
    for (size_t i = 0; i < ENTRIES_MAX; i++)
        sup_buf_fini(&w->texts[i]);
    free(w->texts);
    sup_buf_fini(&w->body);
    sup_buf_fini(&w->frame);
    sup_buf_fini(&w->out);
    sup_buf_fini(&w->wants);
    sup_frame_encoder_free(w->encoder);
    sup_mesh_mem_free(w->mem);
    sup_repair_puller_free(w->p);
    sup_repair_server_free(w->s);
}

/* --- rows --- */

/* The puller: the server's set without d records, or with d older ones. */
static void derive(const struct side *server, size_t d, bool changed, struct side *out)
{
    out->n = server->n;
    out->records = malloc(server->n * sizeof(*out->records));
    if (!out->records)
        bench_must(SUP_ENOMEM, NULL, "records");
    memcpy(out->records, server->records, server->n * sizeof(*out->records));
    bench_must(sup_sketch_copy(&out->sketch, &server->sketch), NULL, "copy");
    for (size_t i = 0; i < d; i++) { /* keys are random: evenly spread is as good as any */
        struct record *r = &out->records[i * (server->n / (d > 0 ? d : 1))];
        struct sup_sketch_change c = {.key = r->key, .before = digest(r)};
        r->version = changed ? 1 : 0;
        c.after = digest(r);
        sup_sketch_update(&out->sketch, &c);
    }
}

static void row(struct side *server, size_t d, bool changed)
{
    static struct wire w;
    struct side puller;
    int64_t begin;
    double cpu;

    derive(server, d, changed, &puller);
    wire_init(&w);
    w.puller = &puller;
    w.server = server;
    begin = sup_mono_ns();
    cpu = bench_cpu_s();
    repair(&w);
    cpu = bench_cpu_s() - cpu;
    const struct sup_repair_stats *st = sup_repair_puller_stats(w.p);
    if (st->missing + st->changed != d) {
        fprintf(stderr, "found %llu of %zu\n", (unsigned long long)(st->missing + st->changed), d);
        exit(EXIT_FAILURE);
    }
    printf("{\"bench\":\"repair_%s_%zu\",\"records\":%zu,\"bytes\":%llu,\"lower_bound_bytes\":%llu,"
           "\"symbol_bytes_per_record\":%.1f,\"beyond_records_bytes_per_record\":%.1f,"
           "\"round_trips\":%llu,\"shards_scanned\":%llu,\"cpu_ms\":%.1f,\"ms\":%.1f}\n",
           changed ? "changed" : "missing", d, server->n, (unsigned long long)(w.up + w.down),
           (unsigned long long)w.record_bytes, (double)w.symbol_bytes / (double)(d > 0 ? d : 1),
           (double)(w.up + w.down - w.record_bytes) / (double)(d > 0 ? d : 1),
           (unsigned long long)w.trips, (unsigned long long)st->shards, cpu * 1e3,
           (double)(sup_mono_ns() - begin) / 1e6);
    wire_fini(&w);
    sup_sketch_fini(&puller.sketch);
    free(puller.records);
}

/* Equal sets: the root in a heartbeat is all there is. */
static void equal_row(const struct side *s)
{
    static struct wire w;
    size_t without;

    wire_init(&w);
    memset(&w.msg, 0, sizeof(w.msg));
    w.msg.type = SUP_FRAME_HEARTBEAT;
    w.msg.u.heartbeat.incarnation = 1;
    without = frame_size(&w);
    w.msg.u.heartbeat.has_root = true;
    sup_sketch_sum_put(&s->sketch.root, w.msg.u.heartbeat.root);
    printf("{\"bench\":\"repair_equal\",\"records\":%zu,\"bytes\":%zu,\"round_trips\":0}\n", s->n,
           frame_size(&w) - without);
    wire_fini(&w);
}

static void upkeep(struct side *s, double build_s)
{
    size_t writes = s->n < 1000000 ? s->n : 1000000;
    double cpu = bench_cpu_s();

    for (size_t i = 0; i < writes; i++) {
        struct record *r = &s->records[mix(i) % s->n];
        struct sup_sketch_change c = {.key = r->key, .before = digest(r)};
        r->version++;
        c.after = digest(r);
        sup_sketch_update(&s->sketch, &c);
    }
    cpu = bench_cpu_s() - cpu;
    printf("{\"bench\":\"repair_upkeep\",\"records\":%zu,\"us_per_insert\":%.3f,"
           "\"us_per_overwrite\":%.3f,\"sketch_mib\":%.2f}\n",
           s->n, build_s / (double)s->n * 1e6, cpu / (double)writes * 1e6,
           (double)(sizeof(s->sketch) + s->sketch.n_symbols * sizeof(*s->sketch.symbols)) /
               1048576.0);
}

int main(int argc, char **argv)
{
    static const size_t ds[] = {1, 10, 1000, 100000, 1000000};
    struct side server = {.n = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000000};
    struct sup_hash_key address;
    double cpu;

    if (server.n == 0 || server.n > 100000000) {
        fprintf(stderr, "usage: bench_repair [RECORDS]\n");
        return 2;
    }
    sup_hash_key_derive("bench", (struct sup_slice){NULL, 0}, &address);
    sup_sketch_keys_derive(&address, &keys);
    bench_must(sup_sketch_init(&server.sketch, &keys, SUP_SKETCH_SYMBOLS), NULL, "sketch");
    server.records = calloc(server.n, sizeof(*server.records));
    if (!server.records)
        bench_must(SUP_ENOMEM, NULL, "records");
    for (size_t i = 0; i < server.n; i++)
        server.records[i] = (struct record){.key = mix(i + 1), .version = 2};
    cpu = bench_cpu_s();
    for (size_t i = 0; i < server.n; i++) {
        struct sup_sketch_change c = {.key = server.records[i].key,
                                      .after = digest(&server.records[i])};
        sup_sketch_update(&server.sketch, &c);
    }
    cpu = bench_cpu_s() - cpu;
    qsort(server.records, server.n, sizeof(*server.records), by_key);
    upkeep(&server, cpu);
    equal_row(&server);
    for (size_t i = 0; i < sizeof(ds) / sizeof(ds[0]) && ds[i] <= server.n; i++) {
        row(&server, ds[i], false);
        row(&server, ds[i], true);
    }
    sup_sketch_fini(&server.sketch);
    free(server.records);
    return 0;
}
