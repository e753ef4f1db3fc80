/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The messages of a canary check: the plain one, and the ones that every scanner must refuse. Pure: text and a
 * clock reading in, text out; how it travels, and what the reply means, is checker_smtp.c's affair.
 */
#ifndef LB_CANARY_H
#define LB_CANARY_H

#include <stddef.h>
#include <time.h>
#include "pool.h"

#define CANARY_MAX	4096

/* A whole message with the dot at its end. carried: the test string that goes into it, POISON_NONE for the plain one. Returns its length,
 * < CANARY_MAX for everything that a struct check_conf can hold. */
size_t canary_write(const struct check_conf *conf, enum check_poison carried, time_t now, __u64 serial,
		    char out[static CANARY_MAX]);
/* "the EICAR test virus" */
const char *canary_poison_name(enum check_poison carried);

#endif
