#ifndef SIM_OPS_H
#define SIM_OPS_H

#include <stdbool.h>

/* Every operation there is: service, AWS's name, handler. One list feeds the enum, the names that
 * faults and call counts go by, and the dispatch. */
#define SIM_OPS(X)                                                                                 \
    X(SES, PutSuppressedDestination, sim_ses_put_suppressed)                                       \
    X(SES, GetSuppressedDestination, sim_ses_get_suppressed)                                       \
    X(SES, DeleteSuppressedDestination, sim_ses_delete_suppressed)                                 \
    X(SES, ListSuppressedDestinations, sim_ses_list_suppressed)                                    \
    X(SES, GetAccount, sim_ses_get_account)                                                        \
    X(SES, PutAccountSuppressionAttributes, sim_ses_put_account_suppression)                       \
    X(SES, PutAccountSendingAttributes, sim_ses_put_account_sending)                               \
    X(SES, CreateConfigurationSet, sim_ses_create_set)                                             \
    X(SES, GetConfigurationSet, sim_ses_get_set)                                                   \
    X(SES, DeleteConfigurationSet, sim_ses_delete_set)                                             \
    X(SES, ListConfigurationSets, sim_ses_list_sets)                                               \
    X(SES, PutConfigurationSetSuppressionOptions, sim_ses_put_set_suppression)                     \
    X(SES, CreateTenant, sim_ses_create_tenant)                                                    \
    X(SES, GetTenant, sim_ses_get_tenant)                                                          \
    X(SES, DeleteTenant, sim_ses_delete_tenant)                                                    \
    X(SES, ListTenants, sim_ses_list_tenants)                                                      \
    X(SES, PutTenantSuppressionAttributes, sim_ses_put_tenant_suppression)                         \
    X(SES, CreateImportJob, sim_ses_create_import)                                                 \
    X(SES, GetImportJob, sim_ses_get_import)                                                       \
    X(SES, ListImportJobs, sim_ses_list_imports)                                                   \
    X(SES, SendEmail, sim_ses_send_email)                                                          \
    X(SQS, SendMessage, sim_sqs_send)                                                              \
    X(SQS, SendMessageBatch, sim_sqs_send_batch)                                                   \
    X(SQS, ReceiveMessage, sim_sqs_receive)                                                        \
    X(SQS, DeleteMessage, sim_sqs_delete)                                                          \
    X(SQS, DeleteMessageBatch, sim_sqs_delete_batch)                                               \
    X(SQS, ChangeMessageVisibility, sim_sqs_change_visibility)                                     \
    X(SQS, ChangeMessageVisibilityBatch, sim_sqs_change_visibility_batch)                          \
    X(SQS, CreateQueue, sim_sqs_create_queue)                                                      \
    X(SQS, DeleteQueue, sim_sqs_delete_queue)                                                      \
    X(SQS, GetQueueUrl, sim_sqs_get_queue_url)                                                     \
    X(SQS, ListQueues, sim_sqs_list_queues)                                                        \
    X(SQS, GetQueueAttributes, sim_sqs_get_attributes)                                             \
    X(SQS, SetQueueAttributes, sim_sqs_set_attributes)                                             \
    X(SQS, PurgeQueue, sim_sqs_purge_queue)                                                        \
    X(SNS, CreateTopic, sim_sns_create_topic)                                                      \
    X(SNS, ListTopics, sim_sns_list_topics)                                                        \
    X(SNS, Subscribe, sim_sns_subscribe)                                                           \
    X(SNS, Unsubscribe, sim_sns_unsubscribe)                                                       \
    X(SNS, ListSubscriptionsByTopic, sim_sns_list_subscriptions)                                   \
    X(SNS, Publish, sim_sns_publish_op)                                                            \
    X(STS, AssumeRole, sim_sts_assume_role)                                                        \
    X(STS, AssumeRoleWithWebIdentity, sim_sts_assume_role_web)                                     \
    X(STS, GetCallerIdentity, sim_sts_caller_identity)                                             \
    X(S3, CreateBucket, sim_s3_create_bucket)                                                      \
    X(S3, HeadBucket, sim_s3_head_bucket)                                                          \
    X(S3, ListBuckets, sim_s3_list_buckets)                                                        \
    X(S3, GetBucketLocation, sim_s3_bucket_location)                                               \
    X(S3, ListObjectsV2, sim_s3_list_objects)                                                      \
    X(S3, PutObject, sim_s3_put_object)                                                            \
    X(S3, GetObject, sim_s3_get_object)                                                            \
    X(S3, HeadObject, sim_s3_head_object)                                                          \
    X(S3, DeleteObject, sim_s3_delete_object)

enum sim_service { SIM_NO_SERVICE, SIM_SES, SIM_SQS, SIM_SNS, SIM_STS, SIM_S3 };

enum sim_op {
    SIM_OP_NONE,
#define X(service, name, handler) SIM_OP_##name,
    SIM_OPS(X)
#undef X
        SIM_OP_COUNT
};

struct sim_request;

/* DONE: the reply (or error) is in the request. PARKED: the request waits and will be handled again
 * from the start of its handler. */
enum sim_outcome { SIM_DONE, SIM_PARKED };

struct sim_op_info {
    const char *name;
    enum sim_service service;
    enum sim_outcome (*handler)(struct sim_request *r);
};
const struct sim_op_info *sim_op_info(enum sim_op op);
/* SIM_OP_NONE when unknown. SIM_NO_SERVICE searches all. */
enum sim_op sim_op_find(enum sim_service service, const char *name);

#define X(service, name, handler) enum sim_outcome handler(struct sim_request *r);
SIM_OPS(X)
#undef X

#endif
