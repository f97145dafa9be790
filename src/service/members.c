#include "service/members.h"

#include "service/internal.h"

int sup_service_reload(struct sup_service *s, const struct sup_options *fresh, struct sup_err *err)
{
    if (s->replicator)
        return sup_replicator_reload(s->replicator, fresh, err);
    if (fresh->mesh.enabled)
        return sup_err_set(err, SUP_EINPUT, "mesh: this node has none yet: restart the agent");
    return SUP_OK;
}

int sup_service_reload_tls(struct sup_service *s, const struct sup_options *fresh,
                           struct sup_err *err)
{
    return s->replicator ? sup_replicator_reload_tls(s->replicator, fresh, err) : SUP_OK;
}

int sup_service_decommission(struct sup_service *s, const struct sup_member_ruling *m,
                             struct sup_err *err)
{
    if (!s->replicator)
        return sup_err_set(err, SUP_ENOTFOUND, "this node has no mesh");
    return sup_replicator_rule(s->replicator, m, err);
}
