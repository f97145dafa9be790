#ifndef SUP_SERVICE_SQS_MESSAGES_H
#define SUP_SERVICE_SQS_MESSAGES_H

#include "aws/sqs.h"
#include "core/json.h"

/* The reply to ReceiveMessage, read without a tree, since every event comes by here: a tree costs
 * more than all the rest that is done for an event. For struct sup_sqs_receive's read, with parser
 * as its arg: a struct sup_json_parser, in which the batch's strings live until its next walk. */
int sup_sqs_messages_read(void *parser, struct sup_slice reply, struct sup_sqs_batch *b,
                          struct sup_err *err);

/* Ten bodies of 1 MiB, each byte escaped to six in the worst case. */
#define SUP_SQS_REPLY_MAX (80U << 20)

#endif
