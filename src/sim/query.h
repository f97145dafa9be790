#ifndef SIM_QUERY_H
#define SIM_QUERY_H

#include "request.h"

/* Finds operation and input of an SNS or STS request: a form, Action= among its members. false: r
 * holds the error. Input members keep their dotted names. */
bool sim_query_parse(struct sim_request *r);

#endif
