#ifndef SUP_TESTS_AWS_FIXTURE_H
#define SUP_TESTS_AWS_FIXTURE_H

#include "base/buf.h"

#include <jansson.h>
#include <stdbool.h>

/* Reading of the third-party cases that SUPSYNC_FIXTURES names. */

/* Path below the fixtures, static storage; NULL (with a printed message) when they are not there.
 */
const char *fixture_path(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
bool fixture_exists(const char *path);
/* Whole file as text, malloc'd; NULL when it cannot be read. */
char *fixture_read(const char *path, size_t *n);
/* Names in a directory, sorted, without "." and ".."; NULL-terminated; free with fixture_list_free.
 */
char **fixture_list(const char *path);
void fixture_list_free(char **names);
/* NULL when the file is not there or not JSON. */
json_t *fixture_json(const char *path);

#endif
