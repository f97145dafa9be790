#ifndef SUP_AWS_XML_H
#define SUP_AWS_XML_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>

/* The text of the first element of that local name, entities resolved, into out (after reset).
 * Returns whether it is there. Not an XML parser: made for STS and S3 replies and error documents,
 * which are almost flat; never reads past xml, and takes whatever bytes come. */
bool sup_xml_text(struct sup_slice xml, const char *name, struct sup_buf *out);

/* The inside of the next element of that local name, which must not hold another of that name;
 * *rest moves behind it. False when there is none that is complete. */
bool sup_xml_next(struct sup_slice *rest, const char *name, struct sup_slice *inner);

#endif
