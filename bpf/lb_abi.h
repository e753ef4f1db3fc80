/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The treaty between the kernel half (bpf/) and the user half (loader/).
 *
 * Every key, value, limit, map name and verdict that both sides, or a person
 * with bpftool, can see is here and nowhere else. This file knows linux/types.h
 * and nothing more. Numbers are in host order, ports too, and enums are packed,
 * so that a dump reads like a report; addresses and MACs are bytes as on the wire.
 * Times are nanoseconds of CLOCK_MONOTONIC. Padding has a name and is zero,
 * because map keys compare byte by byte.
 *
 * Change a struct here and LB_SCHEMA must change with it: pinned maps outlive
 * the daemon, and libbpf's own reuse check compares sizes, not layouts.
 */
#ifndef LB_ABI_H
#define LB_ABI_H

#include <linux/types.h>

#define LB_MAGIC	0x6d786470	/* "mxdp" */
#define LB_SCHEMA	3

#define LB_MAX_BACKENDS	4096		/* ids 1..4095; 0 is LB_NO_BACKEND */
#define LB_MAX_VIPS	256		/* ids 1..255; one per VIP address */
#define LB_MAX_PORTS	16		/* ports of one service */
#define LB_MAX_MEMBERS	1024		/* backends of one VIP */
#define LB_TABLE_SLOTS	65537		/* a prime: Maglev needs one (NSDI'16, 3.4) */
#define LB_NO_BACKEND	0
#define LB_HIST_BUCKETS	22		/* <1 ms, <2 ms, <4 ms, ... the last is open: >= 17 min */
#define LB_MAX_WEIGHT	65535

#define LB_DEFAULT_FLOWS	131072
#define LB_PENDING_SETS		8192	/* a power of two */
#define LB_PENDING_WAYS		8
#define LB_FRAGMENT_ENTRIES	8192
#define LB_DOUBT_NS		20000000LL	/* between two hints about one backend */
#define LB_EVENT_BYTES		(1 << 20)

/* Both families in one shape: IPv4 is ::ffff:a.b.c.d (RFC 4291, 2.5.5.2). */
struct lb_addr {
	__u8 bytes[16];
} __attribute__((aligned(8)));

enum lb_mode {
	LB_MODE_NAT = 0,	/* destination rewritten, replies come back through us */
	LB_MODE_DSR,		/* only the MAC changes, replies bypass us */
	LB_MODE_MAX,
} __attribute__((packed));

enum lb_scheduler {
	LB_SCHED_LEAST_INFLIGHT = 0,
	LB_SCHED_LEAST_CONN,
	LB_SCHED_MAGLEV,
	LB_SCHED_ROUND_ROBIN,
	LB_SCHED_RANDOM,
	LB_SCHED_MAX,
} __attribute__((packed));

/* What a client hears when no backend may take it. */
enum lb_refuse {
	LB_REFUSE_RESET = 0,	/* a RST at once: the client tries its next address now */
	LB_REFUSE_DROP,		/* silence: the client waits for its own time-out */
	LB_REFUSE_REPLY,	/* up the stack to the local responder's 421 */
	LB_REFUSE_MAX,
} __attribute__((packed));

/* --- map "services": who we are. Writer: lbd. -------------------------------- */
struct lb_service_key {
	struct lb_addr vip;
	__u16 port;
	__u8 zero[6];
};

struct lb_service {
	__u16 vip_id;		/* index of the VIP in "tables" and "rotors", part of every flow key */
	enum lb_mode mode;
	enum lb_scheduler scheduler;
	enum lb_refuse refuse;
	__u8 zero[3];
};

/* --- map "backends": where a flow goes. Writer: lbd, through mmap, one aligned 8-byte
 * word at a time, so that a packet never sees half a MAC address. ---------------- */
#define LB_BACKEND_ELIGIBLE	1	/* may get new flows */
#define LB_BACKEND_RESOLVED	2	/* dst_mac, src_mac and ifindex are good */

struct lb_backend {
	struct lb_addr address;
	__u8 dst_mac[6];	/* next hop */
	__u16 csum_delta;	/* VIP -> address, folded one's complement sum, wire order */
	__u8 src_mac[6];	/* ours on ifindex */
	__u16 vip_id;
	__u32 ifindex;
	__u32 max_flows;	/* 0: no cap */
	__u32 weight;		/* effective, in sixteenths: slow start included; 0 gets nothing new */
	enum lb_mode mode;
	__u8 flags;		/* LB_BACKEND_... */
	__u8 zero[2];
	__u64 reply_ns;		/* recent reply time, for LB_SCHED_LEAST_INFLIGHT */
	__u64 zero8;
};

/* --- map "backend_addrs": whose reply is this (nat only). Writer: lbd. --------- */
struct lb_backend_key {
	struct lb_addr address;
	__u16 port;
	__u8 zero[6];
};

struct lb_backend_ref {
	struct lb_addr vip;	/* becomes the source */
	__u16 backend;
	__u16 vip_id;
	__u16 csum_delta;	/* address -> VIP, folded, wire order */
	__u16 zero;
};

/* --- map "loads": what a backend carries now. Writer: the program (atomic);
 * lbd reads it through mmap. ----------------------------------------------------- */
struct lb_load {
	__u64 flows;		/* open sessions */
	__u64 inflight;		/* of these, the mail server owes the next word */
	__u64 sessions_total;	/* sessions that completed the handshake */
	__u64 replies_total;	/* turns that ended in a reply */
	__u64 reply_ns_total;	/* their waiting time, summed */
	__u64 refused_total;	/* SYNs that found this backend at its cap */
	__u64 resets_total;	/* sessions that lbd ended */
	__u64 at_risk_total;	/* sessions that anybody ended while a reply was owed: may be sent twice */
	/* what passive detection goes by */
	__u64 syns_total;	/* SYNs sent to it */
	__u64 synacks_total;	/* SYN-ACKs that came back: nat only */
	__u64 refusals_total;	/* RSTs that came back instead: nat only */
	__u64 retries_total;	/* clients that repeated themselves and heard nothing */
	__u64 refused_ns;	/* when it last refused one */
	__u64 doubt_ns;		/* when lbd was last told to look */
	__u64 zero[2];
};

/* --- map "traffic": packets and bytes, per CPU. Bytes are those of the IP packet. --- */
struct lb_traffic {
	__u64 packets_in;	/* client -> backend */
	__u64 bytes_in;
	__u64 packets_out;	/* backend -> client: nat only */
	__u64 bytes_out;
};

/* --- map "replies": how long mail servers took, per CPU. Bucket 0 is below 1 ms,
 * bucket n is [2^(n-1), 2^n) ms. --------------------------------------------------- */
struct lb_replies {
	__u64 banner[LB_HIST_BUCKETS];	/* handshake done -> greeting */
	__u64 reply[LB_HIST_BUCKETS];	/* any later turn */
	__u64 longest[LB_HIST_BUCKETS];	/* the longest turn of each session: end of data, with scanning */
};

/* --- in maps "flows" and "pending": one TCP connection. Writer: the program. ------ */
struct lb_flow_key {
	struct lb_addr client;
	__u16 client_port;
	__u16 port;		/* of the service */
	__u16 vip_id;
	__u16 zero;
};

enum lb_flow_state {
	LB_FLOW_HALF_OPEN = 0,	/* in "pending" only */
	LB_FLOW_SERVER,		/* open, the mail server owes the next word */
	LB_FLOW_CLIENT,		/* open, it is the client's turn: closing loses nothing */
	LB_FLOW_CLOSING,	/* FIN seen */
	LB_FLOW_ABORTED,	/* RST seen */
	LB_FLOW_RESET,		/* ended by lbd: whoever still speaks gets a RST */
	LB_FLOW_STATE_MAX,
};

struct lb_flow {
	/* what every packet looks at comes first, close behind the key */
	__u64 seen_ns;		/* last packet; may lag by LB_SEEN_LAG_NS */
	__u64 turn_ns;		/* when the last reply came or the last new words went out */
	enum lb_flow_state state;	/* changed only by atomic exchange, counts follow it */
	__u32 client_next;	/* sequence number after the client's last byte */
	__u32 client_ack;	/* the client's highest ACK number: the next byte it expects;
				 * in "pending": the one that its first ACK must carry */
	__u32 ifindex;		/* where the client's packets come in */
	__u8 local_mac[6];	/* under which of our addresses ... */
	__u8 client_mac[6];	/* ... and who hands them to us: as in the frame */
	__u16 backend;
	__u8 marks;		/* LB_MARK_...: written by client packets only */
	__u8 server_fin;	/* the mail server has closed its half (nat only) */
	__u8 retries;		/* times that the client repeated itself since it last heard something */
	__u8 zero;
	__u16 replies;		/* turns that ended in a reply */
	__u32 opened_s;		/* seconds since boot */
	__u32 rtt_us;		/* client's round trip, from the handshake; nat only */
	__u32 longest_ms;	/* longest wait for a reply so far */
};

#define LB_MARK_FRESH		1	/* no greeting yet */
#define LB_MARK_CLIENT_FIN	2	/* the client has closed its half */
#define LB_MARK_SUPERSEDED	4	/* a SYN came on this flow: look into "pending" too */
#define LB_MARK_RETRIED		8	/* in "pending": the SYN was repeated, no round trip from it */
#define LB_MARK_PICKUP		16	/* in "pending": taken up in mid-stream, by the Maglev table */
#define LB_MARK_ANSWERED	32	/* in "pending": the mail server has answered, client_ack is good */

struct lb_pending {
	struct lb_flow_key key;
	struct lb_flow flow;
};

struct lb_pending_set {
	__u32 marks[LB_PENDING_WAYS];	/* of the key's hash; 0: empty */
	__u32 next;	/* whose turn it is to go when none is empty */
	__u32 zero[7];
	struct lb_pending entries[LB_PENDING_WAYS];
};

#define LB_SEEN_LAG_NS		1000000000ULL

/* --- map "flows": the flow table (flow_table.h). Writer: the program; read by lbd through mmap. --- */
#define LB_FLOW_WINDOW	28		/* a flow is at most so many slots from its home, less one */
#define LB_HOME_BITS	0x0fffffffU
#define LB_HOME_AWAY	0x70000000U	/* of a first home: how many of its flows live at their second. Seven: or more, for good */
#define LB_HOME_AWAY_ONE 0x10000000U
#define LB_HOME_HELD	0x80000000U	/* a CPU is making a flow whose first home this is, or takes the home's bit away */

enum lb_slot_claim {
	LB_SLOT_FREE = 0,
	LB_SLOT_FILLING,	/* claimed, not yet to be looked at */
	LB_SLOT_USED,
	LB_SLOT_LEAVING,	/* nobody finds it any more, somebody may still look at it */
};

struct lb_flow_slot {
	__u32 homed;		/* bit d: the slot d further on has a flow whose home is here */
	enum lb_slot_claim claim;
	struct lb_flow_key key;
	struct lb_flow flow;
};

/* Slots of a table for so many flows, and back. Five in eight may be used; the last ones are nobody's home, and behind these
 * are some that hold, in place of a flow, a bit for each home. */
#define LB_HOMES_IN_SLOT	(8 * sizeof(struct lb_flow))
#define LB_SLOTS_FOR_FLOWS(flows)	LB_SLOTS_AND_BITS(((flows) * 8ULL + 4) / 5 + LB_FLOW_WINDOW)
#define LB_SLOTS_AND_BITS(slots)	((slots) + (slots) / (LB_HOMES_IN_SLOT - 1))
#define LB_SLOTS_BEFORE_BITS(slots)	((slots) - (slots) / LB_HOMES_IN_SLOT - 1)
#define LB_FLOWS_IN_SLOTS(slots)	((LB_SLOTS_BEFORE_BITS(slots) - (LB_FLOW_WINDOW - 1)) * 5ULL / 8)

/* --- map "fragments": ports of a datagram's first fragment ------------------------ */
struct lb_fragment_key {
	struct lb_addr src;
	struct lb_addr dst;
	__u32 id;
	__u32 zero;
};

struct lb_fragment {
	__u16 src_port;
	__u16 dst_port;
	__u32 zero;
};

/* --- map "tables": per VIP an inner map with this one value. Writer: lbd, as a whole
 * new inner map, then one pointer. ------------------------------------------------- */
struct lb_table {
	__u32 slots_n;		/* slots in use: LB_TABLE_SLOTS, or one round of the round-robin */
	__u32 members_n;
	__u16 members[LB_MAX_MEMBERS];	/* every eligible backend once */
	__u16 slots[LB_TABLE_SLOTS];	/* backend ids, by weight */
	__u16 zero;
};

/* --- map "totals": one value. Writer: the program (atomic) ------------------------ */
/* --- map "flow_tables": "flows", and the table that it replaces. Writer: lbd. ----- */
enum lb_flow_table {
	LB_FLOWS_NOW = 0,	/* "flows" itself */
	LB_FLOWS_SHARED,	/* the one before: an older program may still run, so flows live there */
	LB_FLOWS_MOVING,	/* the one before: flows move from there to "flows" */
	LB_FLOWS_MAX,
};

struct lb_totals {
	__u64 flow_entries;	/* flows in "flows", lingering ones too */
	__u64 flow_limit;	/* how many there may be: written by lbd at load */
};

/* --- map "meta": one value, checked before any pin is reused. Writer: lbd --------- */
struct lb_meta {
	__u32 magic;
	__u32 schema;
	__u32 flow_key_size, slot_size, backend_size, load_size, service_size, table_size;
	__u64 hash_seed;	/* of the Maglev hash: survives restarts, may be shared by peers */
	__u64 place_seed;	/* of the places in "flows": drawn once, for as long as the pins live */
};

/* --- map "events": ring buffer, program -> lbd ------------------------------------ */
enum lb_event_kind {
	LB_EVENT_RESET = 0,	/* struct lb_event: this flow was ended: tell both sides */
	LB_EVENT_DOUBT,		/* struct lb_doubt: look at this backend's counters now */
	LB_EVENT_KIND_MAX,
};

struct lb_event {
	__u32 kind;
	__u32 zero;
	struct lb_flow_key key;
	struct lb_flow flow;
};

struct lb_doubt {
	__u32 kind;
	__u32 backend;
};

/*
 * Argument and result of the "sweep" program (SEC("syscall")), run by lbd: it walks
 * "flows" once, in the kernel, so that the counts in "loads" stay exact.
 */
struct lb_sweep {
	/* in */
	__u64 idle_ns, fin_ns, rst_ns;
	__u32 close_backend;	/* end flows of this backend; 0: only expired ones */
	__u32 close_force;	/* also those whose server owes a reply */
	__u64 close_idle_ns;	/* ... and that have been in the client's turn this long */
	__u64 close_older_ns;	/* ... and were opened this long ago */
	__u64 close_max;	/* ... until so many are closed; 0: no limit */
	__u64 settled;		/* no packet is under way any more that was when the last sweep ended: reuse slots */
	/* out */
	__u64 entries, expired, closed, at_risk;
	__u64 leaving;		/* slots to reuse in the next sweep, when that is settled */
	__u64 open, owing;	/* flows of close_backend still open, and of these, owing */
	__u64 longest_ns;	/* longest debt among them */
	__u64 more;		/* the ring buffer was full: read it and call again */
};

/* Argument and result of the "move" program (SEC("syscall")), run by lbd: the flows of another table (resize.h). */
struct lb_move {
	__u32 moved;		/* in: where to count from; out: moved with this call */
	__u32 left;		/* out: flows that are still there */
};

/*
 * How a packet ended. The prefix is the outcome, the rest the cause.
 * The names and what they mean: loader/verdict.c.
 */
enum lb_verdict {
	LB_NEXT = 0,		/* go on to the next stage; never counted */
	/* not ours, or not understood: up the stack, untouched */
	LB_PASS_NOT_IP,
	LB_PASS_NOT_TCP,
	LB_PASS_NOT_OURS,
	LB_PASS_MALFORMED,
	LB_PASS_NO_FLOW,
	LB_PASS_FRAGMENT,
	LB_PASS_ICMP,
	LB_PASS_REFUSED,
	/* ours, on its way */
	LB_TX_SYN,
	LB_TX_REQUEST,
	LB_TX_REPLY,
	LB_TX_ICMP,
	LB_TX_FRAGMENT,
	/* ours, answered with a RST */
	LB_RESET_NO_BACKEND,
	LB_RESET_AT_CAP,
	LB_RESET_TABLE_FULL,
	LB_RESET_NO_FLOW,
	LB_RESET_ENDED,
	/* ours, but broken or without a way on */
	LB_DROP_TRUNCATED,
	LB_DROP_BAD_TCP,
	LB_DROP_TTL,
	LB_DROP_NO_BACKEND,
	LB_DROP_NO_NEXTHOP,
	LB_DROP_HALF_OPEN,
	LB_DROP_NO_FLOW,
	LB_DROP_NO_SLOW_PATH,
	LB_VERDICT_MAX,
};

_Static_assert(sizeof(struct lb_service_key) == 24, "key layout");
_Static_assert(sizeof(struct lb_backend_key) == 24, "key layout");
_Static_assert(sizeof(struct lb_backend) == 64, "one cache line");
_Static_assert(sizeof(struct lb_load) == 128, "two cache lines");
_Static_assert(sizeof(struct lb_flow_key) == 24, "key layout");
_Static_assert(sizeof(struct lb_flow) == 64, "one cache line");
_Static_assert(sizeof(struct lb_flow_slot) == 96, "a million flows in 160 MB");
_Static_assert(sizeof(struct lb_fragment_key) == 40, "key layout");
_Static_assert(sizeof(struct lb_table) % 4 == 0, "no hidden tail");

#endif
