#ifndef SIM_SNS_SIGNER_H
#define SIM_SNS_SIGNER_H

#include "buf.h"

#include <openssl/evp.h>
#include <stdbool.h>

/* The key that SNS messages are signed with, made at start, and its self-signed certificate. Any
 * thread once made. */
struct sim_sns_signer {
    EVP_PKEY *key;
    char *pem;     /* certificate */
    char path[96]; /* /SimpleNotificationService-<hex>.pem */
    int version;   /* SignatureVersion: 1 RSA-SHA1 (the default of AWS), 2 RSA-SHA256, 0 none */
};

bool sim_sns_signer_init(struct sim_sns_signer *s, int version);
void sim_sns_signer_fini(struct sim_sns_signer *s);

/* "Verifying the signatures of Amazon SNS messages" of the SNS developer guide: names and values of
 * the signed members, one a line. subject may be NULL. The signature comes in base64. */
struct sim_notification {
    const char *message;
    const char *message_id;
    const char *subject;
    const char *timestamp;
    const char *topic_arn;
};
void sim_sns_sign(const struct sim_sns_signer *s, const struct sim_notification *n,
                  struct sim_buf *signature);

#endif
