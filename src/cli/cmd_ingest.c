/* Backfill: archived events from files and from S3, through the agent, in memory that does not grow
 * with them. */
#include "cli/cli.h"
#include "cli/ingest.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DEPTH_MAX 32

/* --- files --- */

static int open_file(void *arg, struct sup_source *s, struct sup_err *err)
{
    return sup_source_open(s, arg, err);
}

/* st: NULL for standard input. */
static void ingest_file(struct sup_ingesting *g, char *path, const struct stat *st)
{
    struct sup_journal_object o = {.name = path, .version = ""};
    bool known = st != NULL && S_ISREG(st->st_mode);

    if (known) {
        o.size = (uint64_t)st->st_size;
        o.changed_ms = (int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000;
    }
    sup_ingest_object(g, &o, known, open_file, path);
}

/* --- folders --- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names in the folder, sorted: archives are named by time, and older events go first. */
static char **names_in(const char *path, size_t *n)
{
    DIR *d = opendir(path);
    char **names = NULL;
    size_t cap = 0;
    struct dirent *e;

    *n = 0;
    while (d != NULL && (e = readdir(d)) != NULL) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (*n == cap) {
            cap = cap == 0 ? 64 : cap * 2;
            char **more = reallocarray(names, cap, sizeof(*names));
            if (more == NULL)
                break;
            names = more;
        }
        if ((names[*n] = strdup(e->d_name)) == NULL)
            break;
        ++*n;
    }
    if (d != NULL)
        closedir(d);
    if (names != NULL)
        qsort(names, *n, sizeof(*names), by_name);
    return names;
}

static void walk(struct sup_ingesting *g, char *path, unsigned depth, bool count_only)
{
    struct stat st;
    bool standard_input = strcmp(path, "-") == 0;

    if (!standard_input && stat(path, &st) != 0) {
        g->lost |= !count_only;
        if (!count_only)
            sup_cli_error(0, "ingest: %s: %s", path, strerror(errno));
        return;
    }
    if (standard_input || !S_ISDIR(st.st_mode)) {
        if (count_only)
            sup_tally_expect(g->tally, standard_input ? 0 : (uint64_t)st.st_size);
        else if (!g->no_agent)
            ingest_file(g, path, standard_input ? NULL : &st);
        return;
    }
    size_t n = 0;
    char **names = depth < DEPTH_MAX ? names_in(path, &n) : NULL;
    for (size_t i = 0; i < n; i++) {
        struct sup_buf inner;
        sup_buf_init(&inner, 65536);
        sup_buf_addf(&inner, "%s%s%s", path, path[strlen(path) - 1] == '/' ? "" : "/", names[i]);
        char *name = sup_buf_steal(&inner);
        if (name != NULL)
            walk(g, name, depth + 1, count_only);
        free(name);
        free(names[i]);
    }
    free(names);
}

/* --- the command --- */

static int run(struct sup_ingesting *g, int n, char **names, const char *region)
{
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < n && !g->no_agent; i++) {
            if (sup_ingest_is_s3(names[i]))
                sup_ingest_s3(g, names[i], region, pass == 0);
            else
                walk(g, names[i], 0, pass == 0);
        }
    }
    sup_tally_print(g->tally);
    if (g->no_agent || g->lost)
        return SUP_EXIT_UNKNOWN;
    return sup_tally_refused(g->tally) > 0 ? SUP_EXIT_NO : SUP_EXIT_OK;
}

int sup_cmd_ingest(struct sup_cli *cli, int argc, char **argv)
{
    const char *resume = NULL, *region = NULL;
    const struct sup_cli_option options[] = {{"resume", &resume, NULL}, {"region", &region, NULL}};
    struct sup_err err = {0};
    int at = sup_cli_options(cli, argc, argv, options, 2);

    if (at < 0)
        return sup_cli_exit(at);
    if (at == argc)
        return sup_cli_usage_error(
            cli, "give files, folders, s3://BUCKET/PREFIX, or \"-\" for standard input");
    struct sup_ingesting *g = sup_ingesting_new(cli);
    int status = SUP_EXIT_UNKNOWN;
    if (g == NULL)
        sup_cli_error(status, "ingest: out of memory");
    else if (sup_journal_open(&g->journal, resume, &err) != SUP_OK)
        sup_cli_error(status, "ingest: --resume: %s", err.msg);
    else
        status = run(g, argc - at, argv + at, region);
    sup_ingesting_free(g);
    return status;
}
