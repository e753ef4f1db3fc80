/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Parsing for the slow paths. A global function, so that the verifier walks its many branches once;
 * they come together in one state behind it, which slow_point() equips with pointers again.
 */
#ifndef LB_SLOW_H
#define LB_SLOW_H

#define SLOW_MAX_L3 (sizeof(struct ethhdr) + PARSE_MAX_VLANS * sizeof(struct parse_vlan))
#define SLOW_MAX_L4 0x7fff

/* LB_NEXT with everything in pkt but the pointers, or a verdict. */
__noinline int slow_parse(struct xdp_md *ctx, struct lb_pkt *pkt)
{
	struct lb_pkt got = {};
	int v;

	if (!pkt)
		return LB_PASS_MALFORMED;
	v = parse_packet((void *)(long)ctx->data, (void *)(long)ctx->data_end, &got, PARSE_ALL);
	got.eth = got.l3 = got.l4 = got.end = NULL;
	*pkt = got;
	return v;
}

/* False: l4_len bytes are not there. */
static __always_inline bool slow_point(struct xdp_md *ctx, struct lb_pkt *pkt, __u32 l4_len)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 l3_len = pkt->l3_kind == LB_IPV4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);

	if (pkt->l3_off > SLOW_MAX_L3 || pkt->l4_off > SLOW_MAX_L4)
		return false;
	pkt->eth = data;
	pkt->l3 = data + pkt->l3_off;
	pkt->l4 = data + pkt->l4_off;
	pkt->end = end;
	return data + sizeof(struct ethhdr) <= end && pkt->l3 + l3_len <= end && pkt->l4 + l4_len <= end;
}

#endif
