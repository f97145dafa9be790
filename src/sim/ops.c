#include "ops.h"

#include <string.h>

static const struct sim_op_info infos[SIM_OP_COUNT] = {
#define X(service, name, handler) [SIM_OP_##name] = {#name, SIM_##service, handler},
    SIM_OPS(X)
#undef X
};

const struct sim_op_info *sim_op_info(enum sim_op op)
{
    return &infos[op];
}

enum sim_op sim_op_find(enum sim_service service, const char *name)
{
    for (int op = SIM_OP_NONE + 1; op < SIM_OP_COUNT; op++) {
        if ((service == SIM_NO_SERVICE || infos[op].service == service) &&
            strcmp(infos[op].name, name) == 0)
            return (enum sim_op)op;
    }
    return SIM_OP_NONE;
}
