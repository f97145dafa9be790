#ifndef SUP_CORE_JSON_H
#define SUP_CORE_JSON_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

/* A strict JSON reader (RFC 8259) that builds no tree: the document is walked once, front to back,
 * and hands every value to a function of the caller's, who takes it, descends into it or ignores
 * it. What is ignored is walked and validated all the same.
 *
 * Refused: anything that is not one JSON object or array with white space around it; invalid UTF-8,
 * unpaired surrogates (\ud800 alone), raw control characters in strings; integers outside
 * [-2^63, 2^64) and reals that overflow a double; nesting past SUP_JSON_DEPTH_MAX (of arrays and
 * objects that hold something); documents longer than the parser's maximum. \u0000 is allowed and
 * is a NUL byte in the string. Repeated keys are handed out as they come: whoever stores the latest
 * has "the last one wins".
 *
 * The parser stands behind struct sup_json_ops, so that it can be exchanged and so that tests can
 * hold the fast one against a plain one. */

#define SUP_JSON_DEPTH_MAX 64

#ifdef __cplusplus
extern "C" {
#endif

enum sup_json_type {
    SUP_JSON_NULL,
    SUP_JSON_BOOL,
    SUP_JSON_NUMBER,
    SUP_JSON_STRING,
    SUP_JSON_ARRAY,
    SUP_JSON_OBJECT
};

/* A value under the cursor. Lives during the call that hands it out and can be taken once. */
struct sup_json_value {
    enum sup_json_type type;
    const struct sup_json_ops *ops;
};

/* Takes one member or element. Anything but SUP_OK ends the walk, and is what sup_json_walk
 * returns; the function has set the error then. */
struct sup_json_sink {
    int (*take)(void *ctx, struct sup_slice key, struct sup_json_value *v);
    void *ctx;
};

struct sup_json_parser;

struct sup_json_ops {
    struct sup_json_parser *(*new_parser)(size_t max_bytes);
    void (*free_parser)(struct sup_json_parser *p);
    int (*walk)(struct sup_json_parser *p, struct sup_slice text, struct sup_json_sink root,
                struct sup_err *err);
    struct sup_slice (*string)(struct sup_json_value *v);
    double (*number)(struct sup_json_value *v);
    bool (*boolean)(struct sup_json_value *v);
    int (*each)(struct sup_json_value *v, struct sup_json_sink sink);
};

/* The fast one, over simdjson (json_simdjson.cc). */
extern const struct sup_json_ops sup_json_simdjson;

/* Walks one document: root.take gets the outermost value (key empty). text is copied; it need not
 * be padded and may go once the call returns, and so may the slices of an earlier walk: strings
 * that were handed out live in the parser until its next walk. Errors: SUP_EINPUT with what and the
 * byte offset where, SUP_ELIMIT, SUP_ENOMEM, or the sink's own. */
static inline int sup_json_walk(const struct sup_json_ops *ops, struct sup_json_parser *p,
                                struct sup_slice text, struct sup_json_sink root,
                                struct sup_err *err)
{
    return ops->walk(p, text, root, err);
}

/* The string, unescaped; v->type must be STRING. */
static inline struct sup_slice sup_json_string(struct sup_json_value *v)
{
    return v->ops->string(v);
}

/* The number, rounded to the nearest double; v->type must be NUMBER. */
static inline double sup_json_number(struct sup_json_value *v)
{
    return v->ops->number(v);
}

/* v->type must be BOOL. */
static inline bool sup_json_bool(struct sup_json_value *v)
{
    return v->ops->boolean(v);
}

/* Hands every member (key) or element (key empty) to sink; v->type must be OBJECT or ARRAY. What it
 * returns (not SUP_OK) must be passed on by the caller. */
static inline int sup_json_each(struct sup_json_value *v, struct sup_json_sink sink)
{
    return v->ops->each(v, sink);
}

#ifdef __cplusplus
}
#endif

#endif
