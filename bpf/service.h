/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Is this packet for a service of ours, or from a mail server of one? No look-up at all when no
 * service has either port.
 */
#ifndef LB_SERVICE_H
#define LB_SERVICE_H

static __always_inline const struct lb_service *service_find(const struct lb_addr *vip, __u16 port)
{
	struct lb_service_key key = { .vip = *vip, .port = port };
	const struct hint_table *live = &hints[hints_live & 1];
	__u32 at = hint_slot(&key, HINT_SERVICE_BITS);

	if (!port_is_served(port))
		return NULL;
	if (hint_equal(&live->services[at].key, &key))
		return &live->services[at].value;
	if (hint_equal(&live->services[at ^ 1].key, &key))
		return &live->services[at ^ 1].value;
	return live->complete ? NULL : bpf_map_lookup_elem(&services, &key);
}

static __always_inline const struct lb_backend_ref *service_find_backend(const struct lb_addr *address, __u16 port)
{
	struct lb_backend_key key = { .address = *address, .port = port };
	const struct hint_table *live = &hints[hints_live & 1];
	__u32 at = hint_slot(&key, HINT_BACKEND_BITS);

	if (!port_is_served(port))
		return NULL;
	if (hint_equal(&live->backends[at].key, &key))
		return &live->backends[at].value;
	if (hint_equal(&live->backends[at ^ 1].key, &key))
		return &live->backends[at ^ 1].value;
	return live->complete ? NULL : bpf_map_lookup_elem(&backend_addrs, &key);
}

#endif
