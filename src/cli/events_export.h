#ifndef SUP_CLI_EVENTS_EXPORT_H
#define SUP_CLI_EVENTS_EXPORT_H

#include "cli/cli.h"

/* "supsync events export": the event log as JSON lines in files of an hour, in folders of a day,
 * which Athena and whatever reads Hive's layout take as partitions. */
struct sup_events_export {
    const char *dir;
    const char *since, *until; /* as the options have them; NULL: all, up to the hour before this */
    const char *compress;      /* "gzip", "zstd" or "none" */
    bool replace;              /* files that are there */
};

/* Returns the exit status. */
int sup_events_export(struct sup_cli *cli, const struct sup_events_export *x);

#endif
