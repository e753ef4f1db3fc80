/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What datapath.c and datapath_link.c share: the loaded program and its folder of pins. Included by them only.
 */
#ifndef LB_DATAPATH_INNER_H
#define LB_DATAPATH_INNER_H

#include <limits.h>
#include "datapath.h"
#include "flow_table.h"
#include "lb.skel.h"

#define LINK_PREFIX "link_"
#define SLOW_PREFIX "slow_paths_"

struct datapath {
	struct lb_bpf *skel;
	struct datapath_maps maps;
	char bpffs[PATH_MAX];
	bool adopted;
	struct flow_table flow_table;
	int sweep_fd;
	bool leaving;	/* the last sweep has left slots to free */
	char slow_pin[32];
};

/* Does a pin's name begin so? */
bool datapath_has_prefix(const char *name, const char *prefix);

#endif
