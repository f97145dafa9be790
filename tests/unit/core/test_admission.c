/* Shares of the version vector. */
#include "core/admission.h"

#include "base/err.h"
#include "property.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void charges_tell_members_and_classes_apart(void **state)
{
    const uint64_t members[] = {0, 1, 4, 5, 6, 1000, UINT64_MAX - 1, UINT64_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        uint64_t own = sup_admission_charge(members[i], true);
        uint64_t other = sup_admission_charge(members[i], false);
        assert_true(own != other);
        assert_true(own != 0 && other != 0); /* 0 would be no entry */
    }
    assert_true(sup_admission_charge(8, true) != sup_admission_charge(1000, true));
}

/* However many there are, what all of them may introduce leaves this node its own. */
static void shares_never_fill_the_vector(void **state)
{
    (void)state;
    for (size_t n = 0; n <= 64; n++) {
        size_t share = sup_admission_share(n);
        assert_true(share >= 1);
        assert_true(2 * share * n <= SUP_VV_MAX - SUP_ADMISSION_OWN);
    }
    assert_int_equal(sup_admission_share(2), 96);
}

static void room_ends_with_the_share_and_with_the_vector(void **state)
{
    uint64_t own = sup_admission_charge(100, true);
    uint64_t relay = sup_admission_charge(100, false);
    struct sup_vv charges;

    (void)state;
    sup_vv_init(&charges);
    for (uint64_t i = 1; i <= 96; i++)
        assert_int_equal(sup_vv_raise(&charges, i, relay), SUP_OK);
    assert_int_equal(sup_admission_room(&charges, 96, 2, relay), 0);
    assert_int_equal(sup_admission_room(&charges, 96, 2, own), 96);
    assert_int_equal(sup_admission_room(&charges, 96, 2, sup_admission_charge(200, false)), 96);
    /* One of them goes: there is room for one. */
    sup_vv_remove(&charges, 5);
    assert_int_equal(sup_admission_room(&charges, 95, 2, relay), 1);
    /* A third node makes the shares smaller, and what is too much already stays. */
    assert_int_equal(sup_admission_room(&charges, 95, 4, relay), 0);
    assert_int_equal(sup_admission_room(&charges, SUP_VV_MAX - SUP_ADMISSION_OWN - 3, 2, own), 3);
    assert_int_equal(sup_admission_room(&charges, SUP_VV_MAX, 2, own), 0);
}

static void what_cannot_be_taken_is_not_lacking(void **state)
{
    struct sup_admission_peer p = {.present = 50, .own_room = 1, .relay_room = 2};
    struct sup_vv known;
    struct sup_vv theirs;

    (void)state;
    sup_vv_init(&known);
    sup_vv_init(&theirs);
    assert_int_equal(sup_vv_raise(&known, 10, 3), SUP_OK);
    for (uint64_t i = 10; i <= 60; i += 10)
        assert_int_equal(sup_vv_raise(&theirs, i, i), SUP_OK);
    sup_admission_filter(&p, &known, &theirs);
    /* The known one, two of others, and its own. */
    assert_int_equal(theirs.n, 4);
    assert_int_equal(sup_vv_get(&theirs, 10), 10);
    assert_int_equal(sup_vv_get(&theirs, 20), 20);
    assert_int_equal(sup_vv_get(&theirs, 30), 30);
    assert_int_equal(sup_vv_get(&theirs, 50), 50);
    p.own_room = 0;
    sup_admission_filter(&p, &known, &theirs);
    assert_int_equal(sup_vv_get(&theirs, 50), 0);
    assert_int_equal(theirs.n, 3);
}

/* Whatever is charged by whom, and in which order: nobody passes its share, and a member that
 * introduces one finds room in its own class, whatever the others did before. */
static void nobody_takes_anothers_room(void **state)
{
    struct sup_rng rng = property_rng("nobody_takes_anothers_room");

    (void)state;
    for (size_t run = 0; run < property_cases(200); run++) {
        size_t n = 1 + sup_rng_below(&rng, 64);
        size_t share = sup_admission_share(n);
        struct sup_vv charges;
        sup_vv_init(&charges);
        for (int i = 0; i < 1000; i++) {
            /* All but the last one take what they can get. */
            uint64_t member = 2 * (1 + sup_rng_below(&rng, n > 1 ? n - 1 : 1));
            uint64_t charge = sup_admission_charge(member, sup_rng_below(&rng, 2));
            size_t room = sup_admission_room(&charges, charges.n, n, charge);
            assert_true(room <= share);
            if (room > 0)
                assert_int_equal(sup_vv_raise(&charges, sup_rng_u64(&rng) | 1, charge), SUP_OK);
        }
        if (n > 1)
            assert_true(sup_admission_room(&charges, charges.n, n,
                                           sup_admission_charge(2 * n, true)) == share);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(charges_tell_members_and_classes_apart),
        cmocka_unit_test(shares_never_fill_the_vector),
        cmocka_unit_test(room_ends_with_the_share_and_with_the_vector),
        cmocka_unit_test(what_cannot_be_taken_is_not_lacking),
        cmocka_unit_test(nobody_takes_anothers_room),
    };

    return cmocka_run_group_tests(tests, property_setup, NULL);
}
