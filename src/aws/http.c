/* The libcurl transport. One multi handle around each easy handle: the multi holds the connections,
 * and its poll is what lets a stop interrupt a long poll. */
#include "aws/http.h"

#include "base/clock.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define IDLE_MAX      64
#define POLL_SLICE_MS 200 /* how late a stop is noticed */

struct slot {
    CURLM *multi;
    CURL *easy;
};

struct sup_http {
    pthread_mutex_t mutex;
    struct slot idle[IDLE_MAX]; /* the last one in is the first one out: its connection is warm */
    size_t n_idle;
    char *ca_bundle;
    char *https_proxy;
    char *http_proxy;
    char *no_proxy;
    int64_t connect_timeout_ms;
    int64_t timeout_ms;
    size_t max_body;
};

/* What the callbacks of one exchange need. */
struct exchange {
    struct sup_http_response *r;
    bool too_large;
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static CURLcode curl_state;

static void init_curl(void)
{
    curl_state = curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* ---- pool ---- */

static int copy_text(char **to, const char *from)
{
    if (from == NULL || from[0] == '\0')
        return SUP_OK;
    *to = strdup(from);
    return *to != NULL ? SUP_OK : SUP_ENOMEM;
}

int sup_http_new(struct sup_http **out, const struct sup_http_options *opt, struct sup_err *err)
{
    static const struct sup_http_options none;

    if (opt == NULL)
        opt = &none;
    *out = NULL;
    pthread_once(&curl_once, init_curl);
    if (curl_state != CURLE_OK)
        return sup_err_set(err, SUP_EIO, "libcurl: %s", curl_easy_strerror(curl_state));
    struct sup_http *h = calloc(1, sizeof *h);
    if (h == NULL)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    pthread_mutex_init(&h->mutex, NULL);
    h->connect_timeout_ms = opt->connect_timeout_ms > 0 ? opt->connect_timeout_ms : 5000;
    h->timeout_ms = opt->timeout_ms > 0 ? opt->timeout_ms : 30000;
    h->max_body = opt->max_body > 0 ? opt->max_body : 16u << 20;
    if (copy_text(&h->ca_bundle, opt->ca_bundle) != SUP_OK ||
        copy_text(&h->https_proxy, opt->https_proxy) != SUP_OK ||
        copy_text(&h->http_proxy, opt->http_proxy) != SUP_OK ||
        copy_text(&h->no_proxy, opt->no_proxy) != SUP_OK) {
        sup_http_free(h);
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    }
    *out = h;
    return SUP_OK;
}

static void slot_fini(struct slot *s)
{
    if (s->easy != NULL)
        curl_easy_cleanup(s->easy);
    if (s->multi != NULL)
        curl_multi_cleanup(s->multi);
}

void sup_http_free(struct sup_http *h)
{
    if (h == NULL)
        return;
    for (size_t i = 0; i < h->n_idle; i++)
        slot_fini(&h->idle[i]);
    pthread_mutex_destroy(&h->mutex);
    free(h->ca_bundle);
    free(h->https_proxy);
    free(h->http_proxy);
    free(h->no_proxy);
    free(h);
}

static int slot_take(struct sup_http *h, struct slot *s)
{
    *s = (struct slot){0};
    pthread_mutex_lock(&h->mutex);
    if (h->n_idle > 0)
        *s = h->idle[--h->n_idle];
    pthread_mutex_unlock(&h->mutex);
    if (s->easy != NULL)
        return SUP_OK;
    s->multi = curl_multi_init();
    s->easy = curl_easy_init();
    if (s->multi != NULL && s->easy != NULL)
        return SUP_OK;
    slot_fini(s);
    return SUP_ENOMEM;
}

static void slot_give(struct sup_http *h, struct slot *s)
{
    pthread_mutex_lock(&h->mutex);
    bool keep = h->n_idle < IDLE_MAX;
    if (keep)
        h->idle[h->n_idle++] = *s;
    pthread_mutex_unlock(&h->mutex);
    if (!keep)
        slot_fini(s);
}

/* ---- callbacks ---- */

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
    struct exchange *x = arg;

    sup_buf_add(&x->r->body, data, size * n);
    if (x->r->body.failed == SUP_OK)
        return size * n;
    x->too_large = x->r->body.failed == SUP_ELIMIT;
    return 0;
}

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
    struct exchange *x = arg;
    size_t len = size * n;
    const char *end = line + len;

    /* A new status line (after 100 Continue) begins a new set. */
    if (len > 5 && memcmp(line, "HTTP/", 5) == 0) {
        sup_buf_reset(&x->r->headers);
        return len;
    }
    const char *colon = memchr(line, ':', len);
    if (colon == NULL)
        return len;
    const char *value = colon + 1;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && (end[-1] == '\n' || end[-1] == '\r' || end[-1] == ' '))
        end--;
    sup_http_response_add_header(x->r, line, (size_t)(colon - line), value, (size_t)(end - value));
    return len;
}

/* ---- options ---- */

static bool header_is_clean(const struct sup_header *h)
{
    return h->name != NULL && h->value != NULL && h->name[0] != '\0' &&
           strpbrk(h->name, "\r\n: ") == NULL && strpbrk(h->value, "\r\n") == NULL;
}

static int append(struct curl_slist **list, const char *line)
{
    struct curl_slist *more = curl_slist_append(*list, line);
    if (more == NULL)
        return SUP_ENOMEM;
    *list = more;
    return SUP_OK;
}

static int make_headers(struct curl_slist **list, const struct sup_http_request *req)
{
    bool type = false;
    int rc = append(list, "Expect:");

    for (size_t i = 0; rc == SUP_OK && i < req->n_headers; i++) {
        const struct sup_header *h = &req->headers[i];
        struct sup_buf line;
        if (!header_is_clean(h))
            return SUP_EINPUT;
        type = type || strcasecmp(h->name, "content-type") == 0;
        sup_buf_init(&line, 1u << 20);
        /* libcurl's way to say "send it, with no value" is a semicolon. */
        if (h->value[0] == '\0')
            sup_buf_addf(&line, "%s;", h->name);
        else
            sup_buf_addf(&line, "%s: %s", h->name, h->value);
        rc = line.failed != SUP_OK ? line.failed : append(list, sup_buf_str(&line));
        sup_buf_fini(&line);
    }
    if (rc == SUP_OK && !type)
        rc = append(list, "Content-Type:");
    return rc;
}

static void set_method(CURL *e, const struct sup_http_request *req)
{
    bool body =
        req->body.n > 0 || strcmp(req->method, "POST") == 0 || strcmp(req->method, "PUT") == 0;

    if (body) {
        curl_easy_setopt(e, CURLOPT_POST, 1L);
        curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)req->body.n);
        curl_easy_setopt(e, CURLOPT_POSTFIELDS, req->body.n > 0 ? (const char *)req->body.p : "");
    } else if (strcmp(req->method, "HEAD") == 0) {
        curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
    } else {
        curl_easy_setopt(e, CURLOPT_HTTPGET, 1L);
    }
    curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, req->method);
}

/* Loopback and link-local hosts (the metadata services) are never asked through a proxy. */
static void set_proxy(CURL *e, const struct sup_http *h, const struct sup_http_request *req,
                      const struct sup_url *url)
{
    const char *proxy = url->scheme.n == 5 ? h->https_proxy : h->http_proxy;
    bool local = sup_url_is_loopback(url) ||
                 (url->host.n > 8 && memcmp(url->host.p, "169.254.", 8) == 0) ||
                 (url->host.n > 9 && strncasecmp((const char *)url->host.p, "fd00:ec2:", 9) == 0);

    /* An empty proxy keeps libcurl from looking into the environment. */
    curl_easy_setopt(e, CURLOPT_PROXY, proxy == NULL || local || req->no_proxy ? "" : proxy);
    if (h->no_proxy != NULL)
        curl_easy_setopt(e, CURLOPT_NOPROXY, h->no_proxy);
}

static void set_limits(CURL *e, const struct sup_http *h, const struct sup_http_request *req,
                       size_t max_body)
{
    int64_t connect = req->connect_timeout_ms > 0 ? req->connect_timeout_ms : h->connect_timeout_ms;
    int64_t total = req->timeout_ms > 0 ? req->timeout_ms : h->timeout_ms;

    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)(connect < total ? connect : total));
    curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)total);
    curl_easy_setopt(e, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)max_body);
    /* A name lookup that hangs must not hold up a stop: its thread is left to itself. */
    curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
}

static void set_protocol(CURL *e, const struct sup_http *h, const struct sup_http_request *req)
{
    curl_easy_setopt(e, CURLOPT_URL, req->url);
    curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, req->no_repeat ? 1L : 0L);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_USERAGENT, "supsync/" SUPSYNC_VERSION);
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (h->ca_bundle != NULL)
        curl_easy_setopt(e, CURLOPT_CAINFO, h->ca_bundle);
    if (req->decode)
        curl_easy_setopt(e, CURLOPT_ACCEPT_ENCODING, "gzip");
}

/* ---- the exchange ---- */

static int map_error(CURLcode code, const struct exchange *x)
{
    switch (code) {
    case CURLE_OK:
        return SUP_OK;
    case CURLE_OPERATION_TIMEDOUT:
        return SUP_ETIMEDOUT;
    case CURLE_FILESIZE_EXCEEDED:
        return SUP_ELIMIT;
    case CURLE_WRITE_ERROR:
        return x->too_large ? SUP_ELIMIT : SUP_ENOMEM;
    case CURLE_OUT_OF_MEMORY:
        return SUP_ENOMEM;
    case CURLE_URL_MALFORMAT:
    case CURLE_SSL_CACERT_BADFILE:
        return SUP_EINPUT;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
        return SUP_EAUTH;
    default:
        return SUP_EIO;
    }
}

/* Drives the transfer to its end. libcurl keeps the deadlines, on the monotonic clock. */
static int drive(struct slot *s, struct sup_stop *stop, CURLcode *result)
{
    int running = 1;

    while (running > 0) {
        if (stop != NULL && sup_stop_is_set(stop))
            return SUP_ECLOSED;
        if (curl_multi_perform(s->multi, &running) != CURLM_OK)
            return SUP_EIO;
        if (running > 0 && curl_multi_poll(s->multi, NULL, 0, POLL_SLICE_MS, NULL) != CURLM_OK)
            return SUP_EIO;
    }
    int left = 0;
    CURLMsg *msg = NULL;
    *result = CURLE_RECV_ERROR;
    while ((msg = curl_multi_info_read(s->multi, &left)) != NULL)
        if (msg->msg == CURLMSG_DONE)
            *result = msg->data.result;
    return SUP_OK;
}

static int run(struct slot *s, const struct sup_http_request *req, struct exchange *x,
               struct sup_err *err)
{
    CURLcode result = CURLE_OK;
    long status = 0;
    curl_off_t pretransfer = 0;

    if (curl_multi_add_handle(s->multi, s->easy) != CURLM_OK)
        return sup_err_set(err, SUP_ENOMEM, "libcurl: cannot start a transfer");
    int rc = drive(s, req->stop, &result);
    curl_easy_getinfo(s->easy, CURLINFO_PRETRANSFER_TIME_T, &pretransfer);
    curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_multi_remove_handle(s->multi, s->easy);
    x->r->sent = pretransfer > 0;
    x->r->status = (int)status;
    if (rc == SUP_ECLOSED)
        return sup_err_set(err, rc, "stopped while waiting for a reply");
    if (rc != SUP_OK)
        return sup_err_set(err, rc, "libcurl: transfer broke off");
    rc = map_error(result, x);
    if (rc == SUP_ELIMIT)
        return sup_err_set(err, rc, "reply is larger than %zu bytes", x->r->body.max);
    return rc == SUP_OK ? rc : sup_err_set(err, rc, "%s", curl_easy_strerror(result));
}

static int http_send(void *arg, const struct sup_http_request *req, struct sup_http_response *r,
                     struct sup_err *err)
{
    struct sup_http *h = arg;
    struct exchange x = {.r = r};
    struct curl_slist *headers = NULL;
    struct sup_url url;
    struct slot s;

    sup_http_response_reset(r);
    r->body.max = req->max_body > 0 ? req->max_body : h->max_body;
    int rc = sup_url_parse(&url, req->url, err);
    if (rc != SUP_OK)
        return rc;
    if (slot_take(h, &s) != SUP_OK)
        return sup_err_set(err, SUP_ENOMEM, "libcurl: out of memory");
    rc = make_headers(&headers, req);
    if (rc != SUP_OK) {
        sup_err_set(err, rc, "a request header cannot be sent as it is");
        goto out;
    }
    set_protocol(s.easy, h, req);
    set_limits(s.easy, h, req, r->body.max);
    set_proxy(s.easy, h, req, &url);
    set_method(s.easy, req);
    curl_easy_setopt(s.easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(s.easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(s.easy, CURLOPT_WRITEDATA, &x);
    curl_easy_setopt(s.easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(s.easy, CURLOPT_HEADERDATA, &x);
    rc = run(&s, req, &x, err);
out:
    curl_easy_reset(s.easy); /* forgets options and secrets, keeps connections */
    curl_slist_free_all(headers);
    slot_give(h, &s);
    return rc;
}

struct sup_http_transport sup_http_transport(struct sup_http *h)
{
    return (struct sup_http_transport){.send = http_send, .arg = h};
}
