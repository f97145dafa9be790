/* The configuration: every kind of mistake with its exact error text, defaults, round trip,
 * reload, and damaged files. */
#include "agent/config.h"
#include "agent/schema.h"
#include "base/array.h"
#include "property.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/supsync-config-XXXXXX";
static char path[64];

static void write_file(const char *name, const char *text, size_t n)
{
    FILE *f = fopen(name, "we");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static int load(const char *text, struct sup_config *c, struct sup_err *err)
{
    write_file(path, text, strlen(text));
    return sup_config_load(path, c, err);
}

static int setup(void **state)
{
    if (mkdtemp(dir) == NULL)
        return -1;
    snprintf(path, sizeof(path), "%s/c.yaml", dir);
    char pem[80];
    snprintf(pem, sizeof(pem), "%s/t.pem", dir);
    write_file(pem, "x", 1);
    return property_setup(state);
}

static int teardown(void **state)
{
    char pem[80];
    (void)state;
    snprintf(pem, sizeof(pem), "%s/t.pem", dir);
    unlink(pem);
    unlink(path);
    return rmdir(dir);
}

#define HEAD "node: a\nregion: eu-west-1\n"
#define TLS  "tls: { ca: t.pem, cert: t.pem, key: t.pem }"

/* error is what follows "PATH:". "*" at its end: only the beginning must agree. */
static const struct {
    const char *text;
    const char *error;
} bad[] = {
    {"", "1: the file is empty: give at least node and region"},
    {"# nothing\n", "1: the file is empty: give at least node and region"},
    {"- a\n", "1: top of the file: use KEY: VALUE lines here"},
    {"node: a\n", "1: region: is missing: give an AWS Region such as eu-west-1"},
    {"region: eu-west-1\n", "1: node: is missing: give 1 to 64 letters*"},
    {"node: 'a b'\nregion: eu-west-1\n", "1: node: \"a b\" is not allowed: use 1 to 64 letters*"},
    {"node: ''\nregion: eu-west-1\n", "1: node: \"\" is not allowed: use 1 to 64*"},
    {"node: \"a\\0b\"\nregion: eu-west-1\n", "1: node: holds a NUL character: remove it"},
    {"node: -a\nregion: eu-west-1\n", "1: node: \"-a\" is not allowed*"},
    {"node: a\nregion: Europe\n",
     "2: region: \"Europe\" is not allowed: use an AWS Region such as eu-west-1"},
    {"node: a\nregion: eu-west-\n", "2: region: \"eu-west-\" is not allowed*"},
    {"node: a\nregion: -west-1\n", "2: region: \"-west-1\" is not allowed*"},
    {"node: [a]\nregion: eu-west-1\n", "1: node: use one value, not a list or map"},
    {HEAD "nod: b\n", "3: nod: unknown key: use one of node, region, data_dir, log, admin, aws, "
                      "sqs, sns_http, archives, ses, mesh, ingest, soft, rates, events, "
                      "store"},
    {HEAD "ses:\n  mod: enforce\n", "4: ses.mod: unknown key: use one of mode, max_rps, "
                                    "max_calls_per_day, scan_interval, absence_interval, "
                                    "on_external_removal, fuse, import, manage_account_attributes"},
    {HEAD "ses:\n  fuse:\n    percents: 5\n",
     "5: ses.fuse.percents: unknown key: use one of percent, count"},
    {HEAD "ses.mode: enforce\n", "3: ses.mode: unknown key*"},
    {HEAD "sqs[]: 1\n", "3: sqs[]: unknown key*"},
    {HEAD "\"\": 1\n", "3: : unknown key*"},
    {HEAD "\"a\\nb\": 1\n", "3: a?b: unknown key*"},
    {HEAD "? [a, b]\n: 1\n", "3: top: a key is not plain text: use KEY: VALUE lines"},
    {HEAD "<<: {node: b}\n", "3: <<: unknown key*"},
    {HEAD "node: b\n", "3: node: given twice (first in line 1): keep one"},
    {HEAD "log: {level: info}\nlog: {format: json}\n",
     "4: log: given twice (first in line 3): keep one"},
    {HEAD "ses:\n  mode: observe\n  mode: enforce\n",
     "5: ses.mode: given twice (first in line 4): keep one"},
    {HEAD "ses:\n  mode: foo\n", "4: ses.mode: \"foo\" is not allowed: use enforce or observe"},
    {HEAD "ses: { on_external_removal: drop }\n",
     "3: ses.on_external_removal: \"drop\" is not allowed: use restore, propagate or report"},
    {HEAD "ses: 5\n", "3: ses: use KEY: VALUE lines here"},
    {HEAD "log: { level: loud }\n",
     "3: log.level: \"loud\" is not allowed: use error, warn, info or debug"},
    {HEAD "ses: { max_rps: 0 }\n",
     "3: ses.max_rps: \"0\" is not allowed: use a number from 0.01 to 1000"},
    {HEAD "ses: { max_rps: 1001 }\n", "3: ses.max_rps: \"1001\" is not allowed*"},
    {HEAD "ses: { max_rps: -1 }\n", "3: ses.max_rps: \"-1\" is not allowed*"},
    {HEAD "ses: { max_rps: 1e2 }\n", "3: ses.max_rps: \"1e2\" is not allowed*"},
    {HEAD "ses: { max_rps: .nan }\n", "3: ses.max_rps: \".nan\" is not allowed*"},
    {HEAD "ses: { max_rps: 1.2.3 }\n", "3: ses.max_rps: \"1.2.3\" is not allowed*"},
    {HEAD "ses: { scan_interval: 6 hours }\n", "3: ses.scan_interval: \"6 hours\" is not allowed: "
                                               "use a duration from 1s to 30d, such as 90s, "
                                               "10m or 6h"},
    {HEAD "ses: { scan_interval: 31d }\n", "3: ses.scan_interval: \"31d\" is not allowed*"},
    {HEAD "ses: { scan_interval: 10ms }\n", "3: ses.scan_interval: \"10ms\" is not allowed*"},
    {HEAD "ses: { fuse: { percent: 101 } }\n",
     "3: ses.fuse.percent: \"101\" is not allowed: use a number from 0 to 100"},
    {HEAD "ses: { fuse: { count: 1.5 } }\n",
     "3: ses.fuse.count: \"1.5\" is not allowed: use a whole number from 0 to 1000000000"},
    {HEAD "ses: { fuse: { count: 18446744073709551616 } }\n", "3: ses.fuse.count: *"},
    {HEAD "ses: { import: { bucket: My_Bucket } }\n",
     "3: ses.import.bucket: \"My_Bucket\" is not allowed: use the name of an S3 bucket*"},
    {HEAD "ses: { import: { prefix: /x } }\n", "3: ses.import.prefix: \"/x\" is not allowed*"},
    {HEAD "sqs: https://sqs.eu-west-1.amazonaws.com/1/q\n",
     "3: sqs: use a list, such as [] or - …"},
    {HEAD "sqs:\n  - receivers: 4\n", "4: sqs[].queue_url: is missing: give an https:// URL*"},
    {HEAD "sqs: [ { queue_url: \"http://sqs.example.com/1/q\" } ]\n",
     "3: sqs[].queue_url: \"http://sqs.example.com/1/q\" is not allowed: use an https:// URL "
     "without user and password (http:// only to 127.0.0.1, [::1] or localhost)"},
    {HEAD "sqs: [ { queue_url: \"http://localhost.example.com/q\" } ]\n", "3: sqs[].queue_url: *"},
    {HEAD "sqs: [ { queue_url: \"http://127.0.0.1.example.com/q\" } ]\n", "3: sqs[].queue_url: *"},
    {HEAD "sqs: [ { queue_url: \"https://u:geheim@h/q\" } ]\n",
     "3: sqs[].queue_url: \"URL with a user name\" is not allowed*"},
    {HEAD "sqs: [ { queue_url: \"https://a/q\", receivers: 65 } ]\n",
     "3: sqs[].receivers: \"65\" is not allowed: use a whole number from 1 to 64"},
    {HEAD "sqs: [ { queue_url: \"https://a/q\", receivers: 0 } ]\n", "3: sqs[].receivers: \"0\"*"},
    {HEAD "sqs:\n  - queue_url: https://a/q\n    recievers: 4\n",
     "5: sqs[].recievers: unknown key: use one of queue_url, receivers, in_hand"},
    {HEAD "sqs:\n  - queue_url: https://a/q\n  - queue_url: https://a/q\n",
     "5: sqs[].queue_url: \"https://a/q\" stands in the list twice: keep one"},
    {HEAD "sqs: [ https://a/q ]\n", "3: sqs[]: use KEY: VALUE lines here"},
    {HEAD "aws: { endpoint_url: \"http://10.0.0.1:9400\" }\n", "3: aws.endpoint_url: *"},
    {HEAD "aws: { endpoint_url: \"ftp://127.0.0.1\" }\n", "3: aws.endpoint_url: *"},
    {HEAD "aws: { endpoint_url: \"https://a:99999\" }\n", "3: aws.endpoint_url: *"},
    {HEAD "aws: { endpoint_url: \"https://[::zz]\" }\n", "3: aws.endpoint_url: *"},
    {HEAD "admin: { listen: 8470 }\n",
     "3: admin.listen: \"8470\" is not allowed: use ADDRESS:PORT*"},
    {HEAD "admin: { listen: \"www.example.com:80\" }\n", "3: admin.listen: *"},
    {HEAD "admin:\n  listen: 0.0.0.0:8470\n",
     "4: admin.listen: \"0.0.0.0:8470\" can be reached from other machines but admin.tls is "
     "missing: give admin.tls and admin.tokens_file, or listen on 127.0.0.1"},
    {HEAD "admin:\n  tls: { cert: t.pem, key: t.pem }\n  listen: \"[::]:1\"\n",
     "5: admin.listen: \"[::]:1\" can be reached from other machines but admin.tokens_file is*"},
    {HEAD "admin: { tls: { cert: t.pem } }\n",
     "3: admin.tls.cert: needs admin.tls.key beside it: give both"},
    {HEAD "admin: { tls: { key: none.pem } }\n",
     "3: admin.tls.key: \"DIR/none.pem\" cannot be read: No such file or directory: make the file "
     "or correct its name"},
    {HEAD "admin: { socket: /"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxxxxxxxxxxxxx }\n",
     "3: admin.socket: longer than 107 bytes: use a shorter path"},
    {HEAD "sns_http: { topics: [ nonsense ] }\n",
     "3: sns_http.topics: \"nonsense\" is not allowed: use topic ARNs such as*"},
    {HEAD "sns_http: { topics: [ [ a ] ] }\n", "3: sns_http.topics: use a list of topic ARNs*"},
    {HEAD "sns_http: { topics: [ \"arn:aws:sns:eu-west-1:123456789012:t\" ] }\n",
     "3: sns_http.topics: needs sns_http.listen beside it: give both"},
    {HEAD "sns_http: { listen: \"0.0.0.0:8472\" }\n",
     "3: sns_http.listen: needs sns_http.topics beside it: name the topics to trust"},
    {HEAD "mesh:\n  peers: []\n",
     "1: mesh.tls.ca: is missing: give the file, as tls+tcp:// needs a CA, a certificate and its "
     "key"},
    {HEAD "mesh:\n  tls: { ca: t.pem, cert: t.pem }\n", "1: mesh.tls.key: is missing*"},
    {HEAD "mesh:\n  listen: tcp://127.0.0.1:8471\n",
     "4: mesh.listen: \"tcp://127.0.0.1:8471\" is not encrypted: use tls+tcp://, or set "
     "mesh.insecure: true on a network of which you trust every machine"},
    {HEAD "mesh:\n  listen: udp://127.0.0.1:8471\n",
     "4: mesh.listen: \"udp://127.0.0.1:8471\" is not allowed: use tls+tcp://HOST:PORT*"},
    {HEAD "mesh: { listen: \"tls+tcp://0.0.0.0\" }\n", "3: mesh.listen: *"},
    {HEAD "mesh: { listen: \"tls+tcp://0.0.0.0:0\" }\n", "3: mesh.listen: *"},
    {HEAD "mesh: { listen: \"tls+tcp://0.0.0.0:1/x\" }\n", "3: mesh.listen: *"},
    {HEAD "mesh: { epoch: -1 }\n", "3: mesh.epoch: *"},
    {HEAD "mesh: { log_max_mib: 0 }\n", "3: mesh.log_max_mib: *"},
    {HEAD "mesh: { absence_alarm: soon }\n", "3: mesh.absence_alarm: *"},
    {HEAD "mesh: { insecure: yes }\n",
     "3: mesh.insecure: \"yes\" is not allowed: use true or false"},
    {HEAD "mesh:\n  " TLS "\n  peers:\n    - name: b\n      url: tls+tcp://h:1\n"
          "    - name: b\n      url: tls+tcp://i:1\n",
     "8: mesh.peers[].name: \"b\" stands in the list twice: keep one"},
    {HEAD "mesh:\n  " TLS "\n  peers:\n    - { name: b, url: \"tls+tcp://h:1\" }\n"
          "    - { name: c, url: \"tls+tcp://h:1\" }\n",
     "7: mesh.peers[].url: \"tls+tcp://h:1\" stands in the list twice: keep one"},
    {"mesh:\n  " TLS "\n  peers:\n    - { name: c, url: \"tls+tcp://h:1\" }\n"
     "    - { name: a, url: \"tls+tcp://g:1\" }\n" HEAD,
     "5: mesh.peers[].name: \"a\" is this node itself: list the other nodes only"},
    {HEAD "mesh:\n  " TLS "\n  peers:\n    - { name: c, url: \"tcp://h:1\" }\n",
     "6: mesh.peers[].url: \"tcp://h:1\" is not encrypted*"},
    {HEAD "mesh: { max_clock_drift: 1ms }\n", "3: mesh.max_clock_drift: \"1ms\" is not allowed*"},
    {HEAD "mesh: { cluster: \"a/b\" }\n", "3: mesh.cluster: \"a/b\" is not allowed*"},
    {HEAD "store: { cache_mib: 0 }\n", "3: store.cache_mib: \"0\" is not allowed*"},
    {HEAD "log: { level: \"in\n", "4: not valid YAML: *"},
    {HEAD "\tx: 1\n", "3: not valid YAML: *"},
    {HEAD "log: *nowhere\n", "3: not valid YAML: *"},
    {HEAD "---\nnode: b\n", "*"},
    {HEAD "data_dir: \"a\\u0007\"\n", "3: data_dir: \"a?\" is not allowed: use up to 2048*"},
};

static void check_error(const char *text, const char *want, const char *got)
{
    struct sup_buf b;
    sup_buf_init(&b, 4096);
    sup_buf_addf(&b, "%s:", path);
    for (const char *p = want; *p != '\0'; p++) {
        if (strncmp(p, "DIR", 3) == 0) {
            sup_buf_add_str(&b, dir);
            p += 2;
        } else {
            sup_buf_add_byte(&b, (uint8_t)*p);
        }
    }
    const char *full = sup_buf_str(&b);
    size_t n = strlen(full);
    bool open = full[n - 1] == '*';
    if (open ? strncmp(full, got, n - 1) != 0 : strcmp(full, got) != 0)
        fail_msg("for\n%s\nwanted: %s\ngot:    %s", text, full, got);
    sup_buf_fini(&b);
}

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < SUP_COUNT(bad); i++) {
        struct sup_config c;
        struct sup_err err = {0};
        int rc = load(bad[i].text, &c, &err);
        if (rc != SUP_EINPUT)
            fail_msg("accepted (or %d):\n%s\n%s", rc, bad[i].text, err.msg);
        check_error(bad[i].text, bad[i].error, err.msg);
        assert_null(c.texts);
        assert_null(strstr(err.msg, "geheim"));
    }
    print_message("%zu bad configurations\n", SUP_COUNT(bad));
}

static void test_not_a_file(void **state)
{
    struct sup_config c;
    struct sup_err err;
    (void)state;
    assert_int_equal(sup_config_load("/nonexistent/c.yaml", &c, &err), SUP_EIO);
    assert_string_equal(err.msg, "/nonexistent/c.yaml: cannot be read: No such file or directory");
    assert_int_equal(sup_config_load(dir, &c, &err), SUP_EIO);
    char *big = malloc(2 * 1024 * 1024);
    assert_non_null(big);
    memset(big, '#', 2 * 1024 * 1024);
    write_file(path, big, 2 * 1024 * 1024);
    free(big);
    assert_int_equal(sup_config_load(path, &c, &err), SUP_EINPUT);
    assert_non_null(strstr(err.msg, "larger than 1 MiB"));
}

static void test_defaults(void **state)
{
    struct sup_config c;
    struct sup_err err;
    (void)state;
    assert_int_equal(load(HEAD, &c, &err), SUP_OK);
    const struct sup_options *o = &c.options;
    assert_string_equal(o->node, "a");
    assert_string_equal(o->region, "eu-west-1");
    assert_string_equal(o->data_dir, "/var/lib/supsync");
    assert_string_equal(o->admin.socket, "/run/supsync/admin.sock");
    assert_string_equal(o->admin.listen, "");
    assert_string_equal(o->admin.tokens_file, "");
    assert_string_equal(o->aws.endpoint_url, "");
    assert_int_equal(o->n_queues, 0);
    assert_int_equal(o->ses.mode, SUP_MODE_ENFORCE);
    assert_true(o->ses.max_rps > 0.999 && o->ses.max_rps < 1.001);
    assert_int_equal(o->ses.scan_interval_ms, 6 * 3600 * 1000);
    assert_int_equal(o->ses.absence_interval_ms, 600 * 1000);
    assert_int_equal(o->ses.on_external_removal, SUP_REMOVAL_RESTORE);
    assert_int_equal(o->ses.fuse_count, 1000);
    assert_int_equal(o->ses.import_threshold, 120);
    assert_string_equal(o->ses.import_prefix, "supsync/");
    assert_false(o->mesh.enabled);
    assert_int_equal(o->mesh.n_peers, 0);
    assert_int_equal(o->mesh.max_clock_drift_ms, 60000);
    assert_int_equal(o->ingest.dedup_ttl_ms, 15LL * 86400 * 1000);
    assert_int_equal(o->ingest.global_list_ttl_ms, 0);
    assert_false(o->ingest.suppress_ambiguous_complaints);
    assert_false(o->ingest.ignore_global_list);
    assert_int_equal(o->cache_bytes, 64 * 1024 * 1024);
    assert_int_equal(c.log_level, SUP_LOG_INFO);
    assert_int_equal(c.log_format, SUP_LOG_TEXT);
    sup_config_fini(&c);
    sup_config_fini(&c); /* harmless */
}

static const char full[] =
    "node: eu-west-1/b\nregion: us-gov-west-1\ndata_dir: data\nlog: { level: debug, format: json "
    "}\n"
    "admin: { socket: /s, listen: \"0.0.0.0:1\", tls: { cert: t.pem, key: ./t.pem }, tokens_file: "
    "t.pem }\n"
    "aws: { endpoint_url: \"http://[::1]:9400\" }\n"
    "sqs:\n- { queue_url: \"https://a/q\", receivers: 64 }\n- queue_url: http://127.0.0.2/q\n"
    "sns_http: { listen: \"0.0.0.0:8472\", topics: [ "
    "\"arn:aws-us-gov:sns:us-gov-west-1:123456789012:ses\" ] }\n"
    "archives: [ { bucket: my-archive, prefix: \"a b/\", folders: \"y=%Y/%m/%d/\", interval: 5m } "
    "]\n"
    "ses: { mode: observe, max_rps: 200.5, scan_interval: 90m, absence_interval: 1500ms, "
    "on_external_removal: report, fuse: { percent: 2.5, count: 7 }, import: { bucket: my-bucket, "
    "prefix: a/, threshold: 1 } }\n"
    "mesh: { cluster: prod, listen: \"tls+tcp://0.0.0.0:8471\", tls: { ca: t.pem, cert: t.pem, "
    "key: "
    "t.pem }, max_clock_drift: 2m, insecure: true, secret_file: t.pem, peers: [ { name: us-east-1, "
    "url: \"tcp://10.1.0.5:8471\" }, { name: c, url: \"tls+tcp://[fd00::1]:8471\" } ] }\n"
    "ingest: { suppress_ambiguous_complaints: true, ignore_global_list: true, global_list_ttl: "
    "14d, "
    "dedup_ttl: 30d }\n"
    "store: { cache_mib: 128 }\n";

static void test_full(void **state)
{
    struct sup_config c;
    struct sup_err err;
    char pem[80];
    (void)state;
    snprintf(pem, sizeof(pem), "%s/t.pem", dir);
    if (load(full, &c, &err) != SUP_OK)
        fail_msg("%s", err.msg);
    const struct sup_options *o = &c.options;
    assert_string_equal(o->node, "eu-west-1/b");
    assert_int_equal(strncmp(o->data_dir, dir, strlen(dir)), 0);
    assert_string_equal(o->admin.tls_cert, pem);
    assert_string_equal(o->admin.tokens_file, pem);
    assert_int_equal(o->n_queues, 2);
    assert_int_equal(o->queues[0].receivers, 64);
    assert_int_equal(o->queues[1].receivers, 4);
    assert_string_equal(o->queues[1].queue_url, "http://127.0.0.2/q");
    assert_int_equal(o->sns_http.n_topics, 1);
    assert_int_equal(o->n_archives, 1);
    assert_string_equal(o->archives[0].bucket, "my-archive");
    assert_string_equal(o->archives[0].prefix, "a b/");
    assert_string_equal(o->archives[0].folders, "y=%Y/%m/%d/");
    assert_string_equal(o->archives[0].region, "");
    assert_true(o->archives[0].interval_ms == 300000 && o->archives[0].late_ms == 90000000 &&
                o->archives[0].since_ms == 90000000);
    assert_int_equal(o->ses.mode, SUP_MODE_OBSERVE);
    assert_int_equal(o->ses.scan_interval_ms, 90 * 60000);
    assert_int_equal(o->ses.absence_interval_ms, 1500);
    assert_int_equal(o->ses.on_external_removal, SUP_REMOVAL_REPORT);
    assert_true(o->mesh.enabled && o->mesh.insecure);
    assert_int_equal(o->mesh.n_peers, 2);
    assert_string_equal(o->mesh.peers[1].url, "tls+tcp://[fd00::1]:8471");
    assert_string_equal(o->mesh.secret_file, pem);
    assert_true(o->ingest.suppress_ambiguous_complaints);
    assert_true(o->ingest.ignore_global_list);
    assert_int_equal(o->cache_bytes, 128 * 1024 * 1024);
    sup_config_fini(&c);
}

/* What is printed reads back and prints the same. */
static void round_trip(const char *text)
{
    struct sup_config a, b;
    struct sup_err err;
    struct sup_buf one, two, keys;
    sup_buf_init(&one, 65536);
    sup_buf_init(&two, 65536);
    sup_buf_init(&keys, 4096);
    if (load(text, &a, &err) != SUP_OK)
        fail_msg("%s", err.msg);
    sup_config_print(&a, &one);
    if (load(sup_buf_str(&one), &b, &err) != SUP_OK)
        fail_msg("%s\n%s", err.msg, sup_buf_str(&one));
    sup_config_print(&b, &two);
    assert_string_equal(sup_buf_str(&one), sup_buf_str(&two));
    sup_config_restart_keys(&a, &b, &keys);
    assert_string_equal(sup_buf_str(&keys), "");
    sup_config_fini(&a);
    sup_config_fini(&b);
    sup_buf_fini(&one);
    sup_buf_fini(&two);
    sup_buf_fini(&keys);
}

static void test_print(void **state)
{
    (void)state;
    round_trip(HEAD);
    round_trip(full);
    round_trip(HEAD "data_dir: \"/a \\\"b\\\" \\\\ é # : -\"\nmesh: { insecure: true, listen: "
                    "\"tcp://127.0.0.1:1\", peers: [] }\n");
}

/* Missing sections, null values and empty lists are all the same as nothing. */
static void test_nothing(void **state)
{
    static const char *const texts[] = {
        HEAD "sqs:\nses:\nlog: ~\naws: null\n",
        HEAD "sqs: []\nses: {}\n",
        HEAD "ses: { mode: }\nadmin: { listen: \"\", tls: { cert: '' } }\n",
        "%YAML 1.1\n---\n" HEAD "...\n",
        "&x node: a\nregion: &r eu-west-1\n",
        "\xef\xbb\xbfnode: a\nregion: eu-west-1\n",
    };
    (void)state;
    for (size_t i = 0; i < SUP_COUNT(texts); i++) {
        struct sup_config c;
        struct sup_err err;
        if (load(texts[i], &c, &err) != SUP_OK)
            fail_msg("%zu: %s", i, err.msg);
        assert_int_equal(c.options.n_queues, 0);
        assert_false(c.options.mesh.enabled);
        sup_config_fini(&c);
    }
}

static void test_restart_keys(void **state)
{
    struct sup_config a, b;
    struct sup_err err;
    struct sup_buf keys;
    (void)state;
    sup_buf_init(&keys, 4096);
    assert_int_equal(load(HEAD, &a, &err), SUP_OK);
    assert_int_equal(load(HEAD "log: { level: debug, format: json }\n", &b, &err), SUP_OK);
    sup_config_restart_keys(&a, &b, &keys);
    assert_string_equal(sup_buf_str(&keys), "");
    sup_config_fini(&b);
    assert_int_equal(load("node: b\nregion: eu-west-1\nses: { max_rps: 2 }\n"
                          "sqs: [ { queue_url: \"https://a/q\" } ]\n",
                          &b, &err),
                     SUP_OK);
    sup_config_restart_keys(&a, &b, &keys);
    assert_string_equal(sup_buf_str(&keys), "node, sqs, ses.max_rps");
    sup_config_fini(&a);
    sup_config_fini(&b);
    sup_buf_fini(&keys);
}

/* Every key of the table is taken and printed; its default passes its own check. */
static void test_table(void **state)
{
    struct sup_config c;
    struct sup_err err;
    struct sup_buf out;
    (void)state;
    sup_buf_init(&out, 65536);
    assert_int_equal(load(full, &c, &err), SUP_OK);
    sup_config_print(&c, &out);
    for (size_t i = 0; i < sup_schema_len; i++) {
        const struct sup_key *k = &sup_schema[i];
        const char *dot = strrchr(k->path, '.');
        char name[64];
        snprintf(name, sizeof(name), "%s:", dot != NULL ? dot + 1 : k->path);
        if (strstr(sup_buf_str(&out), name) == NULL)
            fail_msg("%s is not printed", k->path);
        assert_ptr_equal(sup_schema_find(k->path), k);
        assert_false(sup_schema_is_section(k->path));
    }
    sup_config_fini(&c);
    sup_buf_fini(&out);
}

/* Damaged and nested files give an error or a configuration, never more than that. */
static void test_damaged(void **state)
{
    struct sup_rng r = property_rng("config damage");
    size_t accepted = 0, n = property_cases(3000);
    (void)state;
    for (size_t i = 0; i < n; i++) {
        struct sup_config c;
        struct sup_err err;
        uint8_t text[sizeof(full)];
        memcpy(text, full, sizeof(full));
        property_mutate(&r, text, sizeof(full) - 1);
        write_file(path, (const char *)text, sizeof(full) - 1);
        int rc = sup_config_load(path, &c, &err);
        accepted += rc == SUP_OK;
        if (rc == SUP_OK)
            assert_non_null(c.options.node);
        else
            assert_int_equal(strncmp(err.msg, path, strlen(path)), 0);
        sup_config_fini(&c);
    }
    print_message("%zu damaged files, %zu still fine\n", n, accepted);
}

static void test_deep(void **state)
{
    struct sup_config c;
    struct sup_err err;
    struct sup_buf b;
    (void)state;
    sup_buf_init(&b, 1024 * 1024);
    sup_buf_add_str(&b, HEAD "log: ");
    for (size_t i = 0; i < 20000; i++) /* libyaml takes time by the square of it */
        sup_buf_add_byte(&b, '[');
    assert_int_equal(load(sup_buf_str(&b), &c, &err), SUP_EINPUT);
    /* The billion laughs: aliases are not expanded. */
    sup_buf_reset(&b);
    sup_buf_add_str(&b, "a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
    for (int i = 1; i < 30; i++)
        sup_buf_addf(&b, "a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i, i, i - 1,
                     i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    assert_int_equal(load(sup_buf_str(&b), &c, &err), SUP_EINPUT);
    assert_int_equal(load(HEAD "ses: &s\n  fuse: *s\n", &c, &err), SUP_EINPUT);
    sup_buf_fini(&b);
}

static void test_checks(void **state)
{
    (void)state;
    assert_true(sup_is_loopback("127.0.0.1:80") && sup_is_loopback("[::1]:80"));
    assert_true(sup_is_loopback("localhost:1") && sup_is_loopback("127.255.0.9:0"));
    assert_false(sup_is_loopback("0.0.0.0:80") || sup_is_loopback("[::]:80"));
    assert_false(sup_is_loopback("128.0.0.1:80") || sup_is_loopback("localhost.:80"));
    assert_true(sup_check_region("eu-west-1") && sup_check_region("us-gov-east-1"));
    assert_true(sup_check_region("eu-isoe-west-1") && sup_check_region("ap-southeast-10"));
    assert_false(sup_check_region("eu-1") || sup_check_region("eu-west") || sup_check_region(""));
    assert_false(sup_check_region("EU-west-1") || sup_check_region("eu--1"));
    assert_true(sup_check_aws_url("https://sqs.eu-west-1.amazonaws.com/123456789012/q"));
    assert_true(sup_check_aws_url("http://127.0.0.1:9400") && sup_check_aws_url("https://h:1/"));
    assert_false(sup_check_aws_url("https://") || sup_check_aws_url("https://h h/"));
    assert_false(sup_check_aws_url("https://h:/") || sup_check_aws_url("https://h:1x/"));
    assert_false(sup_check_aws_url("https://h\\@e/") || sup_check_aws_url("http://127.0.0.1@e/"));
    assert_true(sup_check_mesh_url("tls+tcp://a.example:1") &&
                sup_check_mesh_url("tcp://1.2.3.4:5"));
    assert_false(sup_check_mesh_url("tls+tcp://a") || sup_check_mesh_url("tls+tcp://:1"));
    assert_true(sup_check_bucket("abc") && !sup_check_bucket("ab") && !sup_check_bucket("-abc"));
    assert_true(sup_check_prefix("") && sup_check_prefix("a/b/") && !sup_check_prefix("/a"));
    assert_true(sup_check_topic("arn:aws:sns:eu-west-1:123456789012:ses-events"));
    assert_false(sup_check_topic("arn:aws:sqs:eu-west-1:123456789012:ses-events"));
    assert_false(sup_check_topic("arn:aws:sns:eu-west-1:123456789012:"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad),      cmocka_unit_test(test_not_a_file),
        cmocka_unit_test(test_defaults), cmocka_unit_test(test_full),
        cmocka_unit_test(test_print),    cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_table),    cmocka_unit_test(test_restart_keys),
        cmocka_unit_test(test_damaged),  cmocka_unit_test(test_deep),
        cmocka_unit_test(test_checks),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
