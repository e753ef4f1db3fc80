/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Is this packet for a service of ours, or from a mail server of one? Two look-ups at most, and none
 * when no service has either port.
 */
#ifndef LB_SERVICE_H
#define LB_SERVICE_H

static __always_inline struct lb_service *service_find(const struct lb_addr *vip, __u16 port)
{
	struct lb_service_key key = { .vip = *vip, .port = port };

	return port_is_served(port) ? bpf_map_lookup_elem(&services, &key) : NULL;
}

static __always_inline struct lb_backend_ref *service_find_backend(const struct lb_addr *address, __u16 port)
{
	struct lb_backend_key key = { .address = *address, .port = port };

	return port_is_served(port) ? bpf_map_lookup_elem(&backend_addrs, &key) : NULL;
}

#endif
