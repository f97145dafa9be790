#ifndef SIM_XML_H
#define SIM_XML_H

#include "buf.h"

#include <jansson.h>
#include <stdbool.h>

/* The query protocol's replies from the same JSON that the JSON protocol sends: SNS and STS wrap
 * list items in <member>, SQS repeats a singular element and sends maps as Name/Value. */
void sim_xml_result(struct sim_buf *out, bool sqs, const char *operation, const json_t *output);
void sim_xml_error(struct sim_buf *out, bool s3, unsigned status, const char *code,
                   const char *message);
/* <name>escaped text</name> */
void sim_xml_element(struct sim_buf *out, const char *name, const char *text);

#endif
