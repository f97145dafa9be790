#ifndef SUP_HTTP_AUTH_H
#define SUP_HTTP_AUTH_H

#include "base/err.h"
#include "http/request.h"

/* Who may ask over TCP. On the Unix socket the file's permissions are the lock. */

struct sup_tokens;

/* Reads a token file: one token a line, or NAME and token, "#" begins a comment. SUP_EINPUT: others
 * than owner and group may read it, a token is shorter than 16 characters, or none is in it. path
 * "" gives an empty set, which means that no token is needed. */
int sup_tokens_load(const char *path, struct sup_tokens **out, struct sup_err *err);
void sup_tokens_free(struct sup_tokens *t);

/* Is it one of ours? Takes the same time wherever a wrong token differs. The name (or "token") goes
 * to name. */
bool sup_tokens_match(const struct sup_tokens *t, const char *token, char *name, size_t cap);
bool sup_tokens_needed(const struct sup_tokens *t);

/* False after having answered 401 or 403. */
bool sup_auth_check(struct sup_httpd_req *req, const struct sup_tokens *tokens);

#endif
