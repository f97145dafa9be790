#ifndef SUP_HTTP_SERVER_INTERNAL_H
#define SUP_HTTP_SERVER_INTERNAL_H

#include "base/thread.h"
#include "http/auth.h"
#include "http/listen.h"
#include "http/server.h"
#include "http/watch.h"

#include <microhttpd.h>

/* The server's inside, for its own files: server.c starts and stops it, dispatch.c takes requests
 * through it, stream.c counts its jobs. */

#define SUP_HTTPD_REQUEST_MS 30000 /* for a request to arrive in full */
#define SUP_HTTPD_IDLE_S     60    /* silence on a connection */
#define SUP_HTTPD_LARGE      8     /* requests with large bodies at once: bounds their memory */

/* One door: the Unix socket or TCP. */
struct sup_httpd_side {
    struct sup_httpd *server;
    struct MHD_Daemon *daemon;
    bool tcp;
};

struct sup_httpd {
    const struct sup_options *options;
    _Atomic(struct sup_service *) service;
    struct sup_httpd_side local, tcp;
    struct sup_unix_listener listener;
    unsigned port;
    struct sup_buf tls_cert, tls_key;
    struct sup_watch *watch;

    pthread_rwlock_t tokens_lock;
    struct sup_tokens *tokens;

    pthread_mutex_t mutex;
    pthread_cond_t changed;
    unsigned jobs;      /* under mutex */
    atomic_uint inside; /* requests begun and not completed */
    atomic_uint large;  /* of them, those with large bodies */
    atomic_bool stopping;
};

/* A request that works on a thread of its own counts as a job: the server waits for all of them
 * before it stops. False: too many run already, or the server stops. */
bool sup_httpd_job_begin(struct sup_httpd *h);
void sup_httpd_job_end(struct sup_httpd *h);
bool sup_httpd_is_stopping(struct sup_httpd *h);

/* MHD's callbacks (dispatch.c). cls is the struct sup_httpd_side. */
void *sup_httpd_on_target(void *cls, const char *target, struct MHD_Connection *c);
enum MHD_Result sup_httpd_on_request(void *cls, struct MHD_Connection *c, const char *url,
                                     const char *method, const char *version, const char *upload,
                                     size_t *upload_n, void **req);
void sup_httpd_on_completed(void *cls, struct MHD_Connection *c, void **req,
                            enum MHD_RequestTerminationCode how);
void sup_httpd_on_connection(void *cls, struct MHD_Connection *c, void **socket_context,
                             enum MHD_ConnectionNotificationCode what);

#endif
