/* Any bytes as the URL of a signing certificate or of a confirmation. What is taken is what a plain
 * reading of the rule takes: https, SNS's host, a file of SNS's. */
#include "fuzz.h"

#include "aws/sns_message.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

static bool label(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-", p[i]) == NULL)
            return false;
    return n > 0;
}

/* The host of an accepted URL, told apart by hand. */
static void check_host(const char *url)
{
    FUZZ_CHECK(strncasecmp(url, "https://sns.", 12) == 0);
    const char *region = url + 12;
    size_t n = strcspn(region, "./?#@:\\");
    FUZZ_CHECK(label(region, n));
    const char *rest = region + n;
    FUZZ_CHECK(strncasecmp(rest, ".amazonaws.com", 14) == 0);
    rest += 14;
    if (strncasecmp(rest, ".cn", 3) == 0)
        rest += 3;
    FUZZ_CHECK(*rest == '/' || *rest == '?');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char arn[] = "arn:aws:sns:eu-west-1:123456789012:t";
    char url[1025], region[SUP_SNS_REGION_MAX];

    if (size > sizeof(url) - 1)
        return 0;
    if (size > 0)
        memcpy(url, data, size);
    url[size] = '\0';
    if (sup_sns_cert_url_check(url, NULL, NULL) == SUP_OK) {
        check_host(url);
        const char *path = strchr(url + 8, '/');
        FUZZ_CHECK(path != NULL && strncasecmp(path, "/SimpleNotificationService-", 27) == 0);
        size_t n = strlen(path + 27);
        FUZZ_CHECK(n > 4 && strcasecmp(path + 27 + n - 4, ".pem") == 0);
        FUZZ_CHECK(label(path + 27, n - 4) && memchr(path + 27, '-', n) == NULL);
    }
    if (sup_sns_subscribe_url_check(url, arn, NULL) == SUP_OK) {
        check_host(url);
        FUZZ_CHECK(strncasecmp(url, "https://sns.eu-west-1.", 22) == 0);
        FUZZ_CHECK(strstr(url, "Action=") != NULL && strstr(url, "TopicArn=") != NULL);
    }
    if (sup_sns_topic_region(url, region, NULL) == SUP_OK)
        FUZZ_CHECK(label(region, strlen(region)) && strstr(url, region) != NULL);
    struct sup_sns_message m;
    if (sup_sns_message_read(&m, sup_slice_of(data, size), NULL) == SUP_OK)
        sup_sns_message_fini(&m);
    return 0;
}
