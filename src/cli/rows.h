#ifndef SUP_CLI_ROWS_H
#define SUP_CLI_ROWS_H

#include "cli/cli.h"

/* Listings: the agent answers with JSON lines, any number of them, and each is printed as it comes.
 * The command's own thread. */

struct sup_cli_rows {
    const char *none; /* printed when there were no rows */
    size_t line_max;  /* bytes; a longer row is an error */
    bool usage;       /* 400 is a wrong filter: the usage is shown */
    /* For people. With --json a row is printed as it is. */
    void (*put)(struct sup_cli *cli, const json_t *row, uint64_t rows_before);
};

/* Calls GET target and prints. Returns the exit status. A closed standard output (supsync list |
 * head) ends the transfer. */
int sup_cli_rows(struct sup_cli *cli, const struct sup_cli_rows *rows, const char *target);

/* Cuts what comes in pieces of any size into lines: *line holds one, without its end, when take is
 * called, and is emptied by it. False as soon as take says so. */
bool sup_cli_lines(struct sup_buf *line, const char *piece, size_t n, bool (*take)(void *arg),
                   void *arg);

/* A time (RFC 3339), or how long ago, in ms of the wall clock. False when it is neither. */
bool sup_cli_time(const char *value, int64_t *ms);
/* Filters of a query string. NULL values are left out. */
void sup_cli_add_filter(struct sup_buf *target, const char *name, const char *value);
/* False when it is no time, as above. */
bool sup_cli_add_time(struct sup_buf *target, const char *name, const char *value);

#endif
