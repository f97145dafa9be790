#ifndef SUP_SERVICE_STATUS_H
#define SUP_SERVICE_STATUS_H

#include "service/service.h"

/* Adds a line to what is wrong; dropped when the list is full. */
void sup_status_problem(struct sup_status *out, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
