/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The YAML file <-> the model. The same reader and writer serve the administrator's
 * mailxdp.yaml and the daemon's own state file, so there is one format to test.
 * libyaml's node tree rather than libcyaml: it keeps line and column for every
 * value, so that a bad address is reported where it stands.
 */
#ifndef LB_CONFIG_H
#define LB_CONFIG_H

#include <net/if.h>
#include <stdio.h>
#include "pool.h"

#define CONFIG_MAX_INTERFACES 8

enum xdp_mode { XDP_MODE_AUTO = 0, XDP_MODE_NATIVE, XDP_MODE_GENERIC, XDP_MODE_MAX };
const char *xdp_mode_to_str(enum xdp_mode m);		/* auto, native, generic */
int xdp_mode_from_str(const char *name);		/* or -EINVAL */

struct config_interface {
	char name[IF_NAMESIZE];
	enum xdp_mode mode;
};

struct config {
	struct config_interface interfaces[CONFIG_MAX_INTERFACES];
	size_t interfaces_n;
	__u32 flows;			/* size of the flow table, 16..64m */
	__u64 idle_ms, fin_ms, rst_ms, half_open_ms;	/* 900 s, 120 s, 10 s, 30 s */
	__u64 drain_idle_ms;		/* 5 s: a drained session is closed after this long in the client's turn */
	__u64 slow_start_ms;		/* 30 s: a backend that comes back gets its full weight after this long */
	__u64 rebalance_ms;		/* 0, off; else sessions older than this may be closed to even out the backends */
	__u64 hash_seed;		/* 0: keep what is pinned, else draw one */
	bool manage_vips;		/* put VIPs on the interface and announce them; default true */
	struct pool *pool;
	char based_on[65];		/* state file only: fingerprint of the config it grew from */
};

/* A config with every default and an empty pool. 0 or -ENOMEM. */
int config_new(struct config **out);
void config_free(struct config *config);

/* Reads path. On failure *out is untouched and *err says "file:line:column: what, and what to do"
 * with code LB_EXIT_USAGE (LB_EXIT_NOT_FOUND when there is no such file, LB_EXIT_NOT_PERMITTED ...).
 * Refuses: unknown keys (with "did you mean"), duplicate keys, aliases, files over 1 MiB, more than one document,
 * trailing junk in numbers. warn() is called for what is legal but unwise (idle under 660 s); it may
 * be NULL. changed_ns of backends is 0: the reader has no clock. */
int config_read(const char *path, struct config **out, void (*warn)(const char *text), struct lb_error *err);

/* Writes a complete file: temporary file in the same folder, fsync, rename. header is put on top
 * as comment lines; NULL: none. An older file's owner and mode are kept, a symbolic link's target is
 * replaced and not the link. Removed backends are left out; drained ones keep `state: drain`. */
int config_write(const char *path, const struct config *config, const char *header, struct lb_error *err);

/* Hex fingerprint of the file's bytes, "" when there is none (or it is over 1 MiB, or unreadable). */
void config_fingerprint(const char *path, char out[static 65]);

#endif
