/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The one exit: counts the verdict and turns it into an XDP action. Nothing above this file names an action.
 *
 * Not ours, or not understood: PASS, untouched. Ours but broken: DROP, counted by cause. Ours and
 * well: out of the interface that was chosen, by XDP_TX when it is the one it came in on (cheaper).
 */
#ifndef LB_FINISH_H
#define LB_FINISH_H

static __always_inline int finish(__u32 in_ifindex, __u32 verdict, __u32 out_ifindex)
{
	__u32 v = verdict;
	__u64 *count = bpf_map_lookup_elem(&verdicts, &v);

	if (count)
		++*count;
	if (verdict >= LB_TX_SYN && verdict <= LB_TX_FRAGMENT)
		return out_ifindex == in_ifindex ? XDP_TX : bpf_redirect(out_ifindex, 0);
	if (verdict <= LB_PASS_REFUSED)
		return XDP_PASS;
	if (verdict <= LB_RESET_ENDED)
		return XDP_TX; /* the answer goes back to its sender */
	return XDP_DROP;
}

#endif
