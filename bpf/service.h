/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Is this packet for a service of ours, or from a mail server of one? No look-up at all when no
 * service has either port.
 */
#ifndef LB_SERVICE_H
#define LB_SERVICE_H

/* Of either map: they are alike. */
static __always_inline void service_key(void *key, const struct lb_addr *address, __u16 port)
{
	__u64 *to = key;
	const __u64 *from = (const __u64 *)address->bytes;

	to[0] = from[0];
	to[1] = from[1];
	to[2] = word_of_4(port, 0, 0, 0);
}

static __always_inline const struct lb_service *service_find(const struct lb_addr *vip, __u16 port)
{
	struct lb_service_key key;
	const struct hint_table *live = &hints[hints_live & 1];
	__u32 at;

	if (!port_is_served(port))
		return NULL;
	service_key(&key, vip, port);
	at = hint_slot(&key, HINT_SERVICE_BITS);
	if (hint_equal(&live->services[at].key, &key))
		return &live->services[at].value;
	if (hint_equal(&live->services[at ^ 1].key, &key))
		return &live->services[at ^ 1].value;
	return live->complete ? NULL : bpf_map_lookup_elem(&services, &key);
}

static __always_inline const struct lb_backend_ref *service_find_backend(const struct lb_addr *address, __u16 port)
{
	struct lb_backend_key key;
	const struct hint_table *live = &hints[hints_live & 1];
	__u32 at;

	if (!port_is_served(port))
		return NULL;
	service_key(&key, address, port);
	at = hint_slot(&key, HINT_BACKEND_BITS);
	if (hint_equal(&live->backends[at].key, &key))
		return &live->backends[at].value;
	if (hint_equal(&live->backends[at ^ 1].key, &key))
		return &live->backends[at ^ 1].value;
	return live->complete ? NULL : bpf_map_lookup_elem(&backend_addrs, &key);
}

#endif
