/* Texts that live as long as one result. */
#include "service/internal.h"

#include <stdlib.h>
#include <string.h>

struct text {
    struct text *next;
    char s[];
};

struct sup_text_pool {
    struct text *first;
};

struct sup_text_pool *sup_text_pool_new(void)
{
    return calloc(1, sizeof(struct sup_text_pool));
}

void sup_text_pool_free(struct sup_text_pool *p)
{
    if (!p)
        return;
    while (p->first) {
        struct text *next = p->first->next;
        free(p->first);
        p->first = next;
    }
    free(p);
}

const char *sup_text_pool_add(struct sup_text_pool *p, struct sup_slice s)
{
    struct text *t;

    if (s.n == 0)
        return "";
    t = malloc(sizeof(*t) + s.n + 1);
    if (!t)
        return "";
    memcpy(t->s, s.p, s.n);
    t->s[s.n] = '\0';
    t->next = p->first;
    p->first = t;
    return t->s;
}
