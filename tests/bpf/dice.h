/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random numbers that can be thrown again: every test that uses them says its seed, and takes another one from
 * TEST_SEED.
 */
#ifndef TESTS_DICE_H
#define TESTS_DICE_H

#include <linux/types.h>
#include <stdio.h>
#include <stdlib.h>

static __u64 dice_state;

static inline void dice_seed(__u64 usual)
{
	const char *text = getenv("TEST_SEED");

	dice_state = text ? strtoull(text, NULL, 0) : usual;
	if (!dice_state)
		dice_state = 1;
	printf("# TEST_SEED=%#llx\n", dice_state);
}

/* xorshift64* */
static inline __u32 dice(void)
{
	dice_state ^= dice_state >> 12;
	dice_state ^= dice_state << 25;
	dice_state ^= dice_state >> 27;
	return dice_state * 0x2545f4914f6cdd1dULL >> 32;
}

static inline __u32 dice_below(__u32 n)
{
	return (__u64)dice() * n >> 32;
}

static inline int dice_hit(__u32 one_in)
{
	return dice_below(one_in) == 0;
}

#endif
