#ifndef SUP_AWS_SNS_KEYS_H
#define SUP_AWS_SNS_KEYS_H

#include "aws/http.h"
#include "aws/sns_message.h"

#include <stdint.h>

/* SNS's signing certificates: fetched from SNS's own hosts, checked up to an authority, kept by URL
 * in a cache of bounded size. Any thread. */
struct sup_sns_keys;

struct sup_sns_keys_options {
    struct sup_http_transport http;
    const char *ca_bundle;   /* authorities that end chains; NULL: the system's */
    const char *issuers;     /* PEM file with the certificates between SNS's and an authority; NULL:
                                they are fetched from Amazon's repository */
    const char *test_signer; /* "http://127.0.0.1:PORT" of a local AWS, whose certificates need no
                                chain; NULL or "": none. Never anything but loopback */
    struct sup_stop *stop;   /* may be NULL; ends fetches */
    int64_t (*mono_ms)(void); /* NULL: the system's */
};

/* Strings are copied. SUP_EINPUT: a file, or a test_signer that is not loopback. SUP_ENOMEM. */
int sup_sns_keys_new(struct sup_sns_keys **out, const struct sup_sns_keys_options *opts,
                     struct sup_err *err);
void sup_sns_keys_free(struct sup_sns_keys *k); /* no call may be running; NULL is fine */

/* Is m signed by SNS of its topic's Region, as of now_ms? SUP_OK. SUP_EAUTH, SUP_EINPUT: no, and
 * never will be. SUP_EAGAIN: it cannot be told now (nothing fetched, too many fetches): the sender
 * should try again. SUP_ECLOSED, SUP_ENOMEM. */
int sup_sns_keys_verify(struct sup_sns_keys *k, const struct sup_sns_message *m, int64_t now_ms,
                        struct sup_err *err);

/* Follows the SubscribeURL of a verified confirmation, once, without redirects. Results as above.
 */
int sup_sns_keys_confirm(struct sup_sns_keys *k, const struct sup_sns_message *m,
                         struct sup_err *err);

#endif
