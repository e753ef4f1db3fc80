/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What every benchmark program is to the script that calls it: settings by name on the command line, and an end with one
 * clear sentence. What is measured is not its business.
 */
#ifndef BENCH_TOOL_H
#define BENCH_TOOL_H

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* %m is the reason of the last call that failed. */
static inline void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
static inline void die(const char *fmt, ...)
{
	int err = errno;
	va_list args;

	va_start(args, fmt);
	fprintf(stderr, "%s: ", program_invocation_short_name);
	errno = err;
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

/* "--name VALUE", or "--name" alone for a bool; the kind of value is that of the variable. */
struct setting {
	const char *name;
	enum { SETTING_FLAG, SETTING_TEXT, SETTING_INT, SETTING_U32, SETTING_U64, SETTING_REAL } kind;
	void *to;
};

#define SETTING(name, to) { (name), _Generic((to), bool *: SETTING_FLAG, const char **: SETTING_TEXT, int *: SETTING_INT, \
				uint32_t *: SETTING_U32, uint64_t *: SETTING_U64, double *: SETTING_REAL), (to) }
#define SETTINGS_MAX 16

static inline bool whole_number(const char *text, uint64_t max, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	return *text >= '0' && *text <= '9' && !*end && !errno && *out <= max;
}

/* false: the variable cannot take that. */
static inline bool setting_put(const struct setting *s, const char *value)
{
	uint64_t n = 0;
	char *end;
	bool good;

	switch (s->kind) {
	case SETTING_FLAG:
		*(bool *)s->to = true;
		return true;
	case SETTING_TEXT:
		*(const char **)s->to = value;
		return true;
	case SETTING_REAL:
		*(double *)s->to = strtod(value, &end);
		return end != value && !*end && *(double *)s->to >= 0;
	case SETTING_INT:
		good = whole_number(value, INT32_MAX, &n);
		*(int *)s->to = n;
		return good;
	case SETTING_U32:
		good = whole_number(value, UINT32_MAX, &n);
		*(uint32_t *)s->to = n;
		return good;
	default:
		return whole_number(value, UINT64_MAX, s->to);
	}
}

/* The table ends with an empty entry. Ends the program with 2 at what it does not understand. */
static inline void settings_read(int argc, char **argv, const struct setting *settings)
{
	struct option names[SETTINGS_MAX + 1] = {};
	int c;

	for (int i = 0; i < SETTINGS_MAX && settings[i].name; i++)
		names[i] = (struct option){ settings[i].name,
					    settings[i].kind == SETTING_FLAG ? no_argument : required_argument, NULL, i + 1 };
	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (c == '?')
			exit(2);
		if (!setting_put(&settings[c - 1], optarg)) {
			fprintf(stderr, "%s: --%s: \"%s\" is no number from 0 up, or too large\n", program_invocation_short_name,
				settings[c - 1].name, optarg);
			exit(2);
		}
	}
	if (optind != argc) {
		fprintf(stderr, "%s: \"%s\" is no setting\n", program_invocation_short_name, argv[optind]);
		exit(2);
	}
}

#endif
