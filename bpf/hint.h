/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A small table in front of "services" and "backend_addrs": two slots to look into, no call, no hash function to
 * speak of. What found no room here is asked of the map. Pure: lbd fills by the same rule.
 */
#ifndef LB_HINT_H
#define LB_HINT_H

#include "lb_abi.h"

#define HINT_SERVICE_BITS 8
#define HINT_BACKEND_BITS 12

struct hint_service {
	struct lb_service_key key;
	struct lb_service value;
};

struct hint_backend {
	struct lb_backend_key key;
	struct lb_backend_ref value;
};

/* lbd fills the one that is not live, then makes it so: no packet meets a table half filled. complete: everything is in, and
 * what is not found here is not in the maps either. */
struct hint_table {
	struct hint_service services[1 << HINT_SERVICE_BITS];
	struct hint_backend backends[1 << HINT_BACKEND_BITS];
	__u32 complete;
	__u32 zero;
};

/* key: 24 bytes, address and port, as in both maps. The other slot is this ^ 1. */
static __always_inline __u32 hint_slot(const void *key, __u32 bits)
{
	const __u64 *w = key;

	return (w[0] ^ w[1] ^ w[2]) * 0x9e3779b97f4a7c15ULL >> (64 - bits);
}

static __always_inline bool hint_equal(const void *a, const void *b)
{
	const __u64 *x = a, *y = b;

	return x[0] == y[0] && x[1] == y[1] && x[2] == y[2];
}

#endif
