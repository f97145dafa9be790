#ifndef SUP_CLI_RULING_H
#define SUP_CLI_RULING_H

#include "cli/cli.h"

/* What suppress and clear share: one call an address, one result an address.
 *
 * Sends method with body to each address and prints the results. hint (may be NULL) is added to
 * refusals with status 409. Returns the exit status. */
int sup_cli_rule(struct sup_cli *cli, const char *method, json_t *body,
                 struct sup_cli_addresses *from, const char *hint);

#endif
