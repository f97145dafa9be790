#ifndef SUP_CORE_JSON_SPLIT_H
#define SUP_CORE_JSON_SPLIT_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>

/* Cuts one JSON document off the front of *rest, which moves behind it: up to the bracket that
 * closes the first one, strings minded; else little is validated. Where there is no bracket to
 * begin with, up to the next line; where brackets never close, or a text shows that quotes were
 * lost, up to the next line that begins with '{': so that one damaged document does not take the
 * others with it. Where documents stand in one line, an object whose first name is that of an event
 * or envelope begins the next one as well. False when only white space is left. */
bool sup_json_split(struct sup_slice *rest, struct sup_slice *document);

/* The same for a text that comes in pieces. {0} at the start of each document; keeps how far the
 * document has been looked at, so that no byte is looked at twice however small the pieces are. */
struct sup_json_cut {
    size_t scanned; /* bytes of the document */
    size_t depth;
    bool in_string;
    bool escaped;
    bool behind_string;
    bool damaged;
};

enum sup_json_cut_result {
    SUP_JSON_CUT_FOUND, /* *document is a document of text; the rest of text is behind it */
    SUP_JSON_CUT_MORE,  /* text ends within a document, which begins at document->p: drop what is
                           before, and come again with it and what follows */
    SUP_JSON_CUT_END    /* only white space */
};

/* last: nothing follows text, or nothing more of it can be kept: then a document that does not
 * close is cut as sup_json_split does. *c is {0} again after FOUND and END. */
enum sup_json_cut_result sup_json_cut(struct sup_json_cut *c, struct sup_slice text, bool last,
                                      struct sup_slice *document);

/* Finds where the next document may begin behind something damaged: *at >= from. False: nowhere in
 * text; look again from *at on when more of it is there (not last). */
bool sup_json_next_start(struct sup_slice text, size_t from, bool last, size_t *at);

#endif
