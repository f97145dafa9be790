#include "cli/plan_file.h"

#include "codec/hash.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VERSION       1
#define LINE_MAX_B    (64 * 1024) /* two addresses, escaped at worst, and some words */
#define PATH_MAX_B    4096
#define REFUSAL_BYTES 65536

/* --- writing --- */

static bool write_piece(void *arg, const char *p, size_t n)
{
    return fwrite(p, 1, n, arg) == n;
}

static int fetch(struct sup_cli *cli, const char *id, FILE *f, struct sup_err *err)
{
    struct sup_buf target;
    struct sup_buf refusal;
    long status = 0;

    sup_buf_init(&target, PATH_MAX_B);
    sup_buf_init(&refusal, REFUSAL_BYTES);
    sup_buf_add_str(&target, "/v1/plans/");
    sup_percent_encode(&target, id);
    sup_buf_add_byte(&target, 0);
    struct sup_call call = {
        .method = "GET", .target = (const char *)target.p, .piece = write_piece, .arg = f};
    int rc = target.failed ? sup_err_set(err, target.failed, "the plan's id is too long")
                           : sup_transport_call(cli->transport, &call, &refusal, &status, err);
    if (rc == SUP_OK && status != 200) {
        json_t *v = json_loadb((const char *)refusal.p, refusal.n, 0, NULL);
        rc = sup_err_set(err, SUP_EINPUT, "%s", sup_cli_detail(v));
        json_decref(v);
    }
    sup_buf_fini(&target);
    sup_buf_fini(&refusal);
    return rc;
}

int sup_plan_file_save(struct sup_cli *cli, const char *id, const char *path, struct sup_err *err)
{
    struct sup_plan_file saved;
    FILE *f = fopen(path, "wxe");
    int rc;

    if (!f)
        return sup_err_set(err, errno == EEXIST ? SUP_EEXIST : SUP_EIO, "%s: %s", path,
                           strerror(errno));
    rc = fetch(cli, id, f, err);
    bool written = fflush(f) == 0 && fsync(fileno(f)) == 0;
    if (fclose(f) != 0)
        written = false;
    if (rc == SUP_OK && !written)
        rc = sup_err_set(err, SUP_EIO, "%s: cannot be written", path);
    if (rc == SUP_OK)
        rc = sup_plan_file_check(path, &saved, err);
    if (rc != SUP_OK)
        (void)unlink(path);
    return rc;
}

/* --- reading --- */

static int read_head(const char *line, struct sup_plan_file *out, struct sup_err *err)
{
    json_t *v = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
    const json_t *version = json_object_get(v, "supsync_plan");
    const char *id = json_string_value(json_object_get(v, "id"));
    int rc = SUP_OK;

    if (!json_is_integer(version))
        rc = sup_err_set(err, SUP_EINPUT,
                         "not a plan file: save one by reconcile --dry-run "
                         "--save FILE");
    else if (json_integer_value(version) != VERSION)
        rc = sup_err_set(err, SUP_EVERSION, "a plan of version %lld; this program knows %d",
                         (long long)json_integer_value(version), VERSION);
    else if (id == NULL || strlen(id) >= sizeof(out->id))
        rc = sup_err_set(err, SUP_ECORRUPT, "damaged: the first line has no id");
    else
        memcpy(out->id, id, strlen(id) + 1);
    json_decref(v);
    return rc;
}

/* The last line: the checksum of all before. */
static int read_tail(const char *line, uint64_t sum, struct sup_plan_file *out, struct sup_err *err)
{
    char tail[64];

    snprintf(out->checksum, sizeof(out->checksum), "%016" PRIx64, sum);
    snprintf(tail, sizeof(tail), "{\"checksum\":\"%s\"}\n", out->checksum);
    if (strcmp(line, tail) != 0)
        return sup_err_set(err, SUP_ECORRUPT, "damaged, changed or cut off: the checksum is wrong");
    return SUP_OK;
}

/* Line by line: a plan may have a hundred thousand. line and last have room for LINE_MAX_B. */
static int read_lines(FILE *f, char *line, char *last, struct sup_plan_file *out,
                      struct sup_err *err)
{
    uint64_t sum = 0;
    size_t lines = 0;
    int rc = SUP_OK;

    for (; rc == SUP_OK && fgets(line, LINE_MAX_B, f) != NULL; lines++) {
        if (lines == 0)
            rc = read_head(line, out, err);
        else
            sum = sup_checksum64(sum, sup_slice_of(last, strlen(last)));
        memcpy(last, line, strlen(line) + 1);
    }
    if (rc == SUP_OK && ferror(f))
        rc = sup_err_set(err, SUP_EIO, "%s", strerror(errno));
    if (rc == SUP_OK && lines < 2)
        rc = sup_err_set(err, SUP_ECORRUPT, "empty or cut off");
    return rc == SUP_OK ? read_tail(last, sum, out, err) : rc;
}

int sup_plan_file_check(const char *path, struct sup_plan_file *out, struct sup_err *err)
{
    FILE *f = fopen(path, "re");
    char *lines = malloc(2 * (size_t)LINE_MAX_B);
    int rc;

    memset(out, 0, sizeof(*out));
    if (!f)
        rc = sup_err_set(err, SUP_EIO, "%s: %s", path, strerror(errno));
    else if (!lines)
        rc = sup_err_set(err, SUP_ENOMEM, "out of memory");
    else if ((rc = read_lines(f, lines, lines + LINE_MAX_B, out, err)) != SUP_OK)
        rc = sup_err_prefix(err, rc, "%s", path);
    free(lines);
    if (f)
        fclose(f);
    return rc;
}
