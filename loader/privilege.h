/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From root to an ordinary user with a few capabilities: CAP_BPF and CAP_NET_ADMIN for maps, links and addresses,
 * CAP_NET_RAW for announcements and RSTs, CAP_NET_BIND_SERVICE for the responder on port 25, CAP_PERFMON until the program is loaded (without it the verifier
 * masks every array index, and refuses the pointer arithmetic of the parser). Knows nothing of what runs.
 */
#ifndef LB_PRIVILEGE_H
#define LB_PRIVILEGE_H

#include "pool.h"

struct privilege_paths {
	const char *bpffs, *state_dir, *socket_dir;
};

/* Makes the folders where they are missing, and gives them, with what is in them, to the user. Does
 * nothing when not root. */
int privilege_prepare(const char *user, const struct privilege_paths *paths, struct lb_error *err);
/* Becomes user. When not root: checks that the capabilities are there. */
int privilege_drop(const char *user, struct lb_error *err);
/* The program is loaded: CAP_PERFMON goes too. */
void privilege_drop_loading(void);

#endif
