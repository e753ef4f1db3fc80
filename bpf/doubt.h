/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What the mail's own packets say against a mail server: counts in "loads", and a hint to lbd, which judges (the hint
 * only saves it the wait for its next look). At most one hint per backend and LB_DOUBT_NS, so that the death of a
 * server with ten thousand clients is news once.
 *
 * Global functions, for the reason that flow.h gives.
 */
#ifndef LB_DOUBT_H
#define LB_DOUBT_H

__noinline int doubt_tell(__u32 backend, __u64 now)
{
	struct lb_load *load = bpf_map_lookup_elem(&loads, &backend);
	struct lb_doubt doubt = { .kind = LB_EVENT_DOUBT, .backend = backend };

	if (!load || (__s64)(now - load->doubt_ns) < LB_DOUBT_NS)
		return 0;
	load->doubt_ns = now;
	return bpf_ringbuf_output(&events, &doubt, sizeof(doubt), 0);
}

/* It answered a SYN with RST. */
__noinline int doubt_refusal(__u32 backend, __u64 now)
{
	struct lb_load *load = bpf_map_lookup_elem(&loads, &backend);

	if (!load)
		return 0;
	__sync_fetch_and_add(&load->refusals_total, 1);
	load->refused_ns = now;
	return doubt_tell(backend, now);
}

/* A client has repeated itself more than once, and heard nothing. */
__noinline int doubt_silence(__u32 backend, __u64 now)
{
	struct lb_load *load = bpf_map_lookup_elem(&loads, &backend);

	if (!load)
		return 0;
	__sync_fetch_and_add(&load->retries_total, 1);
	return doubt_tell(backend, now);
}

#endif
