/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What many measurements of one thing come to. Knows numbers only.
 */
#ifndef BENCH_SPREAD_H
#define BENCH_SPREAD_H

#include <stdlib.h>
#include <string.h>

#define SPREAD_MAX 101

struct spread {
	double low, mid, high;	/* 10 %, 50 %, 90 % of the rounds */
};

static inline int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* n is 1 to SPREAD_MAX. */
static inline struct spread spread_of(const double *values, int n)
{
	double sorted[SPREAD_MAX];

	memcpy(sorted, values, n * sizeof(*values));
	qsort(sorted, n, sizeof(*sorted), compare_doubles);
	return (struct spread) {
		.low = sorted[(n - 1) / 10],
		.mid = n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2,
		.high = sorted[(n - 1) - (n - 1) / 10],
	};
}

#endif
