#include "aws/sns_message.h"

#include "aws/http.h"
#include "base/array.h"
#include "base/clock.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SIGNATURE_CHARS_MAX 4096

/* --- reading --- */

/* The member's text. out stays as it was when it is absent or null. */
static int text(const json_t *o, const char *key, const char **out, struct sup_err *err)
{
    const json_t *v = json_object_get(o, key);

    if (v == NULL || json_is_null(v))
        return SUP_OK;
    if (!json_is_string(v))
        return sup_err_set(err, SUP_EINPUT, "%s is not a string", key);
    *out = json_string_value(v);
    return SUP_OK;
}

static int read_texts(struct sup_sns_message *m, const json_t *o, struct sup_err *err)
{
    const struct {
        const char *key;
        const char **to;
    } members[] = {
        {"Type", &m->type_text},
        {"Message", &m->message},
        {"MessageId", &m->message_id},
        {"Subject", &m->subject},
        {"Timestamp", &m->timestamp},
        {"Token", &m->token},
        {"TopicArn", &m->topic_arn},
        {"Signature", &m->signature},
        {"SubscribeUrl", &m->subscribe_url},
        {"SubscribeURL", &m->subscribe_url},
        {"SigningCertUrl", &m->cert_url},
        {"SigningCertURL", &m->cert_url},
    };

    for (size_t i = 0; i < SUP_COUNT(members); i++) {
        int rc = text(o, members[i].key, members[i].to, err);
        if (rc != SUP_OK)
            return rc;
    }
    return SUP_OK;
}

static int read_type(struct sup_sns_message *m, struct sup_err *err)
{
    if (m->type_text == NULL)
        return sup_err_set(err, SUP_EINPUT, "no SNS message: it has no Type");
    if (strcmp(m->type_text, "Notification") == 0)
        m->type = SUP_SNS_NOTIFICATION;
    else if (strcmp(m->type_text, "SubscriptionConfirmation") == 0)
        m->type = SUP_SNS_SUBSCRIBE;
    else if (strcmp(m->type_text, "UnsubscribeConfirmation") == 0)
        m->type = SUP_SNS_UNSUBSCRIBE;
    else
        return sup_err_set(err, SUP_EINPUT, "SNS message of an unknown Type");
    return SUP_OK;
}

static int read_version(struct sup_sns_message *m, const json_t *o, struct sup_err *err)
{
    const char *version = NULL;
    int rc = text(o, "SignatureVersion", &version, err);

    if (rc != SUP_OK)
        return rc;
    if (version != NULL && strcmp(version, "1") == 0)
        m->version = 1;
    else if (version != NULL && strcmp(version, "2") == 0)
        m->version = 2;
    else
        return sup_err_set(err, SUP_EINPUT, "SignatureVersion is neither 1 nor 2");
    return SUP_OK;
}

static int check_members(const struct sup_sns_message *m, struct sup_err *err)
{
    bool confirmation = m->type != SUP_SNS_NOTIFICATION;
    const struct {
        const char *key;
        const char *value;
    } needed[] = {
        {"Message", m->message},
        {"MessageId", m->message_id},
        {"Timestamp", m->timestamp},
        {"TopicArn", m->topic_arn},
        {"Signature", m->signature},
        {"SigningCertURL", m->cert_url},
        {"Token", confirmation ? m->token : ""},
        {"SubscribeURL", confirmation ? m->subscribe_url : ""},
    };

    for (size_t i = 0; i < SUP_COUNT(needed); i++)
        if (needed[i].value == NULL)
            return sup_err_set(err, SUP_EINPUT, "SNS message without %s", needed[i].key);
    return SUP_OK;
}

static int read_members(struct sup_sns_message *m, const json_t *o, struct sup_err *err)
{
    int rc = read_texts(m, o, err);

    if (rc == SUP_OK)
        rc = read_type(m, err);
    if (rc == SUP_OK)
        rc = check_members(m, err);
    if (rc == SUP_OK)
        rc = read_version(m, o, err);
    if (rc == SUP_OK &&
        sup_time_parse(m->timestamp, strlen(m->timestamp), &m->timestamp_ms) != SUP_OK)
        rc = sup_err_set(err, SUP_EINPUT, "Timestamp is not a time");
    return rc;
}

int sup_sns_message_read(struct sup_sns_message *m, struct sup_slice body, struct sup_err *err)
{
    json_error_t why;

    *m = (struct sup_sns_message){0};
    if (body.n > SUP_SNS_BODY_MAX)
        return sup_err_set(err, SUP_ELIMIT, "longer than SNS sends: %d bytes", SUP_SNS_BODY_MAX);
    /* Repeated members are refused: who verifies and who reads must see the same. */
    json_t *o = json_loadb((const char *)body.p, body.n, JSON_REJECT_DUPLICATES, &why);
    if (o == NULL)
        return sup_err_set(err, SUP_EINPUT, "malformed JSON at byte %d: %s", why.position,
                           why.text);
    m->mem = o;
    int rc = json_is_object(o) ? read_members(m, o, err)
                               : sup_err_set(err, SUP_EINPUT, "no SNS message: not an object");
    if (rc != SUP_OK)
        sup_sns_message_fini(m);
    return rc;
}

void sup_sns_message_fini(struct sup_sns_message *m)
{
    json_decref(m->mem);
    *m = (struct sup_sns_message){0};
}

/* --- signature --- */

static void add_line(struct sup_buf *out, const char *key, const char *value)
{
    sup_buf_add_str(out, key);
    sup_buf_add_byte(out, '\n');
    sup_buf_add_str(out, value);
    sup_buf_add_byte(out, '\n');
}

void sup_sns_string_to_sign(const struct sup_sns_message *m, struct sup_buf *out)
{
    bool confirmation = m->type != SUP_SNS_NOTIFICATION;

    add_line(out, "Message", m->message);
    add_line(out, "MessageId", m->message_id);
    if (!confirmation && m->subject != NULL)
        add_line(out, "Subject", m->subject);
    if (confirmation)
        add_line(out, "SubscribeURL", m->subscribe_url);
    add_line(out, "Timestamp", m->timestamp);
    if (confirmation)
        add_line(out, "Token", m->token);
    add_line(out, "TopicArn", m->topic_arn);
    add_line(out, "Type", m->type_text);
}

int sup_sns_signature(const struct sup_sns_message *m, struct sup_buf *out, struct sup_err *err)
{
    unsigned char chars[SIGNATURE_CHARS_MAX];
    size_t n = 0, padding = 0;

    for (const char *p = m->signature; *p != '\0'; p++) {
        if (strchr(" \t\r\n", *p) != NULL)
            continue;
        if (n == sizeof(chars) || (padding > 0 && *p != '='))
            return sup_err_set(err, SUP_EINPUT, "Signature is not base64");
        padding += *p == '=';
        chars[n++] = (unsigned char)*p;
    }
    uint8_t *to = sup_buf_reserve(out, n / 4 * 3);
    if (n == 0 || n % 4 != 0 || padding > 2 || to == NULL)
        return sup_err_set(err, SUP_EINPUT, "Signature is not base64");
    int bytes = EVP_DecodeBlock(to, chars, (int)n);
    if (bytes < 0)
        return sup_err_set(err, SUP_EINPUT, "Signature is not base64");
    out->n += (size_t)bytes - padding;
    return SUP_OK;
}

/* --- addresses --- */

static bool is_region_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
}

int sup_sns_topic_region(const char *arn, char region[SUP_SNS_REGION_MAX], struct sup_err *err)
{
    size_t n = 0;
    const char *p = strncmp(arn, "arn:", 4) == 0 ? strchr(arn + 4, ':') : NULL;

    if (p == NULL || strncmp(p, ":sns:", 5) != 0)
        return sup_err_set(err, SUP_EINPUT, "TopicArn is not the ARN of a topic");
    for (p += 5; is_region_char(*p) && n < SUP_SNS_REGION_MAX - 1; p++)
        region[n++] = *p;
    region[n] = '\0';
    if (n < 3 || *p != ':')
        return sup_err_set(err, SUP_EINPUT, "TopicArn names no Region");
    return SUP_OK;
}

static bool starts(struct sup_slice *s, const char *text)
{
    size_t n = strlen(text);

    if (s->n < n || strncasecmp((const char *)s->p, text, n) != 0)
        return false;
    s->p += n;
    s->n -= n;
    return true;
}

static bool ends(struct sup_slice *s, const char *text)
{
    size_t n = strlen(text);

    if (s->n < n || strncasecmp((const char *)s->p + s->n - n, text, n) != 0)
        return false;
    s->n -= n;
    return true;
}

/* sns.REGION.amazonaws.com, with .cn in China: the pattern of AWS's PHP and JavaScript validators.
 */
static bool is_sns_host(struct sup_slice host, const char *region)
{
    if (!starts(&host, "sns."))
        return false;
    if (!ends(&host, ".amazonaws.com") && !ends(&host, ".amazonaws.com.cn"))
        return false;
    for (size_t i = 0; i < host.n; i++)
        if (!is_region_char((char)host.p[i]))
            return false;
    if (region == NULL)
        return host.n >= 3;
    return host.n == strlen(region) && strncasecmp((const char *)host.p, region, host.n) == 0;
}

static int check_place(const char *what, const char *url, const char *region, struct sup_url *u,
                       struct sup_err *err)
{
    if (sup_url_parse(u, url, NULL) != SUP_OK)
        return sup_err_set(err, SUP_EINPUT, "%s is not a URL", what);
    if (u->scheme.n != 5)
        return sup_err_set(err, SUP_EINPUT, "%s is not https", what);
    if (u->authority.n != u->host.n || !is_sns_host(u->host, region))
        return sup_err_set(err, SUP_EINPUT, "%s is not on SNS's host of the topic's Region", what);
    return SUP_OK;
}

int sup_sns_cert_url_check(const char *url, const char *region, struct sup_err *err)
{
    struct sup_url u;
    int rc = check_place("SigningCertURL", url, region, &u, err);

    if (rc != SUP_OK)
        return rc;
    struct sup_slice name = u.path;
    bool ok = strchr(url, '?') == NULL && starts(&name, "/SimpleNotificationService-") &&
              ends(&name, ".pem") && name.n > 0;
    for (size_t i = 0; i < name.n; i++)
        ok = ok && name.p[i] != '-' && is_region_char((char)name.p[i]);
    return ok ? SUP_OK
              : sup_err_set(err, SUP_EINPUT, "SigningCertURL does not name one of SNS's files");
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Does the encoded text stand for want? */
static bool decodes_to(struct sup_slice encoded, const char *want)
{
    size_t i = 0;

    for (; i < encoded.n && *want != '\0'; i++, want++) {
        int c = encoded.p[i];
        if (c == '%' && i + 2 < encoded.n && hex_digit(encoded.p[i + 1]) >= 0 &&
            hex_digit(encoded.p[i + 2]) >= 0) {
            c = hex_digit(encoded.p[i + 1]) * 16 + hex_digit(encoded.p[i + 2]);
            i += 2;
        }
        if (c != (unsigned char)*want)
            return false;
    }
    return i == encoded.n && *want == '\0';
}

/* Is key=value the one parameter of that name? */
static bool has_parameter(struct sup_slice query, const char *key, const char *value)
{
    size_t seen = 0, right = 0;

    while (query.n > 0) {
        const uint8_t *amp = memchr(query.p, '&', query.n);
        struct sup_slice one = {query.p, amp != NULL ? (size_t)(amp - query.p) : query.n};
        query = sup_slice_of(query.p + one.n, query.n - one.n);
        if (query.n > 0)
            query = sup_slice_of(query.p + 1, query.n - 1);
        const uint8_t *eq = one.n > 0 ? memchr(one.p, '=', one.n) : NULL;
        if (eq == NULL || (size_t)(eq - one.p) != strlen(key) ||
            strncmp((const char *)one.p, key, strlen(key)) != 0)
            continue;
        seen++;
        right += decodes_to(sup_slice_of(eq + 1, one.n - strlen(key) - 1), value);
    }
    return seen == 1 && right == 1;
}

int sup_sns_subscribe_url_check(const char *url, const char *topic_arn, struct sup_err *err)
{
    char region[SUP_SNS_REGION_MAX];
    struct sup_url u;
    int rc = sup_sns_topic_region(topic_arn, region, err);

    if (rc == SUP_OK)
        rc = check_place("SubscribeURL", url, region, &u, err);
    if (rc != SUP_OK)
        return rc;
    if (u.path.n > 1 || !has_parameter(u.query, "Action", "ConfirmSubscription") ||
        !has_parameter(u.query, "TopicArn", topic_arn))
        return sup_err_set(err, SUP_EINPUT, "SubscribeURL does not confirm this topic");
    return SUP_OK;
}
