#ifndef SUP_HTTP_WATCH_H
#define SUP_HTTP_WATCH_H

#include <stdbool.h>
#include <stdint.h>

/* libmicrohttpd's time-out counts silence only: a client that sends a byte now and then would keep
 * its connection for ever. The watch gives every request as a whole a deadline. */

struct sup_watch;   /* all connections of a server */
struct sup_watched; /* one of them */

struct sup_watch *sup_watch_new(void); /* starts a thread; NULL when there is none to be had */
/* All connections have been removed before, or are so from here on. Waits for the thread. */
void sup_watch_free(struct sup_watch *w);

/* Within ms from now a request must have arrived in full (sup_watched_hold), or the connection is
 * shut down. add returns NULL when out of memory: then the connection is not watched. */
struct sup_watched *sup_watch_add(struct sup_watch *w, int fd, int64_t ms);
void sup_watched_expect(struct sup_watched *c, int64_t ms);
void sup_watched_hold(struct sup_watched *c); /* the request is here: no deadline */
void sup_watched_remove(struct sup_watched *c);

#endif
