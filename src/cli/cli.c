/* What the commands share: options, errors, addresses, calls. */
#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OPTIONS_MAX  16
#define ANSWER_BYTES (64 * 1024 * 1024)
#define CALL_MS      30000 /* a decision waits for its commit */

__attribute__((format(printf, 1, 0))) static void vcomplain(const char *fmt, va_list ap)
{
    char text[1024];
    vsnprintf(text, sizeof(text), fmt, ap);
    for (char *p = text; *p != '\0'; p++) {
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = '?';
    }
    fflush(stdout);
    fprintf(stderr, "supsync: %s\n", text);
}

int sup_cli_error(int status, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vcomplain(fmt, ap);
    va_end(ap);
    return status;
}

int sup_cli_usage_error(struct sup_cli *cli, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return sup_cli_error(SUP_EXIT_USAGE, "%s: %s: see supsync help %s", cli->command->name, text,
                         cli->command->name);
}

int sup_cli_exit(int result)
{
    return -result - 1;
}

static int failed(int status)
{
    return -status - 1;
}

static bool set_output(struct sup_cli *cli, const char *value)
{
    cli->json = strcmp(value, "json") == 0;
    return cli->json || strcmp(value, "text") == 0;
}

static bool want_colour(void)
{
    const char *term = getenv("TERM");
    return isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL && term != NULL &&
           strcmp(term, "dumb") != 0;
}

/* One option that getopt found. Returns 0 to go on, else a failed() result. */
static int take_option(struct sup_cli *cli, int c, const struct sup_cli_option *options, size_t n,
                       const char *text)
{
    switch (c) {
    case 'h':
        return failed(sup_cli_help(cli->command->name));
    case 'v':
        cli->verbose = true;
        return 0;
    case 's':
        cli->socket = optarg;
        return 0;
    case 'o':
        if (set_output(cli, optarg))
            return 0;
        return failed(sup_cli_usage_error(cli, "--output %.40s: use text or json", optarg));
    case ':':
        return failed(sup_cli_usage_error(cli, "%.60s: needs a value", text));
    case '?':
        return failed(sup_cli_usage_error(cli, "%.60s: unknown option", text));
    default:
        break;
    }
    size_t i = (size_t)(c - 256);
    if (i < n && options[i].flag != NULL)
        *options[i].flag = true;
    else if (i < n)
        *options[i].value = optarg;
    return 0;
}

int sup_cli_options(struct sup_cli *cli, int argc, char **argv,
                    const struct sup_cli_option *options, size_t n)
{
    struct option all[OPTIONS_MAX + 5] = {
        {"output", required_argument, NULL, 'o'},
        {"socket", required_argument, NULL, 's'},
        {"verbose", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
    };
    for (size_t i = 0; i < n && i < OPTIONS_MAX; i++)
        all[4 + i] = (struct option){options[i].name,
                                     options[i].flag != NULL ? no_argument : required_argument,
                                     NULL, 256 + (int)i};
    int c;
    opterr = 0;
    optind = 1;
    while ((c = getopt_long(argc, argv, ":vh", all, NULL)) != -1) {
        int rc = take_option(cli, c, options, n, argv[optind - 1]);
        if (rc != 0)
            return rc;
    }
    cli->colour = want_colour();
    return optind;
}

/* --- addresses --- */

static const char *next_line(struct sup_cli_addresses *a)
{
    while (fgets(a->line, sizeof(a->line), stdin) != NULL) {
        size_t n = strlen(a->line);
        if (n + 1 == sizeof(a->line) && a->line[n - 1] != '\n') {
            /* Far too long for an address: skip the rest and let the agent refuse the start. */
            int c;
            while ((c = getchar()) != EOF && c != '\n')
                ;
        }
        while (n > 0 && strchr("\r\n\t ", a->line[n - 1]) != NULL)
            a->line[--n] = '\0';
        if (n > 0)
            return a->line;
    }
    a->reading = false;
    return NULL;
}

const char *sup_cli_next_address(struct sup_cli_addresses *a)
{
    for (;;) {
        const char *line = a->reading ? next_line(a) : NULL;
        if (line != NULL)
            return line;
        if (a->at >= a->argc)
            return NULL;
        const char *s = a->argv[a->at++];
        if (strcmp(s, "-") != 0)
            return s;
        a->reading = true;
    }
}

/* --- the API --- */

int sup_cli_call(struct sup_cli *cli, const struct sup_call *call, json_t **answer, long *status,
                 struct sup_err *err)
{
    struct sup_buf body;
    *answer = NULL;
    if (cli->transport == NULL) {
        cli->transport = sup_transport_new(cli->socket);
        if (cli->transport == NULL)
            return sup_err_set(err, SUP_ENOMEM, "out of memory");
        sup_transport_set_timeout(cli->transport, CALL_MS);
    }
    sup_buf_init(&body, ANSWER_BYTES);
    int rc = sup_transport_call(cli->transport, call, &body, status, err);
    if (cli->verbose)
        fprintf(stderr, "supsync: %s %s at %s: %ld\n", call->method, call->target,
                sup_transport_socket(cli->socket), *status);
    if (rc == SUP_OK && body.n > 0)
        *answer = json_loadb((const char *)body.p, body.n, 0, NULL);
    sup_buf_fini(&body);
    return rc;
}

const char *sup_cli_detail(const json_t *answer)
{
    return sup_cli_text(answer, "detail", "the agent refused without a reason");
}

int sup_cli_status_exit(long status)
{
    if (status == 200)
        return SUP_EXIT_OK;
    return status == 400 || status == 404 || status == 409 || status == 413 ? SUP_EXIT_NO
                                                                            : SUP_EXIT_UNKNOWN;
}

const char *sup_cli_actor(void)
{
    const char *sudo = getenv("SUDO_USER");
    if (sudo != NULL && *sudo != '\0')
        return sudo;
    static char buffer[4096]; /* the name stands in it; the command has one thread */
    struct passwd entry, *found = NULL;
    if (getpwuid_r(getuid(), &entry, buffer, sizeof(buffer), &found) != 0 || found == NULL)
        return "unknown";
    return entry.pw_name;
}

/* --- output --- */

void sup_cli_put(struct sup_cli *cli, enum sup_colour colour, int width, const char *s)
{
    static const char *const codes[] = {"",         "\033[32m", "\033[31m",
                                        "\033[33m", "\033[1m",  "\033[2m"};
    int columns = 0;
    bool coloured = cli->colour && colour != SUP_PLAIN;
    if (coloured)
        fputs(codes[colour], stdout);
    for (const unsigned char *p = (const unsigned char *)s; *p != '\0'; p++) {
        /* C1 controls are C2 80 … C2 9F in UTF-8. */
        bool c1 = *p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0;
        if (*p < ' ' || *p == 0x7f || c1) {
            putchar('?');
            p += c1 ? 1 : 0;
            columns++;
        } else {
            putchar(*p);
            columns += (*p & 0xc0) != 0x80;
        }
    }
    if (coloured)
        fputs("\033[0m", stdout);
    for (; columns < width; columns++)
        putchar(' ');
}

const char *sup_cli_text(const json_t *object, const char *key, const char *fallback)
{
    const char *s = json_string_value(json_object_get(object, key));
    return s != NULL ? s : fallback;
}

void sup_cli_put_json(const json_t *v)
{
    json_dumpf(v, stdout, JSON_COMPACT);
    putchar('\n');
}
