/* What would be decided for events, and which rule says so. Offline: no agent, no store. */
#include "agent/config.h"
#include "base/clock.h"
#include "cli/cli.h"
#include "cli/source.h"
#include "core/classify.h"
#include "core/event_read.h"
#include "service/event_count.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct explaining {
    struct sup_cli *cli;
    struct sup_source *source;
    struct sup_event_reader *reader;
    struct sup_verdicts verdicts;
    struct sup_classify_policy policy;
    const char *name;
    uint64_t events, refused;
    bool unreadable; /* a file as a whole */
};

/* --- JSON --- */

/* Text of events is UTF-8: the reader refuses anything else. */
static json_t *text(struct sup_slice s)
{
    return s.n > 0 ? json_stringn((const char *)s.p, s.n) : json_null();
}

static json_t *when(int64_t ms)
{
    char s[SUP_TIME_STR_MAX];
    return ms == SUP_NO_TIME ? json_null() : json_string(sup_time_format(ms, s));
}

static json_t *verdict_json(const struct sup_event_verdict *v)
{
    bool decides = v->kind == SUP_VERDICT_SUPPRESS || v->kind == SUP_VERDICT_CLEAR;
    json_t *o =
        json_pack("{s:s, s:s, s:o?, s:s*, s:o, s:o, s:o, s:o}", "verdict",
                  sup_verdict_kind_name(v->kind), "rule", v->rule, "recipient", text(v->recipient),
                  "address", v->address.key_len > 0 ? v->address.key : NULL, "time",
                  when(v->time_ms), "status", text(v->status), "diagnostic", text(v->diagnostic),
                  "expires", v->expires_ms > 0 ? when(v->expires_ms) : json_null());

    if (decides) {
        json_object_set_new(o, "class", json_string(sup_class_name(v->cls)));
        json_object_set_new(o, "cause", json_string(sup_cause_name(v->cause)));
    }
    return o;
}

static json_t *event_json(struct explaining *x, const struct sup_event *e, uint64_t offset)
{
    json_t *o = json_pack("{s:s, s:I, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "source", x->name,
                          "offset", (json_int_t)offset, "type", sup_event_type_name(e->type),
                          "type_text", text(e->type_text), "time", when(e->event_ms), "message_id",
                          text(e->message_id), "feedback_id", text(e->feedback_id),
                          "configuration_set", text(e->configuration_set), "sub_type",
                          text(sup_slice_str(x->verdicts.sub_type)));
    json_t *list = json_array();

    for (size_t i = 0; i < x->verdicts.n; i++)
        json_array_append_new(list, verdict_json(&x->verdicts.v[i]));
    json_object_set_new(o, "verdicts", list);
    return o;
}

/* --- text --- */

static void put_slice(struct sup_cli *cli, enum sup_colour colour, int width, struct sup_slice s)
{
    char line[512];
    size_t n = s.n < sizeof(line) - 1 ? s.n : sizeof(line) - 1;

    if (n > 0)
        memcpy(line, s.p, n);
    line[n] = '\0';
    sup_cli_put(cli, colour, width, line);
}

static enum sup_colour colour_of(enum sup_verdict_kind k)
{
    switch (k) {
    case SUP_VERDICT_SUPPRESS:
        return SUP_RED;
    case SUP_VERDICT_CLEAR:
        return SUP_GREEN;
    case SUP_VERDICT_SOFT:
    case SUP_VERDICT_AMBIGUOUS:
    case SUP_VERDICT_UNMAPPED:
    case SUP_VERDICT_BAD_ADDRESS:
        return SUP_YELLOW;
    default:
        return SUP_PLAIN;
    }
}

static void put_verdict(struct sup_cli *cli, const struct sup_event_verdict *v)
{
    char t[SUP_TIME_STR_MAX];

    printf("  ");
    sup_cli_put(cli, colour_of(v->kind), 12, sup_verdict_kind_name(v->kind));
    if (v->address.key_len > 0)
        sup_cli_put(cli, SUP_PLAIN, 0, v->address.key);
    else
        put_slice(cli, SUP_PLAIN, 0, v->recipient);
    printf("  by rule %s", v->rule);
    if (v->kind == SUP_VERDICT_SUPPRESS || v->kind == SUP_VERDICT_CLEAR)
        printf(", register %s, cause %s, as of %s", sup_class_name(v->cls),
               sup_cause_name(v->cause), sup_time_format(v->time_ms, t));
    if (v->expires_ms > 0)
        printf(", until %s", sup_time_format(v->expires_ms, t));
    if (v->status.n > 0) {
        printf(", status ");
        put_slice(cli, SUP_PLAIN, 0, v->status);
    }
    putchar('\n');
}

static void put_event(struct explaining *x, const struct sup_event *e, uint64_t offset)
{
    struct sup_cli *cli = x->cli;

    sup_cli_put(cli, SUP_DIM, 0, x->name);
    printf("+%" PRIu64 "  ", offset);
    sup_cli_put(cli, SUP_BOLD, 0, sup_event_type_name(e->type));
    if (e->type == SUP_EVENT_UNKNOWN) {
        printf(" ");
        put_slice(cli, SUP_PLAIN, 0, e->type_text);
    }
    if (x->verdicts.sub_type[0] != '\0') {
        printf(" ");
        sup_cli_put(cli, SUP_PLAIN, 0, x->verdicts.sub_type);
    }
    if (e->message_id.n > 0) {
        printf("  message ");
        put_slice(cli, SUP_PLAIN, 0, e->message_id);
    }
    putchar('\n');
    for (size_t i = 0; i < x->verdicts.n; i++)
        put_verdict(cli, &x->verdicts.v[i]);
    if (x->verdicts.n == 0)
        printf("  nothing     %s\n", e->type == SUP_EVENT_BOUNCE || e->type == SUP_EVENT_COMPLAINT
                                         ? "it names nobody"
                                         : "events of this type decide nothing");
}

/* --- work --- */

static void put_error(struct explaining *x, uint64_t offset, const char *why)
{
    x->refused++;
    if (x->cli->json) {
        json_t *o = json_pack("{s:s, s:I, s:s}", "source", x->name, "offset", (json_int_t)offset,
                              "error", why);
        sup_cli_put_json(o);
        json_decref(o);
        return;
    }
    sup_cli_put(x->cli, SUP_DIM, 0, x->name);
    printf("+%" PRIu64 "  ", offset);
    sup_cli_put(x->cli, SUP_RED, 0, "refused");
    printf("  ");
    sup_cli_put(x->cli, SUP_PLAIN, 0, why);
    putchar('\n');
}

static void explain_event(struct explaining *x, const struct sup_event *e, uint64_t offset)
{
    const struct sup_classify_context ctx = {
        .now_ms = sup_wall_ms(), .sent_ms = SUP_NO_TIME, .policy = &x->policy};

    if (sup_classify(e, &ctx, &x->verdicts) != SUP_OK) {
        put_error(x, offset, "out of memory");
        return;
    }
    x->events++;
    if (x->cli->json) {
        json_t *o = event_json(x, e, offset);
        sup_cli_put_json(o);
        json_decref(o);
    } else {
        put_event(x, e, offset);
    }
}

static void explain_document(struct explaining *x, struct sup_slice document, uint64_t offset)
{
    struct sup_event e;
    struct sup_err err = {0};
    int rc;

    sup_event_reader_begin(x->reader, document);
    while ((rc = sup_event_reader_next(x->reader, &e, &err)) != SUP_ENOTFOUND) {
        if (rc == SUP_OK)
            explain_event(x, &e, offset);
        else
            put_error(x, offset, err.msg);
        if (rc == SUP_ENOMEM)
            return;
    }
}

static void explain_file(struct explaining *x, const char *path)
{
    struct sup_slice document;
    struct sup_err err = {0};
    uint64_t offset = 0;
    int rc;

    x->name = path;
    rc = sup_source_open(x->source, path, &err);
    while (rc == SUP_OK) {
        rc = sup_source_next(x->source, &document, &offset, &err);
        if (rc == SUP_OK)
            explain_document(x, document, offset);
        if (rc == SUP_ELIMIT) {
            put_error(x, offset, err.msg);
            rc = SUP_OK;
        }
    }
    sup_source_close(x->source);
    if (rc == SUP_ENOTFOUND && err.code == SUP_OK)
        return;
    x->unreadable = true;
    sup_cli_error(0, "explain: %s: %s", path, err.msg);
}

static int read_policy(const char *path, struct sup_classify_policy *out)
{
    struct sup_config config;
    struct sup_err err;

    if (path == NULL)
        return SUP_EXIT_OK;
    if (sup_config_load(path, &config, &err) != SUP_OK)
        return sup_cli_error(SUP_EXIT_USAGE, "%s", err.msg);
    *out = sup_event_policy(&config.options);
    sup_config_fini(&config);
    return SUP_EXIT_OK;
}

int sup_cmd_explain(struct sup_cli *cli, int argc, char **argv)
{
    const char *config = NULL;
    const struct sup_cli_option options[] = {{"config", &config, NULL}};
    struct explaining x = {.cli = cli};
    int at = sup_cli_options(cli, argc, argv, options, 1);

    if (at < 0)
        return sup_cli_exit(at);
    if (at == argc)
        return sup_cli_usage_error(cli, "give a file, or \"-\" for standard input");
    int status = read_policy(config, &x.policy);
    if (status != SUP_EXIT_OK)
        return status;
    x.source = sup_source_new();
    x.reader = sup_event_reader_new();
    if (x.source == NULL || x.reader == NULL) {
        status = sup_cli_error(SUP_EXIT_UNKNOWN, "explain: out of memory");
    } else {
        for (; at < argc; at++)
            explain_file(&x, argv[at]);
        status = x.unreadable ? SUP_EXIT_UNKNOWN : x.refused > 0 ? SUP_EXIT_NO : SUP_EXIT_OK;
    }
    sup_verdicts_fini(&x.verdicts);
    sup_event_reader_free(x.reader);
    sup_source_free(x.source);
    return status;
}
