/* What a transaction keeps of its writes, against a model: an array of the versions of all keys.
 * The conformance suite tests the same through transactions of few keys. */
#include "base/array.h"
#include "property.h"
#include "store/overlay.h"
#include "store_test.h"

#define KEYS 3000

static const enum sup_cf families[] = {SUP_CF_SOFT, SUP_CF_META, SUP_CF_RATES};
#define FAMILIES SUP_COUNT(families)

/* Each key's number of writes, negative when the last one deleted it; 0: never written. */
struct model {
    int writes[FAMILIES][KEYS];
};

struct world {
    struct sup_overlay *o;
    struct sup_rng rng;
    struct model now, mark;
    int serial;
};

static int below(struct world *w, int n)
{
    return (int)sup_rng_below(&w->rng, (uint64_t)n);
}

/* Of different lengths, and in another order than their numbers. */
static struct sup_slice key_text(int k, char out[32])
{
    snprintf(out, 32, "%x/%.*s", (unsigned)(k * 2654435761U) % 65536, k % 17, "abcdefghijklmnopq");
    snprintf(out + strlen(out), 8, "%d", k);
    return sup_slice_str(out);
}

static struct sup_slice value_text(int serial, char out[32])
{
    snprintf(out, 32, "%.*s%d", serial % 13, "zzzzzzzzzzzzz", serial);
    return sup_slice_str(out);
}

static void expect_serial(struct sup_slice got, int serial)
{
    char text[32];
    struct sup_slice want = value_text(serial, text);

    assert_int_equal(got.n, want.n);
    assert_memory_equal(got.p, want.p, want.n);
}

static void write_one(struct world *w)
{
    int f = below(w, FAMILIES), k = below(w, below(w, 2) ? KEYS : 50);
    char key[32], value[32];

    w->serial++;
    if (below(w, 4) == 0) {
        assert_int_equal(sup_overlay_delete(w->o, families[f], key_text(k, key)), SUP_OK);
        w->now.writes[f][k] = -w->serial;
        return;
    }
    assert_int_equal(
        sup_overlay_put(w->o, families[f], key_text(k, key), value_text(w->serial, value)), SUP_OK);
    w->now.writes[f][k] = w->serial;
}

static void read_one(struct world *w)
{
    int f = below(w, FAMILIES), k = below(w, KEYS);
    int serial = w->now.writes[f][k];
    struct sup_slice value;
    char key[32];

    enum sup_overlay_state s = sup_overlay_get(w->o, families[f], key_text(k, key), &value);
    assert_int_equal(s, serial == 0  ? SUP_OVERLAY_NONE
                        : serial < 0 ? SUP_OVERLAY_DELETED
                                     : SUP_OVERLAY_VALUE);
    if (serial > 0)
        expect_serial(value, serial);
    assert_int_equal(sup_overlay_get(w->o, SUP_CF_LOG, key_text(k, key), &value), SUP_OVERLAY_NONE);
}

static size_t written(const struct model *m, size_t f)
{
    size_t n = 0;

    for (size_t k = 0; k < KEYS; k++)
        n += m->writes[f][k] != 0;
    return n;
}

/* What is told of a key is what the model has; f and k out of the key's own text. */
static void expect_entry(const struct world *w, const struct sup_overlay_entry *e)
{
    size_t f = 0;
    char key[32];
    struct sup_slice at = e->key;

    while (families[f] != e->cf)
        f++;
    while (at.n > 0 && (at.p[0] != '/'))
        at = sup_slice_of(at.p + 1, at.n - 1);
    while (at.n > 0 && (at.p[0] < '0' || at.p[0] > '9'))
        at = sup_slice_of(at.p + 1, at.n - 1);
    snprintf(key, sizeof(key), "%.*s", (int)at.n, (const char *)at.p);
    int k = (int)strtol(key, NULL, 10);
    assert_true(sup_slice_eq(key_text(k, key), e->key));
    int serial = w->now.writes[f][k];
    assert_true(serial != 0);
    assert_int_equal(e->deleted, serial < 0);
    if (!e->deleted)
        expect_serial(e->value, serial);
}

static void check_all(struct world *w)
{
    struct sup_overlay_entry e;
    size_t n = 0, sum = 0;

    for (; sup_overlay_nth(w->o, n, &e); n++)
        expect_entry(w, &e);
    for (size_t f = 0; f < FAMILIES; f++)
        sum += written(&w->now, f);
    assert_int_equal(n, sum);
}

static void check_order(struct world *w)
{
    size_t f = (size_t)below(w, FAMILIES), n = 0;
    struct sup_overlay_entry e, before = {0};
    char text[32];

    assert_int_equal(sup_overlay_sort(w->o, families[f]), SUP_OK);
    for (; sup_overlay_at(w->o, families[f], n, &e); n++) {
        expect_entry(w, &e);
        assert_true(n == 0 || sup_slice_cmp(before.key, e.key) < 0);
        before = e;
    }
    assert_int_equal(n, written(&w->now, f));
    for (int i = 0; i < 5; i++) {
        struct sup_slice key = key_text(below(w, KEYS), text);
        size_t place = sup_overlay_seek(w->o, families[f], key);
        assert_true(place <= n);
        if (sup_overlay_at(w->o, families[f], place, &e))
            assert_true(sup_slice_cmp(e.key, key) >= 0);
        if (place > 0 && sup_overlay_at(w->o, families[f], place - 1, &e))
            assert_true(sup_slice_cmp(e.key, key) < 0);
    }
}

static void test_random_operations(void **state)
{
    (void)state;
    for (size_t round = 0; round < property_cases(3); round++) {
        struct world *w = calloc(1, sizeof(*w));
        assert_non_null(w);
        w->rng = property_rng("overlay");
        for (size_t i = 0; i < round; i++)
            (void)below(w, 2);
        w->o = sup_overlay_new();
        assert_non_null(w->o);
        for (int i = 0; i < 20000; i++) {
            int dice = below(w, 1000);
            if (dice < 700) {
                write_one(w);
            } else if (dice < 990) {
                read_one(w);
            } else if (dice < 993) {
                check_order(w);
            } else if (dice < 995) {
                sup_overlay_rollback(w->o);
                w->now = w->mark;
            } else {
                sup_overlay_mark(w->o);
                w->mark = w->now;
            }
        }
        check_all(w);
        check_order(w);
        sup_overlay_free(w->o);
        free(w);
    }
}

/* Without a mark everything goes, and the room is used again. */
static void test_rollback_to_nothing(void **state)
{
    struct sup_overlay *o = sup_overlay_new();
    struct sup_overlay_entry e;
    struct sup_slice value;
    char key[32];

    (void)state;
    for (int round = 0; round < 3; round++) {
        for (int k = 0; k < 1000; k++)
            assert_int_equal(sup_overlay_put(o, SUP_CF_META, key_text(k, key), SUP_SLICE_LIT("v")),
                             SUP_OK);
        assert_int_equal(sup_overlay_sort(o, SUP_CF_META), SUP_OK);
        assert_true(sup_overlay_at(o, SUP_CF_META, 999, &e));
        sup_overlay_rollback(o);
        assert_false(sup_overlay_nth(o, 0, &e));
        assert_false(sup_overlay_at(o, SUP_CF_META, 0, &e));
        assert_int_equal(sup_overlay_get(o, SUP_CF_META, key_text(7, key), &value),
                         SUP_OVERLAY_NONE);
    }
    sup_overlay_free(o);
    sup_overlay_free(NULL);
}

/* Empty keys and values, and keys that begin alike. */
static void test_edges(void **state)
{
    static const char *const keys[] = {"", "a", "aa", "ab", "b"};
    struct sup_overlay *o = sup_overlay_new();
    struct sup_overlay_entry e;
    struct sup_slice value;

    (void)state;
    for (size_t i = SUP_COUNT(keys); i-- > 0;)
        assert_int_equal(
            sup_overlay_put(o, SUP_CF_SES, sup_slice_str(keys[i]), sup_slice_of(NULL, 0)), SUP_OK);
    assert_int_equal(sup_overlay_get(o, SUP_CF_SES, sup_slice_of(NULL, 0), &value),
                     SUP_OVERLAY_VALUE);
    assert_int_equal(value.n, 0);
    assert_int_equal(sup_overlay_sort(o, SUP_CF_SES), SUP_OK);
    for (size_t i = 0; i < SUP_COUNT(keys); i++) {
        assert_true(sup_overlay_at(o, SUP_CF_SES, i, &e));
        assert_true(sup_slice_eq(e.key, sup_slice_str(keys[i])));
        assert_int_equal(sup_overlay_seek(o, SUP_CF_SES, e.key), i);
    }
    assert_int_equal(sup_overlay_seek(o, SUP_CF_SES, SUP_SLICE_LIT("ac")), 4);
    assert_int_equal(sup_overlay_seek(o, SUP_CF_SES, SUP_SLICE_LIT("c")), 5);
    assert_int_equal(sup_overlay_seek(o, SUP_CF_LOG, SUP_SLICE_LIT("a")), 0);
    assert_false(sup_overlay_at(o, SUP_CF_LOG, 0, &e));
    sup_overlay_free(o);
}

/* What does not fit changes nothing. (Nothing of the value is read.) */
static void test_full(void **state)
{
    static const uint8_t start[1];
    struct sup_overlay *o = sup_overlay_new();
    struct sup_slice value;

    (void)state;
    assert_int_equal(
        sup_overlay_put(o, SUP_CF_SES, SUP_SLICE_LIT("k"), sup_slice_of(start, SUP_TXN_MAX_BYTES)),
        SUP_ELIMIT);
    assert_int_equal(sup_overlay_get(o, SUP_CF_SES, SUP_SLICE_LIT("k"), &value), SUP_OVERLAY_NONE);
    assert_int_equal(sup_overlay_put(o, SUP_CF_SES, SUP_SLICE_LIT("k"), SUP_SLICE_LIT("v")),
                     SUP_OK);
    assert_int_equal(sup_overlay_get(o, SUP_CF_SES, SUP_SLICE_LIT("k"), &value), SUP_OVERLAY_VALUE);
    sup_overlay_free(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_operations),
        cmocka_unit_test(test_rollback_to_nothing),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_full),
    };

    return cmocka_run_group_tests(tests, property_setup, NULL);
}
