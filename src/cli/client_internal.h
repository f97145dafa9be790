#ifndef SUP_CLI_CLIENT_INTERNAL_H
#define SUP_CLI_CLIENT_INTERNAL_H

#include "base/err.h"
#include "supsync/client.h"

#include <jansson.h>

/* For the supsync command, which shows more of an answer than the public struct holds. Calls each
 * with the agent's own JSON object, or NULL with a reason when there is none, for every address in
 * order. Returns SUP_OK when all answers came from the agent. */
int sup_client_check_raw(struct sup_client *c, const char *const *addresses, size_t n,
                         void (*each)(void *arg, size_t i, const json_t *answer, const char *why),
                         void *arg, struct sup_err *err);

#endif
