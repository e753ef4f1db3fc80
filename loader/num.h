/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Numbers, durations and sizes as people write them, parsed strictly: the whole
 * string or nothing, so that "10x" is an error and never 10. Pure.
 * All return 0, -EINVAL (not a number of that form) or -ERANGE (outside min..max),
 * and write *out only on 0.
 */
#ifndef LB_NUM_H
#define LB_NUM_H

#include <stddef.h>
#include <stdint.h>

int num_parse(const char *text, uint64_t min, uint64_t max, uint64_t *out);
/* "250ms", "5s", "10m", "2h"; a bare number is seconds. */
int num_parse_duration(const char *text, uint64_t min_ms, uint64_t max_ms, uint64_t *out_ms);
/* "64k" = 65536, "1m" = 1048576. */
int num_parse_count(const char *text, uint64_t min, uint64_t max, uint64_t *out);
/* The shortest exact form: 90000 -> "90s", 600000 -> "10m", 250 -> "250ms". Returns buf. */
const char *num_duration_to_str(uint64_t ms, char *buf, size_t len);
/* For tables: 18234 -> "18.2k". Returns buf. */
const char *num_to_human(uint64_t n, char *buf, size_t len);

#endif
