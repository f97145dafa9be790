#include "options.h"

#include "text.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: supsync-sim [options]\n"
    "\n"
    "A local AWS for tests, in memory: SES v2 (suppression list, import jobs, SendEmail), SQS, "
    "SNS,\n"
    "S3 and STS on one port. Region and service come from the signature's credential scope.\n"
    "\n"
    "  --listen ADDRESS:PORT      default 127.0.0.1:9400; port 0 takes a free one. The first line "
    "on\n"
    "                             stdout tells: supsync-sim: listening on ADDRESS:PORT\n"
    "  --regions A,B,…            default eu-west-1,us-east-1,ap-northeast-1\n"
    "  --rps N                    calls a second of each SES operation but SendEmail, per Region;\n"
    "                             more get 429; 0 (default): no limit\n"
    "  --verify-signatures        refuse requests whose SigV4 signature is wrong; key pairs:\n"
    "                             AKIDEXAMPLE/wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY, "
    "test/test,\n"
    "                             and those that STS gives out\n"
    "  --access-key K --secret-key S   one more key pair\n"
    "  --seed N                   ids come from this seed; default: a different one each start\n"
    "  --threads N                of the HTTP server, default 2\n"
    "  --visibility-timeout S     of the queue ses-events, default 30\n"
    "  --list-lag MS              ListSuppressedDestinations shows the list as it was then\n"
    "  --import-delay MS          from CreateImportJob to the work, default 500\n"
    "  --token-ttl S              life of a NextToken, default 86400; 0: for ever\n"
    "  --sts-lifetime S           life of temporary credentials, whatever is asked for\n"
    "  --sns-signature 1|2|off    SignatureVersion of SNS envelopes, default 1 as AWS\n"
    "\n"
    "In every Region there are the queue ses-events, its dead-letter queue ses-events-dlq (after "
    "5\n"
    "receives), the topic ses-events that SES publishes to, and the bucket supsync-REGION.\n"
    "\n"
    "SendEmail: mailboxes at simulator.amazonses.com as documented by AWS; elsewhere a local part\n"
    "beginning with bounce, complaint, soft or ooto has that outcome; what is on the suppression\n"
    "list gets the OnAccountSuppressionList echo; the rest is delivered. Every outcome is "
    "published\n"
    "to the topic ses-events. STS refuses the web identity tokens \"invalid\" and \"expired\".\n"
    "\n"
    "Control, never signed, JSON:\n"
    "  GET|PUT|DELETE /_sim/REGION/suppression    whole list; seed it from a list; empty it\n"
    "  GET|DELETE /_sim/REGION/calls[?detail=1]   calls by operation; reset\n"
    "  GET|POST|DELETE /_sim/REGION/faults        "
    "[{\"operation\":NAME|\"*\",\"count\":N,\"status\":500,\n"
    "                     "
    "\"code\":\"…\",\"throttle\":true,\"reset\":true,\"delay_ms\":N,\"truncate\":true,\n"
    "                     \"invalid_json\":true,\"body\":\"…\",\"after\":true}]\n"
    "                     after: status, reset and delay_ms come when it took effect\n"
    "  POST /_sim/REGION/clock                    {\"offset_ms\":N}\n"
    "  POST /_sim/REGION/rate                     {\"rps\":N}\n"
    "  PUT  /_sim/REGION/account                  {\"ProductionAccessEnabled\":false, …}\n"
    "  PUT  /_sim/REGION/refusals                 {\"rows\":[…],\"puts\":[…]}: spellings refused "
    "as\n"
    "                             rows of import jobs, and by PutSuppressedDestination\n"
    "  POST /_sim/REGION/expire-tokens            every NextToken given out is refused from now "
    "on\n"
    "  POST /_sim/REGION/events[?queue=NAME][?envelope=1]   [\"BODY\",…] into the queue\n"
    "  GET  /_sim/REGION/queues                   visible, in_flight, deleted, …\n"
    "  GET  /_sim/REGION/sends                    sends, delivered, blocked, bounced, complained\n";

enum {
    OPT_LISTEN = 1,
    OPT_REGIONS,
    OPT_RPS,
    OPT_VERIFY,
    OPT_SEED,
    OPT_THREADS,
    OPT_VISIBILITY,
    OPT_LAG,
    OPT_IMPORT_DELAY,
    OPT_TOKEN_TTL,
    OPT_STS,
    OPT_SNS,
    OPT_ACCESS,
    OPT_SECRET,
    OPT_HELP
};

static const struct option longs[] = {
    {"listen", required_argument, NULL, OPT_LISTEN},
    {"regions", required_argument, NULL, OPT_REGIONS},
    {"rps", required_argument, NULL, OPT_RPS},
    {"verify-signatures", no_argument, NULL, OPT_VERIFY},
    {"seed", required_argument, NULL, OPT_SEED},
    {"threads", required_argument, NULL, OPT_THREADS},
    {"visibility-timeout", required_argument, NULL, OPT_VISIBILITY},
    {"list-lag", required_argument, NULL, OPT_LAG},
    {"import-delay", required_argument, NULL, OPT_IMPORT_DELAY},
    {"token-ttl", required_argument, NULL, OPT_TOKEN_TTL},
    {"sts-lifetime", required_argument, NULL, OPT_STS},
    {"sns-signature", required_argument, NULL, OPT_SNS},
    {"access-key", required_argument, NULL, OPT_ACCESS},
    {"secret-key", required_argument, NULL, OPT_SECRET},
    {"help", no_argument, NULL, OPT_HELP},
    {0},
};

static bool number(const char *text, int64_t least, int64_t most, int64_t *out)
{
    return sim_parse_i64(text, out) && *out >= least && *out <= most;
}

static void replace(char **field, const char *text)
{
    free(*field);
    *field = sim_strdup(text);
}

static bool set_listen(struct sim_options *o, const char *text)
{
    const char *colon = strrchr(text, ':');
    int64_t port;
    if (!colon || !number(colon + 1, 0, 65535, &port))
        return false;
    free(o->address);
    o->address = sim_strndup(text, (size_t)(colon - text));
    o->port = (uint16_t)port;
    return true;
}

static void drop_regions(struct sim_options *o)
{
    for (unsigned i = 0; i < o->n_regions; i++)
        free(o->regions[i]);
    o->n_regions = 0;
}

static bool set_regions(struct sim_options *o, const char *text)
{
    drop_regions(o);
    while (*text) {
        size_t n = strcspn(text, ",");
        if (!n || n > 63 || o->n_regions == SIM_REGIONS_MAX)
            return false;
        o->regions[o->n_regions++] = sim_strndup(text, n);
        text += n + (text[n] == ',');
    }
    return o->n_regions > 0;
}

static bool set_rps(struct sim_options *o, const char *text)
{
    char *end = NULL;
    o->rps = strtod(text, &end);
    return end != text && !*end && o->rps >= 0 && o->rps <= 1e9;
}

static bool set_signature(struct sim_options *o, const char *text)
{
    o->sns_signature = strcmp(text, "2") == 0 ? 2 : strcmp(text, "1") == 0 ? 1 : 0;
    return o->sns_signature || strcmp(text, "off") == 0;
}

static bool set_number(struct sim_options *o, int option, const char *text)
{
    int64_t v;
    if (!number(text, 0, INT64_C(1) << 40, &v))
        return false;
    switch (option) {
    case OPT_SEED:
        o->seed = (uint64_t)v;
        o->seed_given = true;
        return true;
    case OPT_THREADS:
        o->threads = (unsigned)v;
        return v >= 1 && v <= 64;
    case OPT_VISIBILITY:
        o->visibility_timeout_s = (unsigned)v;
        return v <= 43200;
    case OPT_LAG:
        o->list_lag_ms = v;
        return true;
    case OPT_IMPORT_DELAY:
        o->import_delay_ms = v;
        return true;
    case OPT_TOKEN_TTL:
        o->token_ttl_ms = v * 1000;
        return true;
    default:
        o->sts_lifetime_s = v;
        return true;
    }
}

static bool set(struct sim_options *o, int option, const char *text)
{
    switch (option) {
    case OPT_LISTEN:
        return set_listen(o, text);
    case OPT_REGIONS:
        return set_regions(o, text);
    case OPT_RPS:
        return set_rps(o, text);
    case OPT_VERIFY:
        o->verify_signatures = true;
        return true;
    case OPT_SNS:
        return set_signature(o, text);
    case OPT_ACCESS:
        replace(&o->access_key, text);
        return true;
    case OPT_SECRET:
        replace(&o->secret_key, text);
        return true;
    default:
        return set_number(o, option, text);
    }
}

int sim_options_parse(struct sim_options *o, int argc, char **argv)
{
    *o = (struct sim_options){.port = 9400,
                              .threads = 2,
                              .visibility_timeout_s = 30,
                              .import_delay_ms = 500,
                              .token_ttl_ms = INT64_C(86400) * 1000,
                              .sns_signature = 1,
                              .address = sim_strdup("127.0.0.1")};
    set_regions(o, "eu-west-1,us-east-1,ap-northeast-1");
    int option, index = 0;
    while ((option = getopt_long(argc, argv, "", longs, &index)) != -1) {
        if (option == OPT_HELP) {
            fputs(help, stdout);
            return -1;
        }
        if (option == '?')
            return 2;
        if (!set(o, option, optarg)) {
            fprintf(stderr, "supsync-sim: --%s: %s: not allowed; see --help\n", longs[index].name,
                    optarg);
            return 2;
        }
    }
    if (optind < argc || !o->access_key != !o->secret_key) {
        fputs("supsync-sim: arguments not understood; see --help\n", stderr);
        return 2;
    }
    return 0;
}

void sim_options_fini(struct sim_options *o)
{
    drop_regions(o);
    free(o->address);
    free(o->access_key);
    free(o->secret_key);
}
