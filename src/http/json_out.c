#include "http/json_out.h"

#include "base/clock.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

static void escape_byte(struct sup_buf *out, uint8_t c)
{
    switch (c) {
    case '"':
        sup_buf_add(out, "\\\"", 2);
        break;
    case '\\':
        sup_buf_add(out, "\\\\", 2);
        break;
    case '\n':
        sup_buf_add(out, "\\n", 2);
        break;
    default:
        if (c < ' ')
            sup_buf_addf(out, "\\u%04x", c);
        else
            sup_buf_add_byte(out, c);
    }
}

static bool is_plain(uint8_t c)
{
    return c >= ' ' && c < 0x7f && c != '"' && c != '\\';
}

void sup_json_string(struct sup_buf *out, const char *s, size_t n)
{
    const uint8_t *p = (const uint8_t *)s;
    sup_buf_add_byte(out, '"');
    while (n > 0) {
        size_t run = 0;
        while (run < n && is_plain(p[run]))
            run++;
        sup_buf_add(out, p, run);
        p += run;
        n -= run;
        if (n == 0)
            break;
        size_t len = sup_utf8_decode(p, n, NULL);
        if (len == 0)
            sup_buf_add_str(out, replacement);
        else if (len == 1)
            escape_byte(out, *p);
        else
            sup_buf_add(out, p, len);
        len = len == 0 ? 1 : len;
        p += len;
        n -= len;
    }
    sup_buf_add_byte(out, '"');
}

static void add_time(struct sup_buf *out, int64_t ms)
{
    char text[SUP_TIME_STR_MAX];
    if (ms == SUP_NO_TIME) {
        sup_buf_add(out, "null", 4);
        return;
    }
    sup_buf_add_byte(out, '"');
    sup_buf_add_str(out, sup_time_format(ms, text));
    sup_buf_add_byte(out, '"');
}

static void add_word(struct sup_buf *out, const char *key, const char *word)
{
    sup_buf_addf(out, ",\"%s\":", key);
    if (word[0] == '\0')
        sup_buf_add(out, "null", 4);
    else
        sup_json_string(out, word, strlen(word));
}

void sup_json_check(struct sup_buf *out, const char *address, size_t n, const struct sup_check *c,
                    const char *error)
{
    sup_buf_add_str(out, "{\"address\":");
    sup_json_string(out, address, n);
    add_word(out, "verdict", sup_answer_name(c->verdict));
    add_word(out, "reason", sup_reason_name(c->reason));
    add_word(out, "cause", c->since_ms != SUP_NO_TIME ? sup_cause_name(c->cause) : "");
    sup_buf_add_str(out, ",\"since\":");
    add_time(out, c->since_ms);
    sup_buf_add_str(out, ",\"regions\":[");
    for (size_t i = 0; i < c->n_regions && i < SUP_CHECK_REGIONS_MAX; i++) {
        sup_buf_add_str(out, i > 0 ? ",{\"region\":" : "{\"region\":");
        sup_json_string(out, c->regions[i].region, strlen(c->regions[i].region));
        if (c->regions[i].age_s >= 0)
            sup_buf_addf(out, ",\"age_seconds\":%.3f}", c->regions[i].age_s);
        else
            sup_buf_add_str(out, ",\"age_seconds\":null}");
    }
    sup_buf_add_byte(out, ']');
    if (error == NULL && c->verdict == SUP_UNKNOWN)
        error = c->why;
    if (error != NULL)
        add_word(out, "why", error);
    sup_buf_add_byte(out, '}');
}

/* null for "" and NULL: not known, or not given. */
static json_t *text(const char *s)
{
    if (s == NULL || *s == '\0')
        return json_null();
    size_t n = strlen(s);
    if (sup_utf8_valid(s, n))
        return json_stringn_nocheck(s, n);
    struct sup_buf b;
    sup_buf_init(&b, n * 3 + 1);
    while (n > 0) {
        size_t len = sup_utf8_decode((const uint8_t *)s, n, NULL);
        if (len > 0)
            sup_buf_add(&b, s, len);
        else
            sup_buf_add_str(&b, replacement);
        len = len == 0 ? 1 : len;
        s += len;
        n -= len;
    }
    json_t *v = json_string(sup_buf_str(&b));
    sup_buf_fini(&b);
    return v;
}

static json_t *wall_time(int64_t ms)
{
    char s[SUP_TIME_STR_MAX];
    return ms == SUP_NO_TIME ? json_null() : json_string(sup_time_format(ms, s));
}

static json_t *expiry(int64_t ms)
{
    return ms == 0 ? json_null() : wall_time(ms);
}

static json_t *id(uint64_t v)
{
    char s[17];
    snprintf(s, sizeof(s), "%016" PRIx64, v);
    return json_string(s);
}

static json_t *count(uint64_t v)
{
    return json_integer(v > INT64_MAX ? INT64_MAX : (json_int_t)v);
}

static json_t *shown_decision(const struct sup_shown_decision *d)
{
    json_t *o = json_pack(
        "{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:{s:o, s:o, s:o, s:o, s:o, s:o, s:o}}", "class",
        sup_class_name(d->cls), "state", d->state == SUP_SUPPRESSED ? "suppressed" : "cleared",
        "cause", sup_cause_name(d->cause), "time", wall_time(sup_hlc_ms(d->time)), "origin",
        text(d->origin_name), "actor", text(d->actor), "note", text(d->note), "expires",
        expiry(d->expires_ms), "evidence", "region", text(d->region), "feedback_id",
        text(d->feedback_id), "message_id", text(d->message_id), "sub_type", text(d->sub_type),
        "status", text(d->status), "diagnostic", text(d->diagnostic), "spelling",
        text(d->spelling));

    if (d->overruled_time != 0)
        json_object_set_new(o, "overruled_unseen",
                            json_pack("{s:o, s:o, s:o}", "time",
                                      wall_time(sup_hlc_ms(d->overruled_time)), "origin",
                                      text(d->overruled_origin), "by", text(d->overruled_by)));
    return o;
}

static json_t *decisions(const struct sup_shown_decision *d, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, shown_decision(&d[i]));
    return list;
}

static json_t *ses_entries(const struct sup_shown_ses *s, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(
            list, json_pack("{s:o, s:o, s:b, s:o, s:o, s:o, s:b, s:o, s:o}", "region",
                            text(s[i].region), "spelling", text(s[i].spelling), "present",
                            s[i].present, "reason", text(sup_reason_name(s[i].reason)),
                            "last_update", wall_time(s[i].last_update_ms), "last_write",
                            wall_time(s[i].last_write_ms), "pending", s[i].pending, "attempts",
                            count(s[i].attempts), "last_error", text(s[i].last_error)));
    return list;
}

json_t *sup_json_shown(const struct sup_shown *s)
{
    return json_pack(
        "{s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "address", text(s->address.key),
        "spelling", text(s->address.spelling), "verdict", sup_answer_name(s->verdict), "reason",
        text(sup_reason_name(s->reason)), "first_seen", wall_time(s->first_seen_ms), "last_seen",
        wall_time(s->last_seen_ms), "registers", decisions(s->registers, s->n_registers), "history",
        decisions(s->history, s->n_history), "ses", ses_entries(s->ses, s->n_ses));
}

json_t *sup_json_row(const struct sup_row *row)
{
    const struct sup_shown_decision *d = &row->decision;
    return json_pack(
        "{s:o, s:s, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "address", text(row->address),
        "state", row->state == SUP_SUPPRESSED ? "suppressed" : "cleared", "reason",
        text(sup_reason_name(row->reason)), "cause", sup_cause_name(d->cause), "time",
        wall_time(sup_hlc_ms(d->time)), "origin", text(d->origin_name), "actor", text(d->actor),
        "note", text(d->note), "expires", expiry(d->expires_ms), "region", text(d->region));
}

/* Several parts, since one json_pack of all could not be read. */
static json_t *status_peer(const struct sup_peer_status *p)
{
    json_t *o = json_pack(
        "{s:o, s:o, s:b, s:o, s:f, s:o, s:f, s:o, s:f, s:f, s:o, s:o, s:o, s:o, s:o}", "name",
        text(p->name), "url", text(p->url), "connected", p->connected, "lag_mutations",
        count(p->lag_mutations), "lag_seconds", p->lag_seconds, "unacked_mutations",
        count(p->unacked_mutations), "unacked_seconds", p->unacked_seconds, "last_contact",
        wall_time(p->last_contact_ms), "clock_offset_ms", p->clock_offset_ms, "rtt_ms", p->rtt_ms,
        "bytes_in", count(p->bytes_in), "bytes_out", count(p->bytes_out), "reconnects",
        count(p->reconnects), "refusals", count(p->refusals), "last_error", text(p->last_error));

    json_object_set_new(o, "repair",
                        json_pack("{s:o, s:o, s:o, s:o, s:b}", "count", count(p->repairs), "last",
                                  wall_time(p->last_repair_ms), "decisions",
                                  count(p->repair_decisions), "bytes", count(p->repair_bytes),
                                  "needed", p->needs_repair));
    json_object_set_new(o, "quarantined", count(p->quarantined));
    json_object_set_new(o, "gaps", count(p->gaps));
    json_object_set_new(o, "stalls", count(p->stalls));
    json_object_set_new(o, "node_id", id(p->node_id));
    json_object_set_new(o, "incarnation", id(p->incarnation));
    json_object_set_new(o, "epoch", count(p->epoch));
    json_object_set_new(o, "members", text(p->membership));
    json_object_set_new(o, "configured", json_boolean(p->configured));
    return o;
}

static json_t *status_peers(const struct sup_status *st)
{
    json_t *list = json_array();
    for (size_t i = 0; i < st->n_peers; i++)
        json_array_append_new(list, status_peer(&st->peers[i]));
    return list;
}

static json_t *status_mesh(const struct sup_status *st)
{
    json_t *refusals = json_array();
    json_t *left = json_array();
    for (size_t i = 0; i < st->n_refusals; i++)
        json_array_append_new(refusals,
                              json_pack("{s:s, s:o, s:o}", "reason", st->refusals[i].reason,
                                        "by_us", count(st->refusals[i].by_us), "by_peers",
                                        count(st->refusals[i].by_peers)));
    for (size_t i = 0; i < st->n_left; i++)
        json_array_append_new(left,
                              json_pack("{s:o, s:o, s:o, s:o}", "name", text(st->left[i].name),
                                        "time", wall_time(st->left[i].time_ms), "actor",
                                        text(st->left[i].actor), "note", text(st->left[i].note)));
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "epoch", count(st->epoch), "log_bytes",
                     count(st->log_bytes), "log_max_bytes", count(st->log_max_bytes),
                     "clock_ahead_ms", count((uint64_t)st->clock_ahead_ms), "refusals", refusals,
                     "decommissioned", left);
}

static json_t *status_outbox(const struct sup_status *st)
{
    return json_pack("{s:o, s:o, s:o, s:f, s:o, s:o, s:o, s:o, s:o, s:o}", "pending",
                     count(st->outbox.pending), "due", count(st->outbox.due), "failing",
                     count(st->outbox.failing), "allowed_rps", st->outbox.allowed_rps, "puts",
                     count(st->outbox.puts), "deletes", count(st->outbox.deletes), "throttles",
                     count(st->outbox.throttles), "errors", count(st->outbox.errors), "last_error",
                     text(st->outbox.last_error), "evidence", count(st->outbox.evidence));
}

static json_t *status_calls(const struct sup_status *st)
{
    json_t *made = json_object();

    for (int i = 0; i < SUP_N_CALLS; i++)
        json_object_set_new(made, sup_report_call_name(i), count(st->calls.made[i]));
    return json_pack("{s:o, s:o, s:o}", "per_day",
                     st->calls.per_day > 0 ? count(st->calls.per_day) : json_null(), "used_today",
                     st->calls.per_day > 0 ? count(st->calls.used) : json_null(), "made", made);
}

static json_t *status_queue(const struct sup_status *st)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "received",
                     count(st->queue.received), "deleted", count(st->queue.deleted), "events",
                     count(st->queue.events), "duplicates", count(st->queue.duplicates),
                     "unparsable", count(st->queue.unparsable), "in_hand", count(st->queue.in_hand),
                     "suppressed", count(st->queue.suppressed), "cleared", count(st->queue.cleared),
                     "echoes", count(st->queue.echoes), "ignored", count(st->queue.ignored),
                     "last_receive", wall_time(st->queue.last_receive_ms), "last_error",
                     text(st->queue.last_error));
}

json_t *sup_json_coverage_status(const struct sup_status *st)
{
    bool ever = st->coverage.state != SUP_COVERAGE_NONE;

    return json_pack(
        "{s:s, s:o, s:o, s:o, s:o, s:o}", "state", sup_coverage_state_name(st->coverage.state),
        "checked", ever ? wall_time(st->coverage.checked_ms) : json_null(), "age_seconds",
        ever ? json_real((double)(sup_wall_ms() - st->coverage.checked_ms) / 1000.0) : json_null(),
        "gaps", count(st->coverage.gaps), "unknown", count(st->coverage.unknown), "error",
        text(st->coverage.error));
}

json_t *sup_json_status(const struct sup_status *st)
{
    json_t *problems = json_array();
    for (size_t i = 0; i < st->n_problems; i++)
        json_array_append_new(problems, text(st->problems[i]));
    return json_pack(
        "{s:o, s:o, s:o, s:s, s:b, s:b, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
        "s:o, s:o, s:o, s:o, s:o}",
        "node", text(st->node), "region", text(st->region), "mode", text(st->mode), "version",
        SUPSYNC_VERSION, "healthy", st->healthy, "ready", st->ready, "problems", problems,
        "converged", st->converged, "peers", status_peers(st), "outbox", status_outbox(st),
        "api_calls", status_calls(st), "queue", status_queue(st), "last_scan",
        wall_time(st->last_scan_ms), "node_id", id(st->node_id), "incarnation", id(st->incarnation),
        "records", count(st->records), "quarantined", count(st->quarantined), "disk_bytes",
        count(st->disk_bytes), "started", wall_time(st->started_ms), "mesh", status_mesh(st));
}

json_t *sup_json_join(const struct sup_join_status *j)
{
    double percent = j->set == 0            ? 0
                     : j->records >= j->set ? 100
                                            : 100.0 * (double)j->records / (double)j->set;

    if (j->phase == NULL)
        return json_null();
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:f, s:o}", "phase", j->phase, "donor",
                     text(j->donor), "records", count(j->records), "set", count(j->set), "bytes",
                     count(j->bytes), "percent", percent, "began", wall_time(j->began_ms));
}
