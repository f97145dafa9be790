#ifndef SUP_BASE_METRICS_H
#define SUP_BASE_METRICS_H

#include "base/buf.h"

#include <stdatomic.h>
#include <stdint.h>

/* Process-wide metrics in Prometheus' terms. A metric is registered once by name and label text and
 * lives as long as the process; asking again for the same pair gives the same object. Updates are
 * lock-free; registering takes a lock, so keep the pointer. Everything here may be called from any
 * thread. The first registration of a name decides its type and help.
 *
 *   static struct sup_metric *m; … m = sup_metric("supsync_events_total", "type=\"Bounce\"",
 *                                                 SUP_COUNTER, "SES events read, by type"); */

enum sup_metric_type { SUP_COUNTER, SUP_GAUGE };

struct sup_metric;

/* labels may be NULL or text such as a="x",b="y" (see sup_metric_label for values from outside).
 * Never NULL: past the maximum number of metrics (4096) a shared overflow metric is returned. */
struct sup_metric *sup_metric(const char *name, const char *labels, enum sup_metric_type type,
                              const char *help);
void sup_metric_add(struct sup_metric *m, int64_t n);
void sup_metric_set(struct sup_metric *m, int64_t v); /* gauges */
int64_t sup_metric_get(const struct sup_metric *m);
/* Appends key="value" with the value escaped as Prometheus' text format wants it. */
void sup_metric_label(struct sup_buf *out, const char *key, const char *value);
/* Appends all metrics in Prometheus' text format, version 0.0.4. */
void sup_metrics_write(struct sup_buf *out);

#endif
