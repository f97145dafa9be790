#ifndef SUP_CORE_JSON_BIND_H
#define SUP_CORE_JSON_BIND_H

#include "base/buf.h"
#include "base/err.h"
#include "core/json.h"

#include <stdbool.h>
#include <stddef.h>

/* Reading JSON objects into structs by table: one row a member that is wanted. Members that no row
 * names are passed over. */

struct sup_json_target;

enum sup_json_bind_kind {
    SUP_BIND_TEXT,   /* struct sup_slice; null: empty */
    SUP_BIND_TIME,   /* int64_t wall ms; null and what sup_time_parse refuses: SUP_NO_TIME */
    SUP_BIND_OBJECT, /* ->table, into the struct at offset; null: as if absent */
    SUP_BIND_ARRAY,  /* ->element for each element; null: as if absent */
    SUP_BIND_MEMBERS /* ->member for each member of an object; null: as if absent */
};

struct sup_json_bind {
    const char *name;
    enum sup_json_bind_kind kind;
    /* A wrong JSON type makes the member absent instead of the document unreadable. */
    bool lax;
    size_t offset; /* in the struct at target->base */
    const struct sup_json_table *table;
    /* OBJECT (base already the inner one), ARRAY, MEMBERS; may be NULL: called when the member
     * begins. A member that comes twice begins twice: drop what the first one left, the last one
     * wins. present: it is of the right type. */
    void (*begin)(struct sup_json_target *t, bool present);
    int (*element)(struct sup_json_target *t, struct sup_json_value *v);
    int (*member)(struct sup_json_target *t, struct sup_slice name, struct sup_json_value *v);
};

struct sup_json_table {
    const struct sup_json_bind *rows;
    size_t n;
};

#define SUP_JSON_TABLE(rows)                                                                       \
    {                                                                                              \
        (rows), SUP_COUNT(rows)                                                                    \
    }

struct sup_json_target {
    const struct sup_json_table *table;
    const char *name; /* of the member being read, for errors */
    void *base;       /* the struct that offsets count in */
    void *owner;      /* for begin and element */
    struct sup_err *err;
};

/* Reads the members of v (an OBJECT; anything else is SUP_EINPUT) into t. */
int sup_json_bind_object(struct sup_json_target *t, struct sup_json_value *v);

/* SUP_EINPUT "NAME is a string, not an object". */
int sup_json_bind_mismatch(const struct sup_json_target *t, const struct sup_json_value *v,
                           const char *wanted);

#endif
