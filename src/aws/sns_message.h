#ifndef SUP_AWS_SNS_MESSAGE_H
#define SUP_AWS_SNS_MESSAGE_H

#include "base/buf.h"
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

/* An SNS message as it is posted to an HTTP endpoint, and the text that its signature is over. All
 * pure, any thread. Rules: SNS developer guide, "Verifying the signatures of Amazon SNS messages",
 * and AWS's own validators for PHP and Java. */

#define SUP_SNS_BODY_MAX (256 * 1024) /* what SNS publishes at most */

enum sup_sns_type { SUP_SNS_NOTIFICATION, SUP_SNS_SUBSCRIBE, SUP_SNS_UNSUBSCRIBE };

struct sup_sns_message {
    enum sup_sns_type type;
    const char *type_text;
    const char *message;
    const char *message_id;
    const char *subject; /* NULL: none (absent or null) */
    const char *subscribe_url;
    const char *timestamp;
    const char *token;
    const char *topic_arn;
    const char *signature;
    const char *cert_url;
    int version; /* 1: SHA-1, 2: SHA-256 */
    int64_t timestamp_ms;
    void *mem; /* owns the texts */
};

/* Reads a posted body. SUP_EINPUT: no SNS message, a member missing or given twice, an unknown
 * Type, an unknown SignatureVersion, a Timestamp that is none. SUP_ELIMIT: longer than SNS sends.
 * The spellings that Lambda uses (SigningCertUrl, SubscribeUrl) are read, too. */
int sup_sns_message_read(struct sup_sns_message *m, struct sup_slice body, struct sup_err *err);
void sup_sns_message_fini(struct sup_sns_message *m);

/* Appends the text to sign: "Key\nValue\n" in the order of the guide. */
void sup_sns_string_to_sign(const struct sup_sns_message *m, struct sup_buf *out);

/* Appends the signature's bytes. Its base64 may be broken into lines. SUP_EINPUT. */
int sup_sns_signature(const struct sup_sns_message *m, struct sup_buf *out, struct sup_err *err);

/* The Region of a topic's ARN. SUP_EINPUT when arn is none. */
#define SUP_SNS_REGION_MAX 64
int sup_sns_topic_region(const char *arn, char region[SUP_SNS_REGION_MAX], struct sup_err *err);

/* May a signing certificate be fetched from url? https, SNS's own host of this Region (NULL: of
 * any), the default port, a path such as /SimpleNotificationService-HEX.pem, nothing else. S3
 * hosts, which also end in amazonaws.com and which anybody can write to, are the known attack. */
int sup_sns_cert_url_check(const char *url, const char *region, struct sup_err *err);
/* May url be followed to confirm a subscription to topic_arn? https, SNS's host of the topic's
 * Region, Action=ConfirmSubscription and this TopicArn. */
int sup_sns_subscribe_url_check(const char *url, const char *topic_arn, struct sup_err *err);

#endif
