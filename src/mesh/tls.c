#include "mesh/tls.h"

#include "base/buf.h"
#include "base/log.h"
#include "mesh/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PEM_MAX (1U << 20)

static void wipe(char *secret)
{
    if (secret)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}

static int read_all(int fd, struct sup_buf *out)
{
    for (;;) {
        uint8_t piece[4096];
        ssize_t n = read(fd, piece, sizeof(piece));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? SUP_EIO : out->failed;
        sup_buf_add(out, piece, (size_t)n);
        explicit_bzero(piece, (size_t)n);
        if (out->failed)
            return out->failed;
    }
}

/* A key that others can read is no secret; a warning, since group access can be wanted. */
static void warn_if_open(int fd, const char *path)
{
    struct stat st;

    if (fstat(fd, &st) == 0 && (st.st_mode & S_IROTH) != 0)
        sup_log_warn("mesh", "private key is readable by everybody", SUP_S("file", path));
}

static int read_file(const char *path, bool secret, char **out, struct sup_err *err)
{
    struct sup_buf text;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return sup_err_set(err, SUP_EIO, "%s: %s", path, strerror(errno));
    if (secret)
        warn_if_open(fd, path);
    /* One allocation of the final size: growing would leave copies of a key behind. */
    sup_buf_init(&text, PEM_MAX);
    (void)sup_buf_reserve(&text, PEM_MAX);
    int rc = read_all(fd, &text);
    int saved = errno;
    (void)close(fd);
    if (rc == SUP_EIO)
        (void)sup_err_set(err, rc, "%s: %s", path, strerror(saved));
    else if (rc != SUP_OK)
        (void)sup_err_set(err, rc, "%s: larger than %u bytes or no memory", path, PEM_MAX);
    else if (text.n > 0 && memchr(text.p, '\0', text.n))
        rc = sup_err_set(err, SUP_EINPUT, "%s: not a PEM file", path);
    if (rc == SUP_OK)
        *out = strdup(sup_buf_str(&text));
    if (text.p)
        explicit_bzero(text.p, text.n);
    sup_buf_fini(&text);
    if (rc == SUP_OK && !*out)
        rc = sup_err_set(err, SUP_ENOMEM, "%s: no memory", path);
    return rc;
}

static int read_pem(const char *path, const char *marker, char **out, struct sup_err *err)
{
    bool secret = strcmp(marker, "PRIVATE KEY-----") == 0;
    int rc = read_file(path, secret, out, err);

    if (rc != SUP_OK)
        return rc;
    if (!strstr(*out, "-----BEGIN ") || !strstr(*out, marker))
        return sup_err_set(err, SUP_EINPUT, "%s: holds no PEM block \"%s\"", path, marker);
    if (secret && (strstr(*out, "BEGIN ENCRYPTED") || strstr(*out, "Proc-Type: 4,ENCRYPTED")))
        return sup_err_set(err, SUP_EINPUT,
                           "%s: is encrypted; supsync needs a key without a passphrase", path);
    return SUP_OK;
}

/* --- what is in force --- */

struct sup_mesh_tls {
    struct slot *slot;
};

struct slot {
    pthread_mutex_t mutex;
    struct sup_identity *identity;
    atomic_uint used;
};

static int read_pems(const struct sup_mesh_tls_files *files, struct sup_identity_pem *pem,
                     struct sup_err *err)
{
    int rc = read_pem(files->ca, "CERTIFICATE-----", &pem->ca, err);

    if (rc == SUP_OK)
        rc = read_pem(files->cert, "CERTIFICATE-----", &pem->cert, err);
    if (rc == SUP_OK)
        rc = read_pem(files->key, "PRIVATE KEY-----", &pem->key, err);
    if (rc == SUP_OK && files->crl && *files->crl != '\0')
        rc = read_pem(files->crl, "X509 CRL-----", &pem->crl, err);
    return rc;
}

static int read_identity(const struct sup_mesh_tls_files *files, struct sup_identity **out,
                         struct sup_err *err)
{
    struct sup_identity_pem pem = {.crl_grace_ms = files->crl_grace_ms};
    int rc = read_pems(files, &pem, err);

    if (rc == SUP_OK) {
        rc = sup_identity_new(&pem, files->node, out, err);
        if (rc != SUP_OK)
            (void)sup_err_prefix(err, rc, "%s, %s, %s", files->ca, files->cert, files->key);
    }
    free(pem.ca);
    free(pem.cert);
    wipe(pem.key);
    free(pem.crl);
    return rc;
}

int sup_mesh_tls_load(const struct sup_mesh_tls_files *files, struct sup_mesh_tls **out,
                      struct sup_err *err)
{
    struct sup_mesh_tls *tls = calloc(1, sizeof(*tls));
    struct slot *slot = calloc(1, sizeof(*slot));
    int rc = tls && slot ? SUP_OK : sup_err_set(err, SUP_ENOMEM, "no memory for certificates");

    if (rc == SUP_OK)
        rc = read_identity(files, &slot->identity, err);
    if (rc != SUP_OK) {
        free(slot);
        free(tls);
        return rc;
    }
    pthread_mutex_init(&slot->mutex, NULL);
    tls->slot = slot;
    *out = tls;
    return SUP_OK;
}

int sup_mesh_tls_reload(struct sup_mesh_tls *tls, const struct sup_mesh_tls_files *files,
                        struct sup_err *err)
{
    struct sup_identity *fresh;
    int rc = read_identity(files, &fresh, err);

    if (rc != SUP_OK)
        return rc;
    pthread_mutex_lock(&tls->slot->mutex);
    struct sup_identity *old = tls->slot->identity;
    tls->slot->identity = fresh;
    pthread_mutex_unlock(&tls->slot->mutex);
    sup_identity_release(old);
    return SUP_OK;
}

struct sup_identity *sup_mesh_tls_identity(const struct sup_mesh_tls *tls)
{
    pthread_mutex_lock(&tls->slot->mutex);
    struct sup_identity *id = sup_identity_hold(tls->slot->identity);
    pthread_mutex_unlock(&tls->slot->mutex);
    sup_handover_mark(&tls->slot->used);
    return id;
}

void sup_mesh_tls_dates(const struct sup_mesh_tls *tls, struct sup_mesh_tls_dates *out)
{
    struct sup_identity *id = sup_mesh_tls_identity(tls);

    sup_identity_dates(id, out);
    sup_identity_release(id);
}

void sup_mesh_tls_free(struct sup_mesh_tls *tls)
{
    if (!tls)
        return;
    sup_handover_see(&tls->slot->used); /* by connections, which ended with their endpoints */
    sup_identity_release(tls->slot->identity);
    pthread_mutex_destroy(&tls->slot->mutex);
    free(tls->slot);
    free(tls);
}
