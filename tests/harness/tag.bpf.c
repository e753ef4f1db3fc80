/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Puts a priority tag (802.1Q, VLAN 0, priority 5) on every frame towards the balancer, as switches do.
 * Any Linux takes such a frame without a VLAN device, so tagged mail can go end to end even
 * where the kernel has none. Runs at tc egress of the switch port; the port's own tag
 * offload must be off, or the tag stays beside the frame and XDP never sees it.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define PRIORITY_5 (5 << 13)

SEC("tc")
int tag(struct __sk_buff *skb)
{
	if (!skb->vlan_present)
		bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), PRIORITY_5);
	return TC_ACT_OK;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
