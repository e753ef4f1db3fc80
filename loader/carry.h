/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who was who: gives the services and backends of a new model the ids that they had in an old one, because flows in
 * the kernel know them by id only. The old model is the running one (reload) or what the pinned
 * maps tell (restart). Pure.
 */
#ifndef LB_CARRY_H
#define LB_CARRY_H

#include "pool.h"

/* VIPs are the same when address and one port are; backends when address and VIP are. They keep ids, and
 * backends their health and history, and what their agent said where there still is one. has_flows(arg, id): a backend that is not in next but still has flows
 * stays as a removed one. lost(arg, id): it cannot, since its service is gone too. Changes next only. */
struct carry {
	bool (*has_flows)(void *arg, int id);
	void (*lost)(void *arg, int id);
	void *arg;
};
int carry_ids(const struct pool *old, struct pool *next, const struct carry *carry);

#endif
