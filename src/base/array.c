#include "base/array.h"

#include "base/err.h"

#include <stdint.h>
#include <stdlib.h>

#define FIRST_CAP 8

int sup_array_grow(void **items, size_t *cap, size_t need, size_t size)
{
    if (need <= *cap)
        return SUP_OK;
    if (size == 0 || need > SIZE_MAX / size)
        return SUP_ENOMEM;

    size_t want = *cap > SIZE_MAX / size / 2 ? need : *cap * 2;
    if (want < FIRST_CAP && FIRST_CAP <= SIZE_MAX / size)
        want = FIRST_CAP;
    if (want < need)
        want = need;
    void *grown = realloc(*items, want * size);
    if (grown == NULL)
        return SUP_ENOMEM;
    *items = grown;
    *cap = want;
    return SUP_OK;
}
