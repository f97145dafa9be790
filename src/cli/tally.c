#include "cli/tally.h"

#include "base/array.h"
#include "base/clock.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REFUSALS_KEPT 1000 /* more are only counted: memory stays flat */
#define REDRAW_MS     200

/* Members of an answer that are numbers and simply add up. */
static const char *const sums[] = {"documents",  "suppressed", "cleared",
                                   "duplicates", "older",      "unreadable"};

struct sup_tally {
    struct sup_cli *cli;
    bool terminal;
    int64_t started_ms, drawn_ms;
    uint64_t objects, objects_done, objects_before;
    uint64_t expected, behind, present; /* bytes: of all, of finished objects, of this one */
    bool unknown_size;
    uint64_t refused;
    json_int_t sums[SUP_COUNT(sums)];
    json_t *events, *verdicts; /* counts by name */
    json_t *refusals;
};

struct sup_tally *sup_tally_new(struct sup_cli *cli)
{
    struct sup_tally *t = calloc(1, sizeof(*t));

    if (t == NULL)
        return NULL;
    t->cli = cli;
    t->terminal = isatty(STDERR_FILENO) != 0 && !cli->json;
    t->started_ms = sup_mono_ms();
    t->events = json_object();
    t->verdicts = json_object();
    t->refusals = json_array();
    if (t->events != NULL && t->verdicts != NULL && t->refusals != NULL)
        return t;
    sup_tally_free(t);
    return NULL;
}

void sup_tally_free(struct sup_tally *t)
{
    if (t == NULL)
        return;
    json_decref(t->events);
    json_decref(t->verdicts);
    json_decref(t->refusals);
    free(t);
}

/* --- progress --- */

static double seconds(const struct sup_tally *t)
{
    int64_t ms = sup_mono_ms() - t->started_ms;
    return ms > 0 ? (double)ms / 1000 : 0.001;
}

static void draw(struct sup_tally *t)
{
    char bar[31] = "", eta[32] = "";
    double s = seconds(t), at = (double)(t->behind + t->present);
    double part = t->expected > 0 && !t->unknown_size ? at / (double)t->expected : 0;

    part = part > 1 ? 1 : part;
    if (t->expected > 0 && !t->unknown_size) {
        for (size_t i = 0; i < sizeof(bar) - 1; i++)
            bar[i] = (double)i < part * 30 ? '#' : '.';
        bar[30] = '\0';
        if (part > 0.01)
            snprintf(eta, sizeof(eta), ", %.0f s left", s / part - s);
    }
    fprintf(stderr, "\r\033[K%s %.1f MB, %.0f events/s%s, %" PRIu64 " refused", bar, at / 1e6,
            (double)t->sums[0] / s, eta, t->refused);
    fflush(stderr);
}

bool sup_tally_is_shown(const struct sup_tally *t)
{
    return t->terminal;
}

void sup_tally_expect(struct sup_tally *t, uint64_t bytes)
{
    t->expected += bytes;
    t->unknown_size |= bytes == 0;
}

void sup_tally_object(struct sup_tally *t, uint64_t bytes, bool done_before)
{
    t->objects++;
    t->objects_before += done_before;
    t->present = done_before ? bytes : 0;
}

void sup_tally_progress(struct sup_tally *t, uint64_t read)
{
    t->present = read;
    if (!t->terminal || sup_mono_ms() - t->drawn_ms < REDRAW_MS)
        return;
    t->drawn_ms = sup_mono_ms();
    draw(t);
}

void sup_tally_object_done(struct sup_tally *t)
{
    t->behind += t->present;
    t->present = 0;
    t->objects_done++;
}

/* --- results --- */

static void add_counts(json_t *to, const json_t *from)
{
    json_t *object = (json_t *)(uintptr_t)from; /* jansson's iterators only read it */

    for (void *it = json_object_iter(object); it != NULL; it = json_object_iter_next(object, it)) {
        const char *key = json_object_iter_key(it);
        json_int_t sum = json_integer_value(json_object_get(to, key)) +
                         json_integer_value(json_object_iter_value(it));
        json_object_set_new(to, key, json_integer(sum));
    }
}

void sup_tally_add(struct sup_tally *t, const char *object, const json_t *answer,
                   const uint64_t *offsets, size_t n)
{
    const json_t *list = json_object_get(answer, "refused");
    size_t i;
    json_t *one;

    for (i = 0; i < SUP_COUNT(sums); i++)
        t->sums[i] += json_integer_value(json_object_get(answer, sums[i]));
    add_counts(t->events, json_object_get(answer, "events"));
    add_counts(t->verdicts, json_object_get(answer, "verdicts"));
    json_array_foreach(list, i, one)
    {
        json_int_t at = json_integer_value(json_object_get(one, "index"));
        if (at >= 0 && (size_t)at < n)
            sup_tally_refuse(t, object, offsets[at], sup_cli_text(one, "error", "no reason given"));
    }
}

void sup_tally_refuse(struct sup_tally *t, const char *object, uint64_t offset, const char *why)
{
    t->refused++;
    if (json_array_size(t->refusals) >= REFUSALS_KEPT)
        return;
    /* A file's name need not be UTF-8. */
    json_t *name = json_string(object);
    json_array_append_new(t->refusals, json_pack("{s:o, s:I, s:s}", "object",
                                                 name != NULL ? name : json_string("?"), "offset",
                                                 (json_int_t)offset, "error", why));
}

uint64_t sup_tally_refused(const struct sup_tally *t)
{
    return t->refused;
}

static void print_json(struct sup_tally *t)
{
    json_t *o = json_pack("{s:I, s:I, s:O, s:O, s:I, s:O, s:f}", "objects", (json_int_t)t->objects,
                          "objects_done_before", (json_int_t)t->objects_before, "events", t->events,
                          "verdicts", t->verdicts, "refused", (json_int_t)t->refused, "refusals",
                          t->refusals, "seconds", seconds(t));

    for (size_t i = 0; i < SUP_COUNT(sums); i++)
        json_object_set_new(o, sums[i], json_integer(t->sums[i]));
    sup_cli_put_json(o);
    json_decref(o);
}

static void print_counts(struct sup_cli *cli, const char *head, const json_t *counts)
{
    json_t *object = (json_t *)(uintptr_t)counts; /* jansson's iterators only read it */
    void *first = json_object_iter(object);

    for (void *it = first; it != NULL; it = json_object_iter_next(object, it)) {
        sup_cli_put(cli, SUP_DIM, 10, it == first ? head : "");
        sup_cli_put(cli, SUP_PLAIN, 20, json_object_iter_key(it));
        printf("%12" JSON_INTEGER_FORMAT "\n", json_integer_value(json_object_iter_value(it)));
    }
}

static void print_sums(struct sup_tally *t)
{
    printf("%" PRIu64 " objects", t->objects);
    if (t->objects_before > 0)
        printf(" (%" PRIu64 " done before)", t->objects_before);
    printf(", %" JSON_INTEGER_FORMAT " documents in %.1f s, %.0f a second\n", t->sums[0],
           seconds(t), (double)t->sums[0] / seconds(t));
    print_counts(t->cli, "events", t->events);
    print_counts(t->cli, "verdicts", t->verdicts);
    for (size_t i = 1; i < SUP_COUNT(sums) - 1; i++) {
        sup_cli_put(t->cli, SUP_DIM, 10, i == 1 ? "decisions" : "");
        sup_cli_put(t->cli, SUP_PLAIN, 20,
                    i == 4   ? "older than known"
                    : i == 3 ? "seen before"
                             : sums[i]);
        printf("%12" JSON_INTEGER_FORMAT "\n", t->sums[i]);
    }
}

void sup_tally_print(struct sup_tally *t)
{
    size_t i;
    json_t *one;

    if (t->terminal)
        fputs("\r\033[K", stderr);
    if (t->cli->json) {
        print_json(t);
        return;
    }
    print_sums(t);
    sup_cli_put(t->cli, t->refused > 0 ? SUP_RED : SUP_DIM, 30, "refused");
    printf("%12" PRIu64 "\n", t->refused);
    json_array_foreach(t->refusals, i, one)
    {
        printf("  ");
        sup_cli_put(t->cli, SUP_PLAIN, 0, sup_cli_text(one, "object", "?"));
        printf("+%" JSON_INTEGER_FORMAT ": ", json_integer_value(json_object_get(one, "offset")));
        sup_cli_put(t->cli, SUP_PLAIN, 0, sup_cli_text(one, "error", ""));
        putchar('\n');
    }
    if (t->refused > json_array_size(t->refusals))
        printf("  and %" PRIu64 " more\n", t->refused - (uint64_t)json_array_size(t->refusals));
}
