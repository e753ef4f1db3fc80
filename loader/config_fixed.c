/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See config_fixed.h. The words are those of the file, so that they can be found there.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "config_fixed.h"
#include "num.h"

struct config_fixed config_fixed_of(const struct config *config)
{
	return (struct config_fixed){ .flows = config->flows, .hash_seed = config->hash_seed,
				      .half_open_ms = config->half_open_ms, .manage_vips = config->manage_vips };
}

static void add(char *buf, size_t len, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void add(char *buf, size_t len, const char *fmt, ...)
{
	size_t at = strlen(buf);
	va_list args;

	if (at)
		at += snprintf(buf + at, len - at, ", ");
	if (at >= len)
		return;
	va_start(args, fmt);
	vsnprintf(buf + at, len - at, fmt, args);
	va_end(args);
}

const char *config_fixed_missing(const struct config_fixed *started, const struct config *next, char *buf, size_t len)
{
	const struct config_fixed is = *started, wants = config_fixed_of(next);
	char a[24], b[24];

	buf[0] = '\0';
	if (wants.flows != is.flows)
		add(buf, len, "flows %u (now %u)", wants.flows, is.flows);
	if (wants.half_open_ms != is.half_open_ms)
		add(buf, len, "half-open %s (now %s)", num_duration_to_str(wants.half_open_ms, a, sizeof(a)),
		    num_duration_to_str(is.half_open_ms, b, sizeof(b)));
	/* 0 keeps the seed that there is */
	if (wants.hash_seed && wants.hash_seed != is.hash_seed)
		add(buf, len, "hash-seed %llu", (unsigned long long)wants.hash_seed);
	if (wants.manage_vips != is.manage_vips)
		add(buf, len, "manage-vips %s", wants.manage_vips ? "true" : "false");
	return buf;
}
