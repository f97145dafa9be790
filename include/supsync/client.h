#ifndef SUPSYNC_CLIENT_H
#define SUPSYNC_CLIENT_H

#include <stddef.h>
#include <stdint.h>

/* Client of the supsync agent's check API: may I mail this address?
 *
 * Link with -lsupsync-client -lcurl -ljansson -lpthread. A handle keeps one connection to the agent
 * alive and may be used by several threads (calls on one handle take turns; use one handle a thread
 * for speed). Nothing here aborts, and no answer is ever "allow" unless the agent said so. */

#ifdef __cplusplus
extern "C" {
#endif

#define SUP_CLIENT_SOCKET "/run/supsync/admin.sock" /* where the agent listens by default */

enum sup_verdict {
    SUP_VERDICT_ALLOW = 0,
    SUP_VERDICT_BLOCK = 1,
    SUP_VERDICT_UNKNOWN = 2 /* not an address, or the agent cannot say; decide for yourself */
};

#define SUP_CLIENT_TEXT_MAX 200

struct sup_client_answer {
    enum sup_verdict verdict;
    char reason[16];               /* "BOUNCE", "COMPLAINT", or "" */
    char cause[32];                /* how the decision came about, or "" */
    char since[32];                /* RFC 3339 UTC, or "" */
    char why[SUP_CLIENT_TEXT_MAX]; /* for unknown: what is wrong */
};

struct sup_client;

/* socket_path NULL: the environment's SUPSYNC_SOCKET, else SUP_CLIENT_SOCKET. Connects at the first
 * call, and again by itself after the agent was restarted. Returns NULL when out of memory. */
struct sup_client *sup_client_open(const char *socket_path);
void sup_client_close(struct sup_client *c); /* NULL is fine */

/* Each call may take so long; default 5000. */
void sup_client_set_timeout(struct sup_client *c, long timeout_ms);

/* Each returns 0 when every answer came from the agent, else -1 (no agent, or it was not able to
 * answer): then the answers that are missing are SUP_VERDICT_UNKNOWN, with the reason in why.
 * Addresses are UTF-8 and NUL-terminated. check_many sends them a thousand at a time. */
int sup_client_check(struct sup_client *c, const char *address, struct sup_client_answer *out);
int sup_client_check_many(struct sup_client *c, const char *const *addresses, size_t n,
                          struct sup_client_answer *out);

#ifdef __cplusplus
}
#endif

#endif
