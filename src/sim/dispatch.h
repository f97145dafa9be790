#ifndef SIM_DISPATCH_H
#define SIM_DISPATCH_H

#include "request.h"

/* Answers a complete request, or parks it: then it is called again for the same request later.
 * Afterwards (SIM_DONE) the reply is final, or abort_connection is set. */
enum sim_outcome sim_dispatch(struct sim_request *r);

#endif
