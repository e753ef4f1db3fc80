/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Text to number and back. strtoul() is not used: it takes "-1", " 5" and "0x19" for
 * numbers. A leading zero is refused because half of the world reads "010" as eight.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include "num.h"

struct unit {
	const char *suffix;
	uint64_t factor;
};

/* Digits up to the first other character, *end behind them. -EINVAL: none; -ERANGE: over 64 bits. */
static int parse_digits(const char *text, uint64_t *out, const char **end)
{
	const char *p = text;
	bool over = false;
	uint64_t n = 0;

	for (; *p >= '0' && *p <= '9'; p++) {
		if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, (uint64_t)(*p - '0'), &n))
			over = true;
	}
	if (p == text || (text[0] == '0' && p != text + 1))
		return -EINVAL;
	*end = p;
	*out = n;
	return over ? -ERANGE : 0;
}

static int parse_with_unit(const char *text, const struct unit *units, size_t units_n, uint64_t min, uint64_t max,
			   uint64_t *out)
{
	const char *end = NULL;
	uint64_t n = 0;
	int err = parse_digits(text, &n, &end);

	if (err == -EINVAL)
		return err;
	for (size_t i = 0; i < units_n; i++) {
		if (strcmp(end, units[i].suffix))
			continue;
		if (err || __builtin_mul_overflow(n, units[i].factor, &n) || n < min || n > max)
			return -ERANGE;
		*out = n;
		return 0;
	}
	return -EINVAL;
}

int num_parse(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	static const struct unit none[] = { { "", 1 } };

	return parse_with_unit(text, none, 1, min, max, out);
}

/* Biggest first: num_duration_to_str() takes the first that divides. */
static const struct unit times[] = { { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 }, { "", 1000 } };

int num_parse_duration(const char *text, uint64_t min_ms, uint64_t max_ms, uint64_t *out_ms)
{
	return parse_with_unit(text, times, sizeof(times) / sizeof(times[0]), min_ms, max_ms, out_ms);
}

int num_parse_count(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	static const struct unit sizes[] = { { "", 1 }, { "k", 1024 }, { "K", 1024 }, { "m", 1 << 20 }, { "M", 1 << 20 } };

	return parse_with_unit(text, sizes, sizeof(sizes) / sizeof(sizes[0]), min, max, out);
}

const char *num_duration_to_str(uint64_t ms, char *buf, size_t len)
{
	const struct unit *unit = times;

	while (ms % unit->factor)
		unit++;
	if (!ms)
		unit = &times[2];
	snprintf(buf, len, "%" PRIu64 "%s", ms / unit->factor, unit->suffix);
	return buf;
}

const char *num_to_human(uint64_t n, char *buf, size_t len)
{
	static const char suffix[] = "kMGTPE";
	uint64_t unit = 1000;
	size_t i = 0;

	if (n < 1000) {
		snprintf(buf, len, "%" PRIu64, n);
		return buf;
	}
	while (n / unit >= 1000) {
		unit *= 1000;
		i++;
	}
	/* Rounded down: 999999 must not read "1000k". */
	if (n / unit >= 100)
		snprintf(buf, len, "%" PRIu64 "%c", n / unit, suffix[i]);
	else
		snprintf(buf, len, "%" PRIu64 ".%" PRIu64 "%c", n / unit, n % unit / (unit / 10), suffix[i]);
	return buf;
}
