#include "agent/schema.h"

#include "agent/config.h"
#include "core/archive_folder.h"

#include <stddef.h>
#include <string.h>

#define C(field)       offsetof(struct sup_config, field)
#define O(field)       offsetof(struct sup_config, options.field)
#define QUEUE(field)   offsetof(struct sup_queue_options, field)
#define ARCHIVE(field) offsetof(struct sup_archive_options, field)
#define PEER(field)    offsetof(struct sup_peer_options, field)

#define SECOND 1000.0
#define HOUR   (3600 * SECOND)
#define DAY    (24 * HOUR)

static const char *const levels[] = {"error", "warn", "info", "debug", NULL};
static const char *const formats[] = {"text", "json", NULL};
static const char *const modes[] = {"enforce", "observe", NULL};
static const char *const escalations[] = {"off", "shadow", "enforce", NULL};
static const char *const removals[] = {"restore", "propagate", "report", NULL};

static const char what_node[] =
    "1 to 64 letters, digits, \".\", \"_\", \"/\" and \"-\", a letter or digit first";
static const char what_aws_url[] =
    "an https:// URL without user and password (http:// only to 127.0.0.1, [::1] or localhost)";
static const char what_listen[] =
    "ADDRESS:PORT with a numeric address, such as 127.0.0.1:8470 or [::1]:8470";
static const char what_bucket[] =
    "the name of an S3 bucket: 3 to 63 lower-case letters, digits, \".\" and \"-\"";
static const char what_mesh_url[] =
    "tls+tcp://HOST:PORT (tcp://HOST:PORT only with mesh.insecure: true)";

/* Enumerations stand in the order of their C enums. Sections keep together: printing relies on it.
 */
const struct sup_key sup_schema[] = {
    {"node", SUP_KEY_STRING, O(node), .check = sup_check_node, .what = what_node},
    {"region", SUP_KEY_STRING, O(region), .check = sup_check_region,
     .what = "an AWS Region such as eu-west-1"},
    {"data_dir", SUP_KEY_PATH, O(data_dir), .def = "/var/lib/supsync"},

    {"log.level", SUP_KEY_ENUM, C(log_level), .def = "info", .names = levels, .reload = true},
    {"log.format", SUP_KEY_ENUM, C(log_format), .def = "text", .names = formats, .reload = true},

    {"admin.socket", SUP_KEY_PATH, O(admin.socket), .def = "/run/supsync/admin.sock"},
    {"admin.listen", SUP_KEY_STRING, O(admin.listen), .def = "", .check = sup_check_host_port,
     .what = what_listen},
    {"admin.tls.cert", SUP_KEY_FILE, O(admin.tls_cert), .def = ""},
    {"admin.tls.key", SUP_KEY_FILE, O(admin.tls_key), .def = ""},
    {"admin.tokens_file", SUP_KEY_FILE, O(admin.tokens_file), .def = ""},

    {"aws.endpoint_url", SUP_KEY_STRING, O(aws.endpoint_url), .def = "", .check = sup_check_aws_url,
     .what = what_aws_url},

    {"sqs", SUP_KEY_MAPS, O(queues), .def = "", .elem_size = sizeof(struct sup_queue_options),
     .count_offset = O(n_queues)},
    {"sqs[].queue_url", SUP_KEY_STRING, QUEUE(queue_url), .check = sup_check_aws_url,
     .what = what_aws_url, .unique = true},
    {"sqs[].receivers", SUP_KEY_UINT, QUEUE(receivers), .def = "4", .min = 1, .max = 64},
    {"sqs[].in_hand", SUP_KEY_UINT, QUEUE(in_hand), .def = "40", .min = 10, .max = 1000},

    {"sns_http.listen", SUP_KEY_STRING, O(sns_http.listen), .def = "", .check = sup_check_host_port,
     .what = what_listen},
    {"sns_http.topics", SUP_KEY_STRINGS, O(sns_http.topics), .def = "", .check = sup_check_topic,
     .what = "topic ARNs such as arn:aws:sns:eu-west-1:123456789012:ses-events",
     .elem_size = sizeof(const char *), .count_offset = O(sns_http.n_topics)},

    {"sns_http.tls.cert", SUP_KEY_FILE, O(sns_http.tls_cert), .def = ""},
    {"sns_http.tls.key", SUP_KEY_FILE, O(sns_http.tls_key), .def = ""},
    {"sns_http.max_age", SUP_KEY_DURATION, O(sns_http.max_age_ms), .def = "2h", .min = 60 * SECOND,
     .max = 15 * DAY},
    {"sns_http.issuers", SUP_KEY_FILE, O(sns_http.issuers), .def = ""},
    {"sns_http.test_signer", SUP_KEY_STRING, O(sns_http.test_signer), .def = "",
     .check = sup_check_loopback_url,
     .what = "http://127.0.0.1:PORT of a local AWS; only for tests"},

    {"archives", SUP_KEY_MAPS, O(archives), .def = "",
     .elem_size = sizeof(struct sup_archive_options), .count_offset = O(n_archives)},
    {"archives[].bucket", SUP_KEY_STRING, ARCHIVE(bucket), .check = sup_check_bucket,
     .what = what_bucket},
    {"archives[].prefix", SUP_KEY_STRING, ARCHIVE(prefix), .def = "", .check = sup_check_key_prefix,
     .what = "what the objects' keys begin with, before the folders of time"},
    {"archives[].folders", SUP_KEY_STRING, ARCHIVE(folders), .def = "%Y/%m/%d/%H/",
     .check = sup_archive_folder_valid,
     .what = "text with %Y, %m, %d and perhaps %H, in this order, such as %Y/%m/%d/%H/"},
    {"archives[].region", SUP_KEY_STRING, ARCHIVE(region), .def = "",
     .check = sup_check_region_or_none, .what = "the bucket's AWS Region, or nothing"},
    {"archives[].interval", SUP_KEY_DURATION, ARCHIVE(interval_ms), .def = "60s", .min = SECOND,
     .max = DAY},
    {"archives[].late", SUP_KEY_DURATION, ARCHIVE(late_ms), .def = "25h", .min = HOUR,
     .max = 15 * DAY},
    {"archives[].since", SUP_KEY_DURATION, ARCHIVE(since_ms), .def = "25h", .min = 0,
     .max = 3660 * DAY},

    {"ses.mode", SUP_KEY_ENUM, O(ses.mode), .def = "enforce", .names = modes},
    {"ses.max_rps", SUP_KEY_NUMBER, O(ses.max_rps), .def = "1", .min = 0.01, .max = 1000},
    {"ses.max_calls_per_day", SUP_KEY_UINT64, O(ses.max_calls_per_day), .def = "0", .min = 0,
     .max = 1e9},
    {"ses.scan_interval", SUP_KEY_DURATION, O(ses.scan_interval_ms), .def = "6h", .min = SECOND,
     .max = 30 * DAY},
    {"ses.absence_interval", SUP_KEY_DURATION, O(ses.absence_interval_ms), .def = "10m",
     .min = SECOND, .max = 30 * DAY},
    {"ses.on_external_removal", SUP_KEY_ENUM, O(ses.on_external_removal), .def = "restore",
     .names = removals},
    {"ses.fuse.percent", SUP_KEY_NUMBER, O(ses.fuse_percent), .def = "5", .min = 0, .max = 100},
    {"ses.fuse.count", SUP_KEY_UINT64, O(ses.fuse_count), .def = "1000", .min = 0, .max = 1e9},
    {"ses.import.bucket", SUP_KEY_STRING, O(ses.import_bucket), .def = "",
     .check = sup_check_bucket, .what = what_bucket},
    {"ses.import.prefix", SUP_KEY_STRING, O(ses.import_prefix), .def = "supsync/",
     .check = sup_check_prefix,
     .what = "an S3 key prefix of safe characters that does not begin with \"/\""},
    {"ses.import.threshold", SUP_KEY_UINT64, O(ses.import_threshold), .def = "120", .min = 1,
     .max = 1e9},
    {"ses.manage_account_attributes", SUP_KEY_BOOL, O(ses.manage_account_attributes),
     .def = "false"},

    {"mesh.cluster", SUP_KEY_STRING, O(mesh.cluster), .def = "supsync", .check = sup_check_word,
     .what = "1 to 64 letters, digits, \".\", \"_\" and \"-\""},
    {"mesh.listen", SUP_KEY_STRING, O(mesh.listen), .def = "tls+tcp://0.0.0.0:8471",
     .check = sup_check_mesh_url, .what = what_mesh_url},
    {"mesh.insecure", SUP_KEY_BOOL, O(mesh.insecure), .def = "false"},
    {"mesh.tls.ca", SUP_KEY_FILE, O(mesh.tls_ca), .def = "", .reload = true},
    {"mesh.tls.cert", SUP_KEY_FILE, O(mesh.tls_cert), .def = "", .reload = true},
    {"mesh.tls.key", SUP_KEY_FILE, O(mesh.tls_key), .def = "", .reload = true},
    {"mesh.tls.crl", SUP_KEY_FILE, O(mesh.tls_crl), .def = "", .reload = true},
    {"mesh.tls.crl_grace", SUP_KEY_DURATION, O(mesh.tls_crl_grace_ms), .def = "7d", .min = 0,
     .max = 3660 * DAY, .reload = true},
    {"mesh.max_clock_drift", SUP_KEY_DURATION, O(mesh.max_clock_drift_ms), .def = "60s", .min = 500,
     .max = HOUR},
    {"mesh.join_wait", SUP_KEY_DURATION, O(mesh.join_wait_ms), .def = "30s", .min = 0, .max = HOUR},
    {"mesh.secret_file", SUP_KEY_FILE, O(mesh.secret_file), .def = ""},
    {"mesh.epoch", SUP_KEY_UINT64, O(mesh.epoch), .def = "0", .min = 0, .max = 1e15,
     .reload = true},
    {"mesh.absence_alarm", SUP_KEY_DURATION, O(mesh.absence_alarm_ms), .def = "10s", .min = 0,
     .max = 366 * DAY, .reload = true},
    {"mesh.log_max_mib", SUP_KEY_MIB, O(mesh.log_max_bytes), .def = "4096", .min = 1,
     .max = 1048576, .reload = true},
    {"mesh.peers", SUP_KEY_MAPS, O(mesh.peers), .def = "",
     .elem_size = sizeof(struct sup_peer_options), .count_offset = O(mesh.n_peers), .reload = true},
    {"mesh.peers[].name", SUP_KEY_STRING, PEER(name), .check = sup_check_node, .what = what_node,
     .unique = true},
    {"mesh.peers[].url", SUP_KEY_STRING, PEER(url), .check = sup_check_mesh_url,
     .what = what_mesh_url, .unique = true},

    {"ingest.suppress_ambiguous_complaints", SUP_KEY_BOOL, O(ingest.suppress_ambiguous_complaints),
     .def = "false"},
    {"ingest.ignore_global_list", SUP_KEY_BOOL, O(ingest.ignore_global_list), .def = "false"},
    {"ingest.global_list_ttl", SUP_KEY_DURATION, O(ingest.global_list_ttl_ms), .def = "0s",
     .min = 0, .max = 3660 * DAY},
    {"ingest.dedup_ttl", SUP_KEY_DURATION, O(ingest.dedup_ttl_ms), .def = "15d", .min = HOUR,
     .max = 366 * DAY},
    {"ingest.in_hand_mib", SUP_KEY_MIB, O(ingest.in_hand_bytes), .def = "64", .min = 1,
     .max = 65536},

    {"soft.retention", SUP_KEY_DURATION, O(soft.retention_ms), .def = "14d", .min = HOUR,
     .max = 366 * DAY},
    {"soft.escalation.mode", SUP_KEY_ENUM, O(soft.escalation), .def = "shadow",
     .names = escalations},
    {"soft.escalation.consecutive", SUP_KEY_UINT, O(soft.consecutive), .def = "5", .min = 0,
     .max = 16},
    {"soft.escalation.count", SUP_KEY_UINT, O(soft.count), .def = "3", .min = 0, .max = 16},
    {"soft.escalation.window", SUP_KEY_DURATION, O(soft.window_ms), .def = "7d", .min = HOUR,
     .max = 366 * DAY},

    {"rates.floor_bounces", SUP_KEY_UINT64, O(rates.floor_bounces), .def = "100", .min = 1,
     .max = 1e12},
    {"rates.floor_complaints", SUP_KEY_UINT64, O(rates.floor_complaints), .def = "1000", .min = 1,
     .max = 1e12},
    {"rates.leave_percent", SUP_KEY_NUMBER, O(rates.leave_percent), .def = "80", .min = 1,
     .max = 100},
    {"rates.hook", SUP_KEY_STRINGS, O(rates.hook), .def = "",
     .what = "a program and its arguments, such as [/usr/local/bin/page, oncall]",
     .elem_size = sizeof(const char *), .count_offset = O(rates.n_hook)},
    {"rates.hook_timeout", SUP_KEY_DURATION, O(rates.hook_timeout_ms), .def = "30s", .min = 100,
     .max = HOUR},

    {"events.retention", SUP_KEY_DURATION, O(events.retention_ms), .def = "0s", .min = 0,
     .max = 3660 * DAY},
    {"events.max_mib", SUP_KEY_MIB, O(events.max_bytes), .def = "1024", .min = 1, .max = 1048576},

    {"store.cache_mib", SUP_KEY_MIB, O(cache_bytes), .def = "64", .min = 1, .max = 1048576},
};
const size_t sup_schema_len = sizeof(sup_schema) / sizeof(sup_schema[0]);

const struct sup_key *sup_schema_find(const char *path)
{
    for (size_t i = 0; i < sup_schema_len; i++) {
        if (strcmp(sup_schema[i].path, path) == 0)
            return &sup_schema[i];
    }
    return NULL;
}

bool sup_schema_is_section(const char *path)
{
    size_t n = strlen(path);
    for (size_t i = 0; i < sup_schema_len; i++) {
        if (strncmp(sup_schema[i].path, path, n) == 0 && sup_schema[i].path[n] == '.')
            return true;
    }
    return false;
}
