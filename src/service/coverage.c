/* What an audit found: made by one thread, then shared unchanged. */
#include "service/coverage.h"

#include "base/array.h"
#include "base/text.h"
#include "base/utf8.h"
#include "service/coverage_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* SES allows 10,000 configuration sets an account; and who reads a thousand texts? */
#define ITEMS_MAX 50000
#define TEXTS_MAX 1000

struct sup_coverage *sup_coverage_new(void)
{
    struct sup_coverage *c = calloc(1, sizeof(*c));

    if (c)
        atomic_init(&c->holders, 1);
    return c;
}

struct sup_coverage *sup_coverage_hold(struct sup_coverage *c)
{
    if (c)
        atomic_fetch_add(&c->holders, 1);
    return c;
}

void sup_coverage_drop(struct sup_coverage *c)
{
    if (!c || atomic_fetch_sub(&c->holders, 1) > 1)
        return;
    free(c->sets.items);
    free(c->tenants.items);
    for (size_t i = 0; i < SUP_COUNT(c->texts); i++)
        free(c->texts[i]);
    free(c);
}

static struct sup_coverage_texts *kept(struct sup_coverage *c, int kind)
{
    return kind == SUP_COVERAGE_GAP_TEXTS       ? &c->brief.gaps
           : kind == SUP_COVERAGE_UNKNOWN_TEXTS ? &c->brief.unknown
                                                : &c->brief.notes;
}

/* Names and messages are SES's, or of somebody who answers in its place; a text may end within a
 * character. */
static void clean(char *text)
{
    bool sound = sup_utf8_valid(text, strlen(text));

    for (; *text != '\0'; text++) {
        unsigned char b = (unsigned char)*text;
        if (b < ' ' || b == 0x7f || (b >= 0x80 && !sound))
            *text = '?';
    }
}

static void say(struct sup_coverage *c, int kind, char *text)
{
    struct sup_coverage_texts *k = kept(c, kind);
    void *grown = c->texts[kind];
    size_t at = c->n_texts[kind];

    clean(text);
    k->total++;
    if (k->n < SUP_COVERAGE_KEPT_MAX)
        sup_text_copy(k->text[k->n++], sizeof(k->text[0]), text);
    if (at == TEXTS_MAX ||
        sup_array_grow(&grown, &c->cap_texts[kind], at + 1, sizeof(*c->texts[0])) != SUP_OK)
        return;
    c->texts[kind] = grown;
    sup_text_copy(c->texts[kind][at], sizeof(c->texts[kind][at]), text);
    c->n_texts[kind]++;
}

void sup_coverage_say(struct sup_coverage *c, int kind, const char *fmt, ...)
{
    char text[SUP_COVERAGE_TEXT_MAX + 1];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    say(c, kind, text);
}

void sup_coverage_say_gaps(struct sup_coverage *c, enum sup_level level, const char *name,
                           const struct sup_effective *e)
{
    char texts[SUP_COVERAGE_TEXTS][SUP_COVERAGE_TEXT_MAX + 1];
    size_t n = sup_coverage_explain(level, name, sup_coverage_own_gaps(e, level), texts,
                                    SUP_COVERAGE_TEXTS);

    for (size_t i = 0; i < n; i++)
        say(c, SUP_COVERAGE_GAP_TEXTS, texts[i]);
}

void sup_coverage_add_change(struct sup_coverage *c, const struct sup_coverage_change *change)
{
    if (c->n_changes == SUP_COVERAGE_CHANGES_MAX)
        memmove(c->changes, c->changes + 1, --c->n_changes * sizeof(c->changes[0]));
    c->changes[c->n_changes++] = *change;
}

struct sup_coverage_item *sup_coverage_add(struct sup_coverage_items *list, const char *name)
{
    void *grown = list->items;
    struct sup_coverage_item *item;

    if (list->n == ITEMS_MAX ||
        sup_array_grow(&grown, &list->cap, list->n + 1, sizeof(*list->items)) != SUP_OK)
        return NULL;
    list->items = grown;
    item = &list->items[list->n++];
    memset(item, 0, sizeof(*item));
    sup_text_copy(item->name, sizeof(item->name), name);
    clean(item->name);
    return item;
}

void sup_coverage_conclude(struct sup_coverage *c)
{
    c->brief.n_sets = c->sets.n;
    c->brief.n_tenants = c->tenants.n;
    c->brief.tenants_known = c->tenants.known;
    c->brief.state = c->brief.gaps.total > 0      ? SUP_COVERAGE_GAPS
                     : c->brief.unknown.total > 0 ? SUP_COVERAGE_UNKNOWN
                                                  : SUP_COVERAGE_COVERED;
}
