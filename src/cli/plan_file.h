#ifndef SUP_CLI_PLAN_FILE_H
#define SUP_CLI_PLAN_FILE_H

#include "base/err.h"
#include "cli/cli.h"

/* Plan files of reconcile: lines of JSON, the first one says which version, plan, node, Region and
 * time, the last one holds the checksum of those before it (proto/README.md). */

struct sup_plan_file {
    char id[64]; /* of the dry run */
    char checksum[17];
};

/* Asks the agent for the plan of that dry run and writes it to a new file, whole or not at all.
 * SUP_EEXIST: there is a file already; SUP_EIO; errors of the agent. */
int sup_plan_file_save(struct sup_cli *cli, const char *id, const char *path, struct sup_err *err);
/* SUP_ECORRUPT: damaged or cut off; SUP_EVERSION; SUP_EINPUT: no plan file; SUP_EIO. */
int sup_plan_file_check(const char *path, struct sup_plan_file *out, struct sup_err *err);

#endif
