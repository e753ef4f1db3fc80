/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What of a config is settled when lbd starts: the kernel half is loaded with it. A reload cannot change it, and must
 * not let people believe that it did. Pure: it knows neither the loaded program nor how a restart is done.
 */
#ifndef LB_CONFIG_FIXED_H
#define LB_CONFIG_FIXED_H

#include <stddef.h>
#include "config.h"

struct config_fixed {
	__u32 flows;
	__u64 hash_seed, half_open_ms;
	bool manage_vips;
};

struct config_fixed config_fixed_of(const struct config *config);

/* What next asks for and a daemon that was started with these has otherwise: "flows 65536 (now 4096), ..."; "" when there is
 * nothing. Returns buf. */
const char *config_fixed_missing(const struct config_fixed *started, const struct config *next, char *buf, size_t len);

#endif
