/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See jitter.h. The kernel's randomness, without a state of our own: a system call for each check is nothing beside the
 * check.
 */
#include <sys/random.h>
#include "clock.h"
#include "jitter.h"

__u64 jitter(__u64 interval)
{
	__u64 dice;

	/* Early in the boot there may be no randomness yet; the clock will do for drifting apart. */
	if (getrandom(&dice, sizeof(dice), GRND_NONBLOCK) != sizeof(dice))
		dice = clock_ns();
	return interval - interval / 10 + dice % (interval / 5 + 1);
}
