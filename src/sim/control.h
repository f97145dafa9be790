#ifndef SIM_CONTROL_H
#define SIM_CONTROL_H

#include "request.h"

/* The simulator's own endpoints; none is ever signed, all speak JSON.
 *
 *   GET    /_sim/                          the Regions
 *   GET    /_sim/REGION/suppression        the whole list: [{"EmailAddress","Reason",
 *                                          "LastUpdateTime","Attributes"?}], unlagged
 *   PUT    /_sim/REGION/suppression        seeds it: a list of such objects (Reason defaults to
 *                                          BOUNCE, LastUpdateTime to now) or of plain addresses
 *   DELETE /_sim/REGION/suppression        empties it: {"deleted":N}
 *   GET    /_sim/REGION/calls              {"PutSuppressedDestination":12,…} since start or reset;
 *                                          ?detail=1: {"…":{"calls","throttled","failed"}}
 *   DELETE /_sim/REGION/calls              resets the counts
 *   GET    /_sim/REGION/faults             what is still to come
 *   POST   /_sim/REGION/faults             adds: [{"operation":NAME|"*","count":N,"status":500,
 *                                          "code":"…","reset":true,"delay_ms":N,"truncate":true,
 *                                          "throttle":true,"invalid_json":true,"after":true}];
 *                                          after: status or reset only once the operation took
 *                                          effect; truncate and invalid_json always do
 *   DELETE /_sim/REGION/faults             forgets them
 *   POST   /_sim/REGION/clock              {"offset_ms":N}: the Region's wall clock
 *   POST   /_sim/REGION/rate               {"rps":N}; 0: no limit
 *   PUT    /_sim/REGION/account            {"ProductionAccessEnabled","SendingEnabled",
 *                                          "EnforcementStatus"}
 *   POST   /_sim/REGION/expire-tokens      every NextToken given out so far is refused
 *   POST   /_sim/REGION/events             ["BODY",…] straight into the queue ses-events; ?queue=
 *                                          names another; ?envelope=1 wraps each as SNS would
 *   GET    /_sim/REGION/queues             {"ses-events":{"visible","in_flight","delayed","sent",
 *                                          "received","deleted","dead_lettered"},…}
 *   GET    /_sim/REGION/sends              {"sends","delivered","blocked","bounced","complained"}
 *   GET    /SimpleNotificationService-HEX.pem   the certificate of SNS signatures
 */
bool sim_control_owns(const struct sim_request *r);
enum sim_outcome sim_control(struct sim_request *r);

#endif
