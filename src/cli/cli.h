#ifndef SUP_CLI_CLI_H
#define SUP_CLI_CLI_H

#include "base/buf.h"
#include "base/err.h"
#include "cli/transport.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* The command line: a table of subcommands, one file each, over the agent's HTTP API. */

enum sup_exit {
    SUP_EXIT_OK = 0,
    SUP_EXIT_NO = 1,     /* blocked, refused, not known, unhealthy */
    SUP_EXIT_USAGE = 2,  /* wrong usage, bad configuration */
    SUP_EXIT_UNKNOWN = 3 /* no agent, or it cannot tell */
};

struct sup_cli {
    const struct sup_command *command;
    const char *socket; /* NULL = SUPSYNC_SOCKET or the default */
    bool json;
    bool verbose;
    bool colour;
    struct sup_transport *transport; /* made at the first call */
};

struct sup_command {
    const char *name;
    const char *usage;   /* what follows the name */
    const char *summary; /* one line */
    const char *help;    /* options, exit status, examples */
    /* argv[0] is the command's name. Returns the exit status. */
    int (*run)(struct sup_cli *cli, int argc, char **argv);
};

extern const struct sup_command sup_commands[];
extern const size_t sup_commands_len;

int sup_cli_main(int argc, char **argv);
int sup_cli_help(const char *name); /* NULL = the overview */

/* An option of a command, besides those that all take. */
struct sup_cli_option {
    const char *name;   /* without "--" */
    const char **value; /* takes a value */
    bool *flag;         /* takes none */
};

/* Parses options wherever they stand before "--". On success returns the index of the first
 * operand, argv being permuted; else a negative exit status minus one (see sup_cli_exit). */
int sup_cli_options(struct sup_cli *cli, int argc, char **argv,
                    const struct sup_cli_option *options, size_t n);
/* The exit status behind a negative result of sup_cli_options. */
int sup_cli_exit(int result);

/* One line on standard error: "supsync: text". Returns status. */
int sup_cli_error(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int sup_cli_usage_error(struct sup_cli *cli, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* --- addresses from operands; "-" reads lines from standard input --- */

struct sup_cli_addresses {
    char **argv;
    int argc, at;
    bool reading;
    char line[8192];
};
/* The next address, or NULL at the end. It is valid until the next call. */
const char *sup_cli_next_address(struct sup_cli_addresses *a);

/* --- the API --- */

/* *answer is the JSON body (may be NULL) and the caller's to release. */
int sup_cli_call(struct sup_cli *cli, const struct sup_call *call, json_t **answer, long *status,
                 struct sup_err *err);
/* The "detail" of a problem, or a general text. */
const char *sup_cli_detail(const json_t *answer);
/* 503 and what else may pass: SUP_EXIT_UNKNOWN; other refusals: SUP_EXIT_NO. */
int sup_cli_status_exit(long status);
/* Who decides: the person behind sudo, else the user. */
const char *sup_cli_actor(void);

/* --- output --- */

enum sup_colour { SUP_PLAIN, SUP_GREEN, SUP_RED, SUP_YELLOW, SUP_BOLD, SUP_DIM };
/* Pads to width columns (0 = not at all), colours on a terminal only. Control characters, which
 * could steer the terminal, are shown as "?". */
void sup_cli_put(struct sup_cli *cli, enum sup_colour colour, int width, const char *s);
/* A member's string, or fallback. */
const char *sup_cli_text(const json_t *object, const char *key, const char *fallback);
void sup_cli_put_json(const json_t *v); /* one line */

/* --- the commands --- */

int sup_cmd_agent(struct sup_cli *cli, int argc, char **argv);
int sup_cmd_config(struct sup_cli *cli, int argc, char **argv);
int sup_cmd_check(struct sup_cli *cli, int argc, char **argv);
int sup_cmd_suppress(struct sup_cli *cli, int argc, char **argv);
int sup_cmd_clear(struct sup_cli *cli, int argc, char **argv);
int sup_cmd_show(struct sup_cli *cli, int argc, char **argv);
int sup_cmd_list(struct sup_cli *cli, int argc, char **argv);
int sup_cmd_reconcile(struct sup_cli *cli, int argc, char **argv);
int sup_cmd_report(struct sup_cli *cli, int argc, char **argv);
int sup_cmd_audit_coverage(struct sup_cli *cli, int argc, char **argv);
int sup_cmd_fuse(struct sup_cli *cli, int argc, char **argv);
int sup_cmd_decommission(struct sup_cli *cli, int argc, char **argv);
int sup_cmd_status(struct sup_cli *cli, int argc, char **argv);
int sup_cmd_ingest(struct sup_cli *cli, int argc, char **argv);
int sup_cmd_rates(struct sup_cli *cli, int argc, char **argv);
int sup_cmd_soft(struct sup_cli *cli, int argc, char **argv);
int sup_cmd_events(struct sup_cli *cli, int argc, char **argv);
int sup_cmd_explain(struct sup_cli *cli, int argc, char **argv);
int sup_cmd_version(struct sup_cli *cli, int argc, char **argv);
int sup_cmd_help(struct sup_cli *cli, int argc, char **argv);

#endif
