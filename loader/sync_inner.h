/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What sync.c and sync_push.c share. Included by them only.
 */
#ifndef LB_SYNC_INNER_H
#define LB_SYNC_INNER_H

#include "sync.h"

struct sync {
	struct datapath *dp;
	const struct datapath_maps *maps;
	int cpus;
	__u64 digest[LB_MAX_VIPS];	/* of the members that the table in the map was built from */
	__u64 hints_digest;		/* of what the live hint table holds */
	void *percpu;			/* room for one value of any per-CPU map */
};

#endif
