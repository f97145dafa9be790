#include "cli/cli.h"

#include <inttypes.h>
#include <string.h>

static json_int_t number(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static bool is_true(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

static void put_label(struct sup_cli *cli, const char *label)
{
    sup_cli_put(cli, SUP_DIM, 12, label);
}

static void put_head(struct sup_cli *cli, const json_t *v)
{
    bool healthy = is_true(v, "healthy");
    bool converged = is_true(v, "converged");
    put_label(cli, "node");
    sup_cli_put(cli, SUP_BOLD, 0, sup_cli_text(v, "node", "?"));
    printf("  (Region %s, mode %s, version %s)\n", sup_cli_text(v, "region", "?"),
           sup_cli_text(v, "mode", "?"), sup_cli_text(v, "version", "?"));
    put_label(cli, "healthy");
    sup_cli_put(cli, healthy ? SUP_GREEN : SUP_RED, 0, healthy ? "yes" : "no");
    printf("%s\n", is_true(v, "ready") ? "" : "  (not ready)");
    put_label(cli, "converged");
    sup_cli_put(cli, converged ? SUP_GREEN : SUP_YELLOW, 0, converged ? "yes" : "no");
    putchar('\n');
}

static void put_problems(struct sup_cli *cli, const json_t *list)
{
    size_t i;
    json_t *each;
    json_array_foreach(list, i, each)
    {
        put_label(cli, i == 0 ? "problems" : "");
        sup_cli_put(cli, SUP_RED, 0, json_string_value(each) ? json_string_value(each) : "?");
        putchar('\n');
    }
}

static void put_lag(const json_t *p)
{
    double lag = json_number_value(json_object_get(p, "lag_seconds"));

    printf("%" JSON_INTEGER_FORMAT " behind", number(p, "lag_mutations"));
    if (lag > 0)
        printf(" for %.1f s", lag);
    else if (lag < 0)
        fputs(", never level yet", stdout);
    if (number(p, "unacked_mutations") > 0)
        printf(", lacks %" JSON_INTEGER_FORMAT " of ours for %.1f s",
               number(p, "unacked_mutations"),
               json_number_value(json_object_get(p, "unacked_seconds")));
}

/* What only those want who look closer. */
static void put_peer_more(struct sup_cli *cli, const json_t *p)
{
    const json_t *repair = json_object_get(p, "repair");

    put_label(cli, "");
    printf("  in %" JSON_INTEGER_FORMAT " B, out %" JSON_INTEGER_FORMAT " B, %" JSON_INTEGER_FORMAT
           " reconnects, clock %+.1f ms, epoch %" JSON_INTEGER_FORMAT " (members: %s)\n",
           number(p, "bytes_in"), number(p, "bytes_out"), number(p, "reconnects"),
           json_number_value(json_object_get(p, "clock_offset_ms")), number(p, "epoch"),
           sup_cli_text(p, "members", "?"));
    put_label(cli, "");
    printf("  %" JSON_INTEGER_FORMAT " repairs (%" JSON_INTEGER_FORMAT
           " decisions, %" JSON_INTEGER_FORMAT " B, last %s)%s, %" JSON_INTEGER_FORMAT
           " refusals, %" JSON_INTEGER_FORMAT " quarantined, %" JSON_INTEGER_FORMAT
           " gaps, %" JSON_INTEGER_FORMAT " stalls\n",
           number(repair, "count"), number(repair, "decisions"), number(repair, "bytes"),
           sup_cli_text(repair, "last", "never"),
           is_true(repair, "needed") ? ", needs one from us" : "", number(p, "refusals"),
           number(p, "quarantined"), number(p, "gaps"), number(p, "stalls"));
    put_label(cli, "");
    printf("  last heard %s, incarnation %s\n", sup_cli_text(p, "last_contact", "never"),
           sup_cli_text(p, "incarnation", "?"));
}

static void put_peer(struct sup_cli *cli, const json_t *p)
{
    bool connected = is_true(p, "connected");
    double rtt = json_number_value(json_object_get(p, "rtt_ms"));
    const char *error = sup_cli_text(p, "last_error", NULL);

    sup_cli_put(cli, SUP_PLAIN, 20, sup_cli_text(p, "name", "?"));
    sup_cli_put(cli, connected ? SUP_GREEN : SUP_RED, 14, connected ? "connected" : "unreachable");
    put_lag(p);
    if (connected && rtt >= 0)
        printf(", %.1f ms away", rtt);
    else if (!connected)
        printf(", last heard %s", sup_cli_text(p, "last_contact", "never"));
    if (error != NULL && (!connected || cli->verbose)) {
        fputs(": ", stdout);
        sup_cli_put(cli, SUP_DIM, 0, error);
    }
    putchar('\n');
    if (cli->verbose)
        put_peer_more(cli, p);
}

static void put_peers(struct sup_cli *cli, const json_t *list)
{
    size_t i;
    json_t *p;
    json_array_foreach(list, i, p)
    {
        put_label(cli, i == 0 ? "peers" : "");
        put_peer(cli, p);
    }
    if (json_array_size(list) == 0) {
        put_label(cli, "peers");
        puts("none: this node works alone");
    }
}

static void put_mesh(struct sup_cli *cli, const json_t *mesh)
{
    size_t i;
    json_t *each;

    json_array_foreach(json_object_get(mesh, "decommissioned"), i, each)
    {
        put_label(cli, i == 0 ? "gone" : "");
        printf("%s, decommissioned %s by %s: %s\n", sup_cli_text(each, "name", "?"),
               sup_cli_text(each, "time", "?"), sup_cli_text(each, "actor", "?"),
               sup_cli_text(each, "note", ""));
    }
    if (!cli->verbose)
        return;
    json_array_foreach(json_object_get(mesh, "refusals"), i, each)
    {
        put_label(cli, i == 0 ? "refusals" : "");
        printf("%s: %" JSON_INTEGER_FORMAT " by us, %" JSON_INTEGER_FORMAT " by peers\n",
               sup_cli_text(each, "reason", "?"), number(each, "by_us"), number(each, "by_peers"));
    }
    put_label(cli, "log");
    printf("%.1f MiB kept for peers, at most %.0f MiB; epoch %" JSON_INTEGER_FORMAT "\n",
           (double)number(mesh, "log_bytes") / (1024 * 1024),
           (double)number(mesh, "log_max_bytes") / (1024 * 1024), number(mesh, "epoch"));
}

static void put_error(struct sup_cli *cli, const json_t *part)
{
    const char *error = sup_cli_text(part, "last_error", NULL);
    if (error == NULL)
        return;
    put_label(cli, "");
    sup_cli_put(cli, SUP_YELLOW, 0, "last error: ");
    sup_cli_put(cli, SUP_PLAIN, 0, error);
    putchar('\n');
}

/* Nothing where there is no limit. */
static void put_budget(struct sup_cli *cli, const json_t *calls)
{
    if (!json_is_integer(json_object_get(calls, "per_day")))
        return;
    put_label(cli, "SES calls");
    printf("%" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT " of the day (UTC) are used\n",
           number(calls, "used_today"), number(calls, "per_day"));
}

static void put_queues(struct sup_cli *cli, const json_t *v)
{
    const json_t *outbox = json_object_get(v, "outbox");
    const json_t *queue = json_object_get(v, "queue");
    put_label(cli, "SES outbox");
    printf("%" JSON_INTEGER_FORMAT " waiting, %" JSON_INTEGER_FORMAT
           " failing, at %.2f requests/s; %" JSON_INTEGER_FORMAT " puts, %" JSON_INTEGER_FORMAT
           " deletes, %" JSON_INTEGER_FORMAT " throttled\n",
           number(outbox, "pending"), number(outbox, "failing"),
           json_number_value(json_object_get(outbox, "allowed_rps")), number(outbox, "puts"),
           number(outbox, "deletes"), number(outbox, "throttles"));
    put_error(cli, outbox);
    put_budget(cli, json_object_get(v, "api_calls"));
    put_label(cli, "event queue");
    printf("%" JSON_INTEGER_FORMAT " messages, %" JSON_INTEGER_FORMAT
           " events: %" JSON_INTEGER_FORMAT " suppressed, %" JSON_INTEGER_FORMAT
           " echoes, %" JSON_INTEGER_FORMAT " duplicates, %" JSON_INTEGER_FORMAT " unparsable\n",
           number(queue, "received"), number(queue, "events"), number(queue, "suppressed"),
           number(queue, "echoes"), number(queue, "duplicates"), number(queue, "unparsable"));
    put_error(cli, queue);
}

static void put_coverage(struct sup_cli *cli, const json_t *c)
{
    const char *state = sup_cli_text(c, "state", "none");

    put_label(cli, "coverage");
    if (strcmp(state, "none") == 0)
        fputs("not checked yet", stdout);
    else
        printf("%s, checked %.0f s ago, %" JSON_INTEGER_FORMAT " gaps, %" JSON_INTEGER_FORMAT
               " not known",
               state, json_number_value(json_object_get(c, "age_seconds")), number(c, "gaps"),
               number(c, "unknown"));
    if (sup_cli_text(c, "error", NULL) != NULL) {
        fputs("; last error: ", stdout);
        sup_cli_put(cli, SUP_PLAIN, 0, sup_cli_text(c, "error", ""));
    }
    putchar('\n');
}

/* Only what a reader may wonder about: nothing of a node that is ready. */
static void put_join(struct sup_cli *cli, const json_t *join)
{
    const char *phase = sup_cli_text(join, "phase", "ready");

    if (strcmp(phase, "ready") == 0)
        return;
    put_label(cli, "joining");
    printf("%s, %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT " addresses (%.0f %%), %.1f MiB",
           phase, number(join, "records"), number(join, "set"),
           json_number_value(json_object_get(join, "percent")),
           (double)number(join, "bytes") / (1024 * 1024));
    if (*sup_cli_text(join, "donor", "") != '\0')
        printf(" from %s", sup_cli_text(join, "donor", ""));
    putchar('\n');
}

static void put_store(struct sup_cli *cli, const json_t *v)
{
    put_label(cli, "store");
    printf("about %" JSON_INTEGER_FORMAT " addresses, %.1f MiB", number(v, "records"),
           (double)number(v, "disk_bytes") / (1024 * 1024));
    if (number(v, "quarantined") > 0)
        printf(", %" JSON_INTEGER_FORMAT " decisions from the future wait",
               number(v, "quarantined"));
    putchar('\n');
    put_label(cli, "last scan");
    puts(sup_cli_text(v, "last_scan", "none"));
    put_join(cli, json_object_get(v, "join"));
    put_label(cli, "started");
    puts(sup_cli_text(v, "started", "?"));
}

int sup_cmd_status(struct sup_cli *cli, int argc, char **argv)
{
    struct sup_err err = {0};
    json_t *v = NULL;
    long status = 0;
    int at = sup_cli_options(cli, argc, argv, NULL, 0);
    if (at < 0)
        return sup_cli_exit(at);
    if (at != argc)
        return sup_cli_usage_error(cli, "takes no operands");
    struct sup_call call = {.method = "GET", .target = "/v1/status"};
    if (sup_cli_call(cli, &call, &v, &status, &err) != SUP_OK)
        return sup_cli_error(SUP_EXIT_UNKNOWN, "status: %s", err.msg);
    int exit_status = SUP_EXIT_UNKNOWN;
    if (status != 200 || v == NULL) {
        sup_cli_error(0, "status: %s", sup_cli_detail(v));
    } else {
        exit_status = is_true(v, "healthy") ? SUP_EXIT_OK : SUP_EXIT_NO;
        if (cli->json) {
            sup_cli_put_json(v);
        } else {
            put_head(cli, v);
            put_problems(cli, json_object_get(v, "problems"));
            put_peers(cli, json_object_get(v, "peers"));
            put_mesh(cli, json_object_get(v, "mesh"));
            put_queues(cli, v);
            put_coverage(cli, json_object_get(v, "coverage"));
            put_store(cli, v);
        }
    }
    json_decref(v);
    return exit_status;
}
