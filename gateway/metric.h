/* metric.h - Prometheus text, one value at a time. What a view counts it writes itself: gateway_write_metrics in gateway.h calls each of them. */
#ifndef CAIRN_GATEWAY_METRIC_H
#define CAIRN_GATEWAY_METRIC_H

#include "schemas/buffer.h"

/* `kind` is "gauge" or "counter"; names of counters end in "_total". */
static inline void metric_write(struct buffer *out, const char *name, const char *kind, const char *help, uint64_t value)
{
	buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %llu\n", name, help, name, kind, name, (unsigned long long)value);
}

#endif
