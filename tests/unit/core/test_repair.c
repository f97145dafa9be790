/* The two machines of a repair against each other, over sets in memory; and against nonsense. */
#include "core/repair.h"
#include "core/repair_want.h"
#include "property.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct sup_sketch_keys keys;

static int setup(void **state)
{
    struct sup_hash_key address;

    sup_hash_key_derive("repair test", (struct sup_slice){NULL, 0}, &address);
    sup_sketch_keys_derive(&address, &keys);
    return property_setup(state);
}

/* A node: version[i] of record i, 0 when it lacks it. The newer version is the larger one. */
struct node {
    size_t n;
    const uint64_t *key;
    uint64_t *version;
    struct sup_sketch sketch;
};

static void node_init(struct node *x, const uint64_t *key, size_t n, size_t symbols)
{
    x->n = n;
    x->key = key;
    x->version = calloc(n, sizeof(*x->version));
    assert_non_null(x->version);
    assert_int_equal(sup_sketch_init(&x->sketch, &keys, symbols), SUP_OK);
}

static void node_fini(struct node *x)
{
    free(x->version);
    sup_sketch_fini(&x->sketch);
}

/* Of a whole record, as a node's are: plain version numbers would cancel out in a shard's sum. */
static uint64_t digest(uint64_t key, uint64_t version)
{
    uint8_t b[16];
    uint64_t d;

    if (version == 0)
        return 0;
    sup_put_be64(b, key);
    sup_put_be64(b + 8, version);
    d = sup_hash64(&keys.digest, sup_slice_of(b, sizeof(b)));
    return d != 0 ? d : 1;
}

static void node_write(struct node *x, size_t i, uint64_t version)
{
    struct sup_sketch_change c = {.key = x->key[i],
                                  .before = digest(x->key[i], x->version[i]),
                                  .after = digest(x->key[i], version)};

    if (version <= x->version[i])
        return;
    sup_sketch_update(&x->sketch, &c);
    x->version[i] = version;
}

static void give_whole(const struct node *x, struct sup_repair_set *set)
{
    struct sup_sketch copy;

    sup_repair_set_init(set, &keys);
    assert_int_equal(sup_sketch_copy(&copy, &x->sketch), SUP_OK);
    sup_repair_set_whole(set, &copy);
}

static void give_shards(const struct node *x, const uint8_t *shards, struct sup_repair_set *set)
{
    sup_repair_set_init(set, &keys);
    for (size_t i = 0; i < x->n; i++) {
        struct sup_riblt_item item = {.key = x->key[i], .digest = digest(x->key[i], x->version[i])};
        unsigned shard = sup_sketch_shard(item.key);
        if (x->version[i] != 0 && (shards[shard / 8] >> shard % 8 & 1))
            assert_int_equal(sup_repair_set_add(set, &item), SUP_OK);
    }
}

/* One repair of a from b over a perfect link. */
struct session {
    struct node *a, *b;
    struct sup_repair_puller *p;
    struct sup_repair_server *s;
    struct sup_buf buf;
    struct sup_rng *writes; /* if set, both sides are written to meanwhile */
    uint64_t clock;
    size_t trips, bytes, fetched;
};

static void write_something(struct session *x)
{
    if (!x->writes || !property_chance(x->writes, 30))
        return;
    node_write(property_chance(x->writes, 50) ? x->a : x->b, sup_rng_below(x->writes, x->a->n),
               ++x->clock);
}

/* The server's answers to the last message, into the puller. */
static void serve(struct session *x)
{
    while (sup_repair_server_next(x->s) != SUP_REPAIR_WAIT) {
        struct sup_repair_set set;
        struct sup_repair_msg msg;
        enum sup_frame_type type;
        write_something(x);
        switch (sup_repair_server_next(x->s)) {
        case SUP_REPAIR_COPY:
            give_whole(x->b, &set);
            sup_repair_server_set(x->s, &set);
            break;
        case SUP_REPAIR_SCAN:
            give_shards(x->b, sup_repair_server_shards(x->s), &set);
            sup_repair_server_set(x->s, &set);
            break;
        default:
            assert_int_equal(sup_repair_server_message(x->s, &x->buf, &type, &msg), SUP_OK);
            assert_int_equal(type, SUP_FRAME_REPAIR_SYMBOLS);
            x->bytes += msg.u.symbols.symbols.n;
            assert_int_equal(sup_repair_puller_symbols(x->p, &msg), SUP_OK);
        }
    }
}

static void send(struct session *x)
{
    uint8_t sums[SUP_REPAIR_SUMS_SIZE];
    enum sup_frame_type type;
    struct sup_repair_msg msg;
    struct sup_repair_msg answer = {0};
    bool final = false;

    sup_repair_puller_message(x->p, &type, &msg);
    x->trips++;
    if (type == SUP_FRAME_REPAIR_ASK) {
        x->bytes += msg.u.ask.strata.n + msg.u.ask.shards.n;
        assert_int_equal(sup_repair_server_ask(x->s, &msg), SUP_OK);
        serve(x);
    } else if (type == SUP_FRAME_REPAIR_SUMS) {
        for (size_t i = 0; i < SUP_SKETCH_SHARDS; i++)
            sup_sketch_sum_put(&x->b->sketch.shards[i], sums + i * SUP_SKETCH_SUM_SIZE);
        answer.u.sums.sums = sup_slice_of(sums, sizeof(sums));
        x->bytes += sizeof(sums);
        assert_int_equal(sup_repair_puller_sums(x->p, &answer), SUP_OK);
    } else {
        sup_repair_server_end(x->s);
        answer.round = msg.round;
        answer.u.records.last = true;
        assert_int_equal(sup_repair_puller_records(x->p, &answer, &final), SUP_OK);
        assert_true(final);
    }
}

static size_t find(const struct node *x, uint64_t key)
{
    for (size_t i = 0; i < x->n; i++) {
        if (x->key[i] == key)
            return i;
    }
    fail_msg("a record that is not there");
    return 0;
}

static void fetch(struct session *x)
{
    const struct sup_repair_wanted *w;
    struct sup_repair_msg answer = {0};
    bool final = true;
    size_t n = sup_repair_puller_wants(x->p, &answer.round, &w, 100);

    x->trips++;
    for (size_t i = 0; i < n; i++) {
        size_t at = find(x->b, w[i].key);
        assert_true(x->b->version[at] != 0);
        assert_true(x->writes || w[i].changed == (x->a->version[at] != 0));
        x->fetched++;
        node_write(x->a, at, x->b->version[at]);
    }
    answer.u.records.last = true;
    assert_int_equal(sup_repair_puller_records(x->p, &answer, &final), SUP_OK);
    assert_false(final);
}

/* Instead of going on: what stands in for the server from here on. */
typedef bool take_over_fn(struct session *x, enum sup_repair_action action);

static void repair_until(struct session *x, take_over_fn *take_over)
{
    struct sup_repair_set set;

    sup_buf_init(&x->buf, 1U << 20);
    x->p = sup_repair_puller_new(&keys);
    x->s = sup_repair_server_new(&keys);
    assert_true(x->p && x->s);
    while (sup_repair_puller_next(x->p) != SUP_REPAIR_OVER) {
        write_something(x);
        if (take_over && take_over(x, sup_repair_puller_next(x->p)))
            break;
        switch (sup_repair_puller_next(x->p)) {
        case SUP_REPAIR_COPY:
            give_whole(x->a, &set);
            sup_repair_puller_set(x->p, &set);
            break;
        case SUP_REPAIR_SCAN:
            give_shards(x->a, sup_repair_puller_shards(x->p), &set);
            sup_repair_puller_set(x->p, &set);
            break;
        case SUP_REPAIR_SEND:
            send(x);
            break;
        case SUP_REPAIR_FETCH:
            fetch(x);
            break;
        default:
            fail_msg("waits for what was answered");
        }
        assert_true(x->trips < 10000);
    }
    sup_buf_fini(&x->buf);
}

static void repair(struct session *x)
{
    repair_until(x, NULL);
    assert_int_equal(sup_repair_puller_result(x->p), SUP_OK);
}

static void session_fini(struct session *x)
{
    sup_repair_puller_free(x->p);
    sup_repair_server_free(x->s);
}

/* n records of which about each d-th differs, in any way. */
static void random_nodes(struct sup_rng *r, struct node *a, struct node *b, const uint64_t *key,
                         size_t n, size_t one_in, size_t symbols_a, size_t symbols_b)
{
    node_init(a, key, n, symbols_a);
    node_init(b, key, n, symbols_b);
    for (size_t i = 0; i < n; i++) {
        uint64_t version = 1 + sup_rng_below(r, 1000);
        bool differs = sup_rng_below(r, one_in) == 0;
        node_write(a, i, version);
        if (!differs)
            node_write(b, i, version);
        else if (property_chance(r, 50))
            node_write(b, i, 1 + sup_rng_below(r, 1000));
    }
}

static uint64_t *random_keys(struct sup_rng *r, size_t n)
{
    uint64_t *key = calloc(n + 1, sizeof(*key));

    assert_non_null(key);
    for (size_t i = 0; i < n; i++)
        key[i] = sup_rng_u64(r);
    return key;
}

static void converge(struct session *x, bool both)
{
    repair(x);
    for (size_t i = 0; i < x->a->n && !x->writes; i++)
        assert_true(x->a->version[i] >= x->b->version[i]);
    session_fini(x);
    if (both) {
        struct session back = {.a = x->b, .b = x->a};
        repair(&back);
        session_fini(&back);
        assert_true(sup_sketch_sum_eq(&x->a->sketch.root, &x->b->sketch.root));
        assert_memory_equal(x->a->version, x->b->version, x->a->n * sizeof(*x->a->version));
    }
}

static void any_two_nodes_become_equal(void **state)
{
    static const size_t prefixes[] = {8, 64, 256, 2048};
    struct sup_rng r = property_rng("converge");

    (void)state;
    for (size_t c = 0; c < property_cases(150); c++) {
        size_t n = 1 + sup_rng_below(&r, 800);
        uint64_t *key = random_keys(&r, n);
        struct node a;
        struct node b;
        struct session x = {.a = &a, .b = &b};
        /* Nodes may be configured to keep prefixes of different lengths. */
        random_nodes(&r, &a, &b, key, n, 1 + sup_rng_below(&r, 50), prefixes[sup_rng_below(&r, 4)],
                     prefixes[sup_rng_below(&r, 4)]);
        converge(&x, true);
        node_fini(&a);
        node_fini(&b);
        free(key);
    }
}

static void writes_meanwhile_do_no_harm(void **state)
{
    struct sup_rng r = property_rng("writes");

    (void)state;
    for (size_t c = 0; c < property_cases(100); c++) {
        size_t n = 50 + sup_rng_below(&r, 500);
        uint64_t *key = random_keys(&r, n);
        uint64_t *before = calloc(n, sizeof(*before));
        struct node a;
        struct node b;
        struct session x = {.a = &a, .b = &b, .writes = &r, .clock = 5000};
        random_nodes(&r, &a, &b, key, n, 1 + sup_rng_below(&r, 50),
                     property_chance(&r, 50) ? 32 : 1024, 1024);
        memcpy(before, b.version, n * sizeof(*before));
        converge(&x, false);
        for (size_t i = 0; i < n; i++) /* what the server had when it began */
            assert_true(a.version[i] >= before[i]);
        x = (struct session){.a = &a, .b = &b};
        converge(&x, true);
        node_fini(&a);
        node_fini(&b);
        free(before);
        free(key);
    }
}

static void few_differences_take_two_round_trips(void **state)
{
    enum { N = 3000, RUNS = 40 };
    struct sup_rng r = property_rng("trips");
    size_t trips = 0;
    size_t bytes = 0;

    (void)state;
    for (int c = 0; c < RUNS; c++) {
        uint64_t *key = random_keys(&r, N);
        struct node a;
        struct node b;
        struct session x = {.a = &a, .b = &b};
        node_init(&a, key, N, 4096);
        node_init(&b, key, N, 4096);
        for (size_t i = 0; i < N; i++) {
            node_write(&b, i, 7);
            if (i >= 20)
                node_write(&a, i, 7);
        }
        converge(&x, false);
        assert_int_equal(x.fetched, 20);
        trips += x.trips - 1; /* the last one only says goodbye */
        bytes += x.bytes - SUP_REPAIR_STRATA_SIZE;
        node_fini(&a);
        node_fini(&b);
        free(key);
    }
    /* On the average: an estimate may be several times off in one of them. */
    print_message("%.2f round trips, %.0f bytes of symbols\n", (double)trips / RUNS,
                  (double)bytes / RUNS);
    assert_true((double)bytes / RUNS < 20 * 23 * 3);
    assert_true((double)trips / RUNS < 2.6);
}

static void a_busy_server_is_asked_again_later(void **state)
{
    struct sup_repair_puller *p = sup_repair_puller_new(&keys);
    struct sup_repair_server *s = sup_repair_server_new(&keys);
    struct sup_repair_set set;
    struct sup_sketch sketch;
    struct sup_repair_msg msg;
    enum sup_frame_type type;
    struct sup_buf buf;

    (void)state;
    sup_buf_init(&buf, 1024);
    assert_int_equal(sup_sketch_init(&sketch, &keys, 8), SUP_OK);
    sup_repair_set_init(&set, &keys);
    sup_repair_set_whole(&set, &sketch);
    sup_repair_puller_set(p, &set);
    sup_repair_puller_message(p, &type, &msg);
    assert_int_equal(sup_repair_server_ask(s, &msg), SUP_OK);
    assert_int_equal(sup_repair_server_next(s), SUP_REPAIR_COPY);
    sup_repair_server_busy(s);
    assert_int_equal(sup_repair_server_message(s, &buf, &type, &msg), SUP_OK);
    assert_int_equal(sup_repair_server_next(s), SUP_REPAIR_WAIT);
    assert_int_equal(sup_repair_puller_symbols(p, &msg), SUP_EAGAIN);
    assert_int_equal(sup_repair_puller_next(p), SUP_REPAIR_OVER);
    assert_int_equal(sup_repair_puller_result(p), SUP_EAGAIN);
    sup_repair_puller_free(p);
    sup_repair_server_free(s);
    sup_buf_fini(&buf);
}

/* --- nonsense --- */

static void random_message(struct sup_rng *r, const uint8_t *junk, struct sup_repair_msg *m,
                           enum sup_frame_type *type)
{
    memset(m, 0, sizeof(*m));
    m->round = (uint32_t)sup_rng_below(r, 3);
    *type = (enum sup_frame_type)(SUP_FRAME_REPAIR_ASK + sup_rng_below(r, 5));
    if (*type == SUP_FRAME_REPAIR_SYMBOLS) {
        struct sup_repair_symbols *s = &m->u.symbols;
        s->count = sup_rng_below(r, 40);
        s->first = property_chance(r, 70) ? 0 : sup_rng_below(r, 100);
        s->until = s->first + s->count + sup_rng_below(r, 1000);
        s->n_set = property_edge_u64(r);
        s->state = (enum sup_repair_state)sup_rng_below(r, 4);
        s->symbols = sup_slice_of(junk, sup_rng_below(r, s->count * 28 + 1));
    } else if (*type == SUP_FRAME_REPAIR_SUMS) {
        m->u.sums.sums = sup_slice_of(junk, property_chance(r, 80) ? SUP_REPAIR_SUMS_SIZE : 0);
    } else if (*type == SUP_FRAME_REPAIR_RECORDS) {
        m->u.records.last = property_chance(r, 50);
    } else if (*type == SUP_FRAME_REPAIR_ASK) {
        m->u.ask.symbols = property_chance(r, 50) ? sup_rng_below(r, 500) : property_edge_u64(r);
        m->u.ask.strata = sup_slice_of(junk, property_chance(r, 80) ? SUP_REPAIR_STRATA_SIZE : 0);
        m->u.ask.shards = sup_slice_of(junk, property_chance(r, 40) ? SUP_REPAIR_SHARDS_SIZE : 0);
    }
}

static void puller_does_something(struct sup_repair_puller *p, const struct node *x)
{
    struct sup_repair_set set;
    struct sup_repair_msg m;
    enum sup_frame_type type;
    const struct sup_repair_wanted *w;

    switch (sup_repair_puller_next(p)) {
    case SUP_REPAIR_COPY:
        give_whole(x, &set);
        sup_repair_puller_set(p, &set);
        break;
    case SUP_REPAIR_SCAN:
        give_shards(x, sup_repair_puller_shards(p), &set);
        sup_repair_puller_set(p, &set);
        break;
    case SUP_REPAIR_SEND:
        sup_repair_puller_message(p, &type, &m);
        break;
    case SUP_REPAIR_FETCH:
        (void)sup_repair_puller_wants(p, &m.round, &w, 10);
        break;
    default:
        break;
    }
}

static void hostile_servers_do_no_harm(void **state)
{
    static uint8_t junk[16384];
    struct sup_rng r = property_rng("hostile server");
    uint64_t *key = random_keys(&r, 100);
    struct node x;

    (void)state;
    node_init(&x, key, 100, 64);
    for (size_t i = 0; i < 100; i++)
        node_write(&x, i, 1 + i);
    for (size_t c = 0; c < property_cases(2000); c++) {
        struct sup_repair_puller *p = sup_repair_puller_new(&keys);
        property_bytes(&r, junk, 64 + sup_rng_below(&r, sizeof(junk) - 64));
        for (int i = 0; i < 60 && sup_repair_puller_next(p) != SUP_REPAIR_OVER; i++) {
            struct sup_repair_msg m;
            enum sup_frame_type type;
            bool final;
            random_message(&r, junk, &m, &type);
            puller_does_something(p, &x);
            if (sup_repair_puller_next(p) == SUP_REPAIR_OVER)
                break;
            if (type == SUP_FRAME_REPAIR_SYMBOLS)
                (void)sup_repair_puller_symbols(p, &m);
            else if (type == SUP_FRAME_REPAIR_SUMS && property_chance(&r, 10))
                (void)sup_repair_puller_sums(p, &m);
            else if (type == SUP_FRAME_REPAIR_RECORDS && property_chance(&r, 10))
                (void)sup_repair_puller_records(p, &m, &final);
        }
        sup_repair_puller_free(p);
    }
    node_fini(&x);
    free(key);
}

/* Records and records, and never the last ones. */
static void goes_on_and_on(struct session *x, uint32_t round, uint64_t most)
{
    struct sup_repair_msg m = {.round = round, .u.records.n = SUP_REPAIR_ENTRIES_MAX};
    uint64_t n = 0;
    bool final;

    while (sup_repair_puller_records(x->p, &m, &final) == SUP_OK) {
        n += SUP_REPAIR_ENTRIES_MAX;
        assert_in_range(n, 0, most);
    }
    assert_int_equal(sup_repair_puller_next(x->p), SUP_REPAIR_OVER);
    assert_int_equal(sup_repair_puller_result(x->p), SUP_EINPUT);
}

static bool endless_records(struct session *x, enum sup_repair_action action)
{
    const struct sup_repair_wanted *w;
    uint32_t round;

    if (action != SUP_REPAIR_FETCH)
        return false;
    (void)sup_repair_puller_wants(x->p, &round, &w, 100);
    goes_on_and_on(x, round, 100000);
    return true;
}

static bool endless_quarantine(struct session *x, enum sup_repair_action action)
{
    enum sup_frame_type type;
    struct sup_repair_msg msg;

    if (action != SUP_REPAIR_SEND)
        return false;
    sup_repair_puller_message(x->p, &type, &msg);
    while (type == SUP_FRAME_REPAIR_ASK) {
        assert_int_equal(sup_repair_server_ask(x->s, &msg), SUP_OK);
        serve(x);
        assert_int_equal(sup_repair_puller_next(x->p), SUP_REPAIR_SEND);
        sup_repair_puller_message(x->p, &type, &msg);
    }
    assert_int_equal(type, SUP_FRAME_REPAIR_FETCH);
    goes_on_and_on(x, msg.round, 2000000);
    return true;
}

static bool empty_records(struct session *x, enum sup_repair_action action)
{
    const struct sup_repair_wanted *w;
    struct sup_repair_msg m = {.u.records.last = false};
    bool final;

    if (action != SUP_REPAIR_FETCH)
        return false;
    (void)sup_repair_puller_wants(x->p, &m.round, &w, 100);
    assert_int_equal(sup_repair_puller_records(x->p, &m, &final), SUP_EINPUT);
    return true;
}

static void answers_have_an_end(void **state)
{
    static take_over_fn *const how[] = {endless_records, endless_quarantine, empty_records};
    struct sup_rng r = property_rng("answers have an end");
    uint64_t *key = random_keys(&r, 100);

    (void)state;
    for (size_t k = 0; k < sizeof(how) / sizeof(how[0]); k++) {
        struct node a;
        struct node b;
        struct session x = {.a = &a, .b = &b};
        node_init(&a, key, 100, 64);
        node_init(&b, key, 100, 64);
        for (size_t i = 0; i < 100; i++) {
            node_write(&a, i, 1);
            node_write(&b, i, i < 3 && k != 1 ? 2 : 1);
        }
        repair_until(&x, how[k]);
        assert_int_equal(sup_repair_puller_result(x.p), SUP_EINPUT);
        session_fini(&x);
        node_fini(&a);
        node_fini(&b);
    }
    free(key);
}

static void hostile_pullers_do_no_harm(void **state)
{
    static uint8_t junk[16384];
    struct sup_rng r = property_rng("hostile puller");
    uint64_t *key = random_keys(&r, 100);
    struct sup_buf buf;
    struct node x;

    (void)state;
    sup_buf_init(&buf, 1U << 20);
    node_init(&x, key, 100, 64);
    for (size_t i = 0; i < 100; i++)
        node_write(&x, i, 1 + i);
    for (size_t c = 0; c < property_cases(300); c++) {
        struct sup_repair_server *s = sup_repair_server_new(&keys);
        property_bytes(&r, junk, SUP_REPAIR_STRATA_SIZE);
        for (int i = 0; i < 40; i++) {
            struct sup_repair_msg m;
            enum sup_frame_type type;
            struct sup_repair_set set;
            random_message(&r, junk, &m, &type);
            if (type == SUP_FRAME_REPAIR_ASK && sup_repair_server_ask(s, &m) != SUP_OK)
                break;
            for (int k = 0; k < 5 && sup_repair_server_next(s) != SUP_REPAIR_WAIT; k++) {
                if (sup_repair_server_next(s) == SUP_REPAIR_COPY) {
                    give_whole(&x, &set);
                    sup_repair_server_set(s, &set);
                } else if (sup_repair_server_next(s) == SUP_REPAIR_SCAN) {
                    give_shards(&x, sup_repair_server_shards(s), &set);
                    sup_repair_server_set(s, &set);
                } else {
                    assert_int_equal(sup_repair_server_message(s, &buf, &type, &m), SUP_OK);
                    assert_true(m.u.symbols.count <= SUP_REPAIR_SYMBOLS_MAX);
                }
            }
        }
        sup_repair_server_free(s);
    }
    sup_buf_fini(&buf);
    node_fini(&x);
    free(key);
}

/* --- wants --- */

static void only_news_travels(void **state)
{
    struct sup_registers have = {{{0}}};
    struct sup_register r = {.present = true, .time = 10, .encoded = SUP_SLICE_LIT("ten")};
    struct sup_register other = {.present = true, .time = 10, .encoded = SUP_SLICE_LIT("other")};
    struct sup_register absent = {0};
    struct sup_repair_want made;
    struct sup_repair_want w;
    struct sup_buf b;
    struct sup_cur c;

    (void)state;
    have.r[0] = r;
    have.r[2] = other;
    sup_repair_want_make(42, &have, &made);
    sup_buf_init(&b, 256);
    sup_repair_want_pack(&made, &b);
    assert_int_equal(b.n, 9 + 24);
    c = sup_cur_of(sup_buf_slice(&b));
    sup_repair_want_unpack(&c, &w);
    assert_int_equal(c.failed, SUP_OK);
    assert_int_equal(w.key, 42);
    assert_false(sup_repair_want_news(&w, SUP_CLASS_BOUNCE, &r));
    assert_true(sup_repair_want_news(&w, SUP_CLASS_BOUNCE, &other));
    assert_true(sup_repair_want_news(&w, SUP_CLASS_COMPLAINT, &r));
    assert_false(sup_repair_want_news(&w, SUP_CLASS_COMPLAINT, &absent));
    assert_false(sup_repair_want_news(&w, SUP_CLASS_MANUAL, &other));
    r.time = 9;
    assert_false(sup_repair_want_news(&w, SUP_CLASS_BOUNCE, &r));
    r.time = 11;
    assert_true(sup_repair_want_news(&w, SUP_CLASS_BOUNCE, &r));
    b.p[8] |= 8; /* a register that does not exist */
    c = sup_cur_of(sup_buf_slice(&b));
    sup_repair_want_unpack(&c, &w);
    assert_int_equal(c.failed, SUP_EINPUT);
    c = sup_cur_of(sup_slice_of(b.p, 8));
    sup_repair_want_unpack(&c, &w);
    assert_int_equal(c.failed, SUP_EINPUT);
    sup_buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_two_nodes_become_equal),
        cmocka_unit_test(writes_meanwhile_do_no_harm),
        cmocka_unit_test(few_differences_take_two_round_trips),
        cmocka_unit_test(a_busy_server_is_asked_again_later),
        cmocka_unit_test(hostile_servers_do_no_harm),
        cmocka_unit_test(answers_have_an_end),
        cmocka_unit_test(hostile_pullers_do_no_harm),
        cmocka_unit_test(only_news_travels),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
