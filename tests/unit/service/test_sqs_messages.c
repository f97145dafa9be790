/* The reply to ReceiveMessage, read without a tree. */
#include "service/sqs_messages.h"

#include "property.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct sup_json_parser *parser;

static int setup(void **state)
{
    parser = sup_json_simdjson.new_parser(SUP_SQS_REPLY_MAX);
    return parser ? property_setup(state) : -1;
}

static int teardown(void **state)
{
    (void)state;
    sup_json_simdjson.free_parser(parser);
    return 0;
}

static int read_reply(const char *text, struct sup_sqs_batch *b, struct sup_err *err)
{
    *b = (struct sup_sqs_batch){0};
    return sup_sqs_messages_read(parser, sup_slice_str(text), b, err);
}

static const char two[] =
    "{\"Messages\":[{\"MessageId\":\"i\",\"ReceiptHandle\":\"h+/=\",\"MD5OfBody\":\"x\","
    "\"Body\":\"a\\u0000b\\n\\\"\\u00e4\",\"Attributes\":{\"SentTimestamp\":\"1520621625029\","
    "\"ApproximateReceiveCount\":\"3\",\"SenderId\":\"A\"},\"MessageAttributes\":{\"x\":[1,{}]}},"
    "{\"Body\":\"\",\"MessageId\":\"j\",\"ReceiptHandle\":\"k\",\"Attributes\":null}],\"More\":[1]"
    "}";

static void test_messages(void **state)
{
    struct sup_sqs_batch b;
    struct sup_err err = {0};

    (void)state;
    assert_int_equal(read_reply(two, &b, &err), SUP_OK);
    assert_int_equal(b.n, 2);
    assert_null(b.owner);
    assert_string_equal(b.messages[0].id, "i");
    assert_string_equal(b.messages[0].receipt_handle, "h+/=");
    assert_int_equal(b.messages[0].body_n, 7);
    assert_memory_equal(b.messages[0].body, "a\0b\n\"\xc3\xa4", 7);
    assert_int_equal(b.messages[0].sent_ms, 1520621625029);
    assert_int_equal(b.messages[0].receive_count, 3);
    assert_string_equal(b.messages[1].id, "j");
    assert_int_equal(b.messages[1].body_n, 0);
    assert_int_equal(b.messages[1].sent_ms, 0);
    assert_int_equal(b.messages[1].receive_count, 0);
}

static void test_no_messages(void **state)
{
    static const char *const replies[] = {"{}", "{\"Messages\":null}", "{\"Messages\":[]}",
                                          " {\"ResponseMetadata\":{\"x\":1}} "};
    struct sup_sqs_batch b;
    struct sup_err err = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
        assert_int_equal(read_reply(replies[i], &b, &err), SUP_OK);
        assert_int_equal(b.n, 0);
    }
}

#define M "\"MessageId\":\"i\",\"ReceiptHandle\":\"h\""

static void test_odd_replies(void **state)
{
    static const char *const replies[] = {
        "",
        "[]",
        "\"x\"",
        "{\"Messages\":{}}",
        "{\"Messages\":\"\"}",
        "{\"Messages\":[1]}",
        "{\"Messages\":[{}]}",
        "{\"Messages\":[{" M "}]}",
        "{\"Messages\":[{" M ",\"Body\":1}]}",
        "{\"Messages\":[{" M ",\"Body\":null}]}",
        "{\"Messages\":[{\"MessageId\":1,\"ReceiptHandle\":\"h\",\"Body\":\"\"}]}",
        "{\"Messages\":[{\"MessageId\":\"i\",\"ReceiptHandle\":\"a\\u0000\",\"Body\":\"\"}]}",
        "{\"Messages\":[{\"MessageId\":\"i\",\"Body\":\"\"}]}",
        "{\"Messages\":[{" M ",\"Body\":\"\",\"Attributes\":[]}]}",
        "{\"Messages\":[{" M ",\"Body\":\"\",\"Attributes\":{\"SentTimestamp\":\"-1\"}}]}",
        "{\"Messages\":[{" M ",\"Body\":\"\",\"Attributes\":{\"SentTimestamp\":\"\"}}]}",
        "{\"Messages\":[{" M ",\"Body\":\"\",\"Attributes\":{\"SentTimestamp\":1}}]}",
        "{\"Messages\":[{" M ",\"Body\":\"\",\"Attributes\":{\"SentTimestamp\":"
        "\"1234567890123456789\"}}]}",
        "{\"Messages\":[{" M ",\"Body\":\"\"}]",
        "{\"Messages\":[{" M ",\"Body\":\"\"}]}x",
        "{\"Messages\":[{" M ",\"Body\":\"\\ud800\"}]}",
        "{\"Messages\":[{" M ",\"Body\":\"\xff\"}]}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
        struct sup_sqs_batch b;
        struct sup_err err = {0};
        if (read_reply(replies[i], &b, &err) != SUP_ECORRUPT || b.n != 0 || err.msg[0] == '\0')
            fail_msg("%s: %s", replies[i], err.msg);
    }
}

/* SQS never sends more than ten. */
static void test_too_many(void **state)
{
    struct sup_sqs_batch b;
    struct sup_err err = {0};
    struct sup_buf text;

    (void)state;
    sup_buf_init(&text, 65536);
    for (int n = 10; n <= 11; n++) {
        sup_buf_reset(&text);
        sup_buf_add_str(&text, "{\"Messages\":[");
        for (int i = 0; i < n; i++)
            sup_buf_addf(&text, "%s{" M ",\"Body\":\"%d\"}", i > 0 ? "," : "", i);
        sup_buf_add_str(&text, "]}");
        assert_int_equal(read_reply(sup_buf_str(&text), &b, &err), n == 10 ? SUP_OK : SUP_ECORRUPT);
        assert_int_equal(b.n, n == 10 ? 10 : 0);
    }
    sup_buf_fini(&text);
}

/* Whatever comes: an error that says why, or messages that are whole. */
static void test_damaged_replies(void **state)
{
    struct sup_rng r = property_rng("sqs messages");
    uint8_t text[sizeof(two) - 1];

    (void)state;
    for (size_t i = property_cases(20000); i > 0; i--) {
        struct sup_sqs_batch b = {0};
        struct sup_err err = {0};
        memcpy(text, two, sizeof(text));
        property_mutate(&r, text, sizeof(text));
        int rc = sup_sqs_messages_read(parser, sup_slice_of(text, sizeof(text)), &b, &err);
        if (rc != SUP_OK) {
            assert_int_equal(rc, SUP_ECORRUPT);
            assert_int_equal(b.n, 0);
            assert_true(err.msg[0] != '\0');
        }
        for (size_t k = 0; k < b.n; k++) {
            const struct sup_sqs_message *m = &b.messages[k];
            assert_non_null(m->id);
            assert_true(strlen(m->receipt_handle) < sizeof(text));
            assert_int_equal(m->body[m->body_n], '\0');
            assert_true(m->sent_ms >= 0 && m->receive_count >= 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages),        cmocka_unit_test(test_no_messages),
        cmocka_unit_test(test_odd_replies),     cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_damaged_replies),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
