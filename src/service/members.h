#ifndef SUP_SERVICE_MEMBERS_H
#define SUP_SERVICE_MEMBERS_H

#include "service/service.h"

/* Changes of the set of nodes, while the service runs. */

/* Takes over what of a configuration that was read again can be changed without a restart: peers
 * that are new, peers' addresses, mesh.epoch, mesh.absence_alarm, mesh.log_max_mib. A peer that is
 * not in it any more stays a member. fresh need not outlive the call. SUP_EINPUT, SUP_ELIMIT:
 * nothing was changed. Any thread. */
int sup_service_reload(struct sup_service *s, const struct sup_options *fresh, struct sup_err *err);

/* Reads the mesh's certificates, key and CRL anew, from the paths of fresh, which need not outlive
 * the call. New sessions go by them; sessions stand, but for those whose peer's certificate is now
 * revoked or of an authority that is not trusted any more. SUP_EINPUT, SUP_EIO: the old ones stay.
 * Any thread. */
int sup_service_reload_tls(struct sup_service *s, const struct sup_options *fresh,
                           struct sup_err *err);

struct sup_member_ruling {
    const char *node;
    const char *actor;
    const char *note;
    bool undo;  /* it is a member again */
    bool force; /* although it has decisions that this node lacks */
};

/* Decommissions a node, as far as this node is concerned: from then on it is neither dialled nor
 * accepted, holds back no log, and is not waited for. Durable, with who and why, before anything
 * happens. SUP_ENOTFOUND: never a peer. SUP_EINPUT: this node itself, or nothing to change.
 * SUP_EAUTH: needs force. Any thread; may wait some seconds for a connection to end. */
int sup_service_decommission(struct sup_service *s, const struct sup_member_ruling *m,
                             struct sup_err *err);

#endif
