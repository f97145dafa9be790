#ifndef SUP_SERVICE_OPTIONS_H
#define SUP_SERVICE_OPTIONS_H

#include "service/archive_options.h"

#include "service/options_events.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the configuration says, as plain values with defaults filled in. agent/config.c makes it
 * from YAML; services read it. Times are milliseconds. Strings are never NULL ("" when not given)
 * and belong to whoever made the struct. */

struct sup_queue_options {
    const char *queue_url;
    unsigned receivers;
    unsigned in_hand; /* messages a receiver may have received and not yet committed */
};

struct sup_peer_options {
    const char *name;
    const char *url;
};

enum sup_ses_mode { SUP_MODE_ENFORCE, SUP_MODE_OBSERVE };
enum sup_removal_policy { SUP_REMOVAL_RESTORE, SUP_REMOVAL_PROPAGATE, SUP_REMOVAL_REPORT };

struct sup_options {
    const char *node;
    const char *region;
    const char *data_dir;

    struct {
        const char *socket;
        const char *listen; /* "" = no TCP */
        const char *tls_cert;
        const char *tls_key;
        const char *tokens_file;
    } admin;

    struct {
        const char *endpoint_url; /* "" = AWS's own */
    } aws;

    const struct sup_queue_options *queues;
    size_t n_queues;

    const struct sup_archive_options *archives;
    size_t n_archives;

    struct {
        enum sup_ses_mode mode;
        double max_rps;
        uint64_t max_calls_per_day; /* 0 = no limit */
        int64_t scan_interval_ms;
        int64_t absence_interval_ms;
        enum sup_removal_policy on_external_removal;
        double fuse_percent;
        uint64_t fuse_count;
        const char *import_bucket;
        const char *import_prefix;
        uint64_t import_threshold;
        bool manage_account_attributes; /* switch on reasons that the account lacks */
    } ses;

    struct {
        bool enabled;
        const char *cluster;
        const char *listen;
        const char *tls_ca;
        const char *tls_cert;
        const char *tls_key;
        const char *tls_crl; /* "" = none */
        int64_t tls_crl_grace_ms;
        bool insecure; /* tcp:// URLs accepted */
        int64_t max_clock_drift_ms;
        int64_t join_wait_ms; /* how long a node with nothing waits for one who has something */
        const char
            *secret_file; /* keys the hash of addresses; "" = derived from the cluster name */
        uint64_t epoch;   /* of the member set; raised with each change of it */
        int64_t absence_alarm_ms; /* a peer that is away for so long is a problem */
        uint64_t log_max_bytes;   /* kept for absent peers */
        const struct sup_peer_options *peers;
        size_t n_peers;
    } mesh;

    struct {
        bool suppress_ambiguous_complaints; /* several recipients at one provider; default no */
        bool ignore_global_list;    /* hits of SES's own global list suppress nothing; default no */
        int64_t global_list_ttl_ms; /* expiry of a global-list hit; 0 = never */
        int64_t dedup_ttl_ms;       /* how long an event is remembered; default 15 days */
        uint64_t in_hand_bytes;     /* of messages of all receivers; beyond it they wait */
    } ingest;

    struct sup_soft_options soft;
    struct sup_rate_options rates;

    struct {
        int64_t retention_ms; /* of the event log; 0 = none is kept */
        uint64_t max_bytes;
    } events;

    uint64_t cache_bytes; /* block cache of the store */

    struct {
        const char *listen; /* "" = no SNS over HTTPS */
        const char *const *topics;
        size_t n_topics;
        const char *tls_cert; /* "" = plain, for a load balancer that ends TLS */
        const char *tls_key;
        int64_t max_age_ms;      /* older messages are refused: replays */
        const char *issuers;     /* PEM file; "" = fetched when needed */
        const char *test_signer; /* "" = none; loopback only */
    } sns_http;
};

#endif
