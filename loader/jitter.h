/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How regular things are kept from happening together. Checks and questions to agents that began at the same moment, and
 * have the same interval, would meet a mail server at the same moment for ever. It must not know what is timed.
 */
#ifndef LB_JITTER_H
#define LB_JITTER_H

#include <linux/types.h>

/* interval, a tenth more or less; any unit. */
__u64 jitter(__u64 interval);

#endif
