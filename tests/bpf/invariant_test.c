/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random histories: a few hundred sessions of all kinds, sensible and senseless packets of both sides, fragments,
 * ICMP errors, garbage, backends that come and go, sweeps that expire and close. Whatever happens, the counts
 * must equal what the flow table holds, and every packet must keep the rules of run_frame().
 */
#include "dice.h"
#include "talk.h"

#define SESSIONS 300
#define PACKETS	 200000
#define TABLE	 200	/* smaller than the sessions: it must fill up */
#define CHECK	 5000

struct session {
	int family, mode;
	__u16 port;
	__u32 client, server;	/* the next sequence numbers of both sides */
	int which;		/* the mail server that speaks for it */
};

static struct session sessions[SESSIONS];

static bool is_open(enum lb_flow_state s)
{
	return s == LB_FLOW_SERVER || s == LB_FLOW_CLIENT;
}

static struct pkt some_request(struct session *s)
{
	struct pkt p = request_of(s->family, s->mode, ACK);
	__u32 kind = dice_below(100);

	p.sport = s->port;
	p.src = s->port & 1 ? client_a(s->family) : client_b(s->family);
	p.seq = s->client;
	p.ack = s->server;
	if (kind < 20) { /* a new connection, or a SYN again */
		p.flags = SYN;
		if (dice_hit(2))
			s->client = dice();
		p.seq = s->client;
		p.ack = 0;
		s->client += !dice_hit(4);
		s->which = dice_below(2);
		p.payload = dice_hit(20) ? dice_below(100) : 0;
	} else if (kind < 50) {
		p.flags |= PSH;
		p.payload = 1 + dice_below(200);
		s->client += p.payload;
	} else if (kind < 75) {
		p.ack += dice_hit(3) ? dice_below(100) : 0;
	} else if (kind < 80) {
		p.flags |= FIN;
		s->client++;
	} else if (kind < 84) {
		p.flags = dice_hit(2) ? RST : RST | ACK;
	} else if (kind < 92) { /* late, early, repeated */
		p.seq += dice_below(400) - 200;
		p.ack += dice_below(400) - 200;
		p.payload = dice_below(100);
	} else if (kind < 95) {
		p.seq = dice();
		p.ack = dice();
		p.flags = dice();
	}
	return p;
}

static struct pkt some_reply(struct session *s)
{
	struct pkt p = reply_of(s->family, ACK);
	__u32 kind = dice_below(100);

	p.src = s->which ? be_two(s->family, LB_MODE_NAT) : be_one(s->family, LB_MODE_NAT);
	if (dice_hit(20))
		p.src = be_one(s->family, LB_MODE_NAT);
	p.dport = s->port;
	p.dst = s->port & 1 ? client_a(s->family) : client_b(s->family);
	p.seq = s->server;
	p.ack = s->client;
	if (kind < 35) {
		p.flags |= SYN;
		p.seq = s->server = dice();
		s->server++;
	} else if (kind < 70) {
		p.flags |= PSH;
		p.payload = 1 + dice_below(200);
		s->server += p.payload;
	} else if (kind < 75) {
		p.flags |= FIN;
		s->server++;
	} else if (kind < 80) {
		p.flags = dice_hit(2) ? RST : RST | ACK;
	} else if (kind < 84) {
		p.seq = dice();
		p.flags = dice();
	}
	return p;
}

static void finery(struct pkt *p)
{
	static const char *const chains[] = { "h", "a", "dr", "hdra", "hhhhhhhh" };

	p->id = dice();
	p->vlans = dice_hit(3) ? dice_below(4) : 0;
	p->tcp_options = dice_hit(3) ? dice_below(11) * 4 : 0;
	p->ip_options = p->family == V4 && dice_hit(8) ? dice_below(11) * 4 : 0;
	p->extensions = p->family == V6 && dice_hit(8) ? chains[dice_below(COUNT(chains))] : NULL;
	p->ttl = dice_hit(50) ? dice_below(2) : 2 + dice_below(60);
	p->dport = dice_hit(100) ? 26 : p->dport;
	p->from_mac = p->from_mac == mac_gw && dice_hit(10) ? mac_gw2 : p->from_mac;
}

static void spoil(struct frame *f)
{
	if (dice_hit(3) && f->len > 14)
		f->len = 14 + dice_below(f->len - 14);
	for (__u32 n = dice_below(5); n; n--)
		f->bytes[12 + dice_below(f->len > 80 ? 68 : f->len - 12)] = dice_hit(2) ? dice() : 0xff;
}

static void some_frame(struct session *s, struct frame *f)
{
	struct pkt p = s->mode == LB_MODE_NAT && dice_hit(2) ? some_reply(s) : some_request(s);
	bool request = p.dst.bytes[15] == svc_mx(s->family, s->mode).bytes[15];
	__u32 kind = dice_below(40);
	struct error e = {
		.type = dice_hit(4) ? dice() : s->family == V4 ? 3 : 2, .code = dice_below(16), .info = 1400,
		.outer = { .family = s->family, .ttl = 1 + dice_below(60), .from_mac = mac_gw, .to_mac = mac_lb },
		.keep = dice_below(40),
	};
	size_t at;

	finery(&p);
	if (kind == 0) { /* an error about what the other side of us saw of it */
		e.about = request && s->mode == LB_MODE_NAT ? at_backend(&p, s->mode, s->which) :
			  request ? p : at_client(&p);
		e.outer.src = dice_hit(3) ? e.about.dst : router(s->family);
		e.outer.dst = dice_hit(10) ? router(s->family) : e.about.src;
		error_build(f, &e);
	} else if (kind == 1) {
		p.may_fragment = true;
		p.id &= 3;
		p.payload = 1000;
		at = dice_below(3) * 400;
		pkt_build_fragment(f, &p, at, at == 800 ? tcp_len(&p) - 800 : 400);
	} else {
		pkt_build(f, &p);
	}
	if (dice_hit(12))
		spoil(f);
}

/* Only what the treaty lets change: MACs, one address, TTL, checksums; in an ICMP error the same once more. */
static void check_changes(const struct frame *in, const struct result *r)
{
	size_t changed = 0, limit = 12 + 16 + 1 + 2 + 2;

	if (!is_tx(r->verdict) || r->verdict > LB_TX_FRAGMENT)
		return;
	assert_int_equal(r->out.len, in->len);
	for (__u32 i = 0; i < in->len; i++)
		changed += in->bytes[i] != r->out.bytes[i];
	assert_in_range(changed, 0, r->verdict == LB_TX_ICMP ? limit + 16 + 2 + 2 : limit);
}

static void shake_backends(void)
{
	int family = dice_below(2), mode = dice_below(2), which = dice_below(2);
	__u16 one = id_of(family, mode, 0), two = id_of(family, mode, 1), vip = vip_of(family, mode);
	struct lb_backend *be = &world.backends[id_of(family, mode, which)];

	be->flags = dice_hit(3) ? dice() & 3 : LB_BACKEND_ELIGIBLE | LB_BACKEND_RESOLVED;
	be->weight = dice_below(4) * 16;
	be->max_flows = dice_hit(3) ? 1 + dice_below(20) : 0;
	be->reply_ns = dice();
	be->ifindex = dice_hit(4) ? IF_ELSEWHERE : IF_HERE;
	world_service(family, mode, dice_below(LB_SCHED_MAX), dice_below(LB_REFUSE_MAX));
	if (dice_hit(8))
		world_table(vip, NULL, 0);
	else if (dice_hit(2))
		world_table(vip, (__u16[]){ one, two }, 2);
	else
		world_table(vip, dice_hit(2) ? &one : &two, 1);
}

/* Lets time pass for some flows. */
static void pass_time(void)
{
	EACH_FLOW(slot, &world.flows) {
		if (!dice_hit(4))
			continue;
		slot->flow.seen_ns -= dice_below(200) * SECOND;
		slot->flow.turn_ns -= dice_below(200) * SECOND;
	}
}

static void some_sweep(void)
{
	struct lb_sweep arg = {
		.idle_ns = 900 * SECOND, .fin_ns = 120 * SECOND, .rst_ns = 10 * SECOND,
		.close_backend = dice_hit(2) ? dice_below(9) : 0, .close_force = dice_hit(3),
		.close_idle_ns = dice_below(100) * SECOND, .close_older_ns = 0, .settled = dice_hit(2),
	};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &arg, .ctx_size_in = sizeof(arg));

	pass_time();
	assert_int_equal(bpf_prog_test_run_opts(bpf_program__fd(world.skel->progs.sweep), &opts), 0);
	world_drain(drop_event, NULL);
}

static void check_counts(int at)
{
	__u64 flows[16] = {}, inflight[16] = {}, entries = 0;

	EACH_FLOW(slot, &world.flows) {
		const struct lb_flow *flow = &slot->flow;

		assert_in_range(flow->backend, 1, 8);
		assert_in_range(flow->state, LB_FLOW_SERVER, LB_FLOW_RESET);
		assert_ptr_equal(slots_find(&world.flows, &slot->key), flow);
		entries++;
		flows[flow->backend] += is_open(flow->state);
		inflight[flow->backend] += flow->state == LB_FLOW_SERVER;
	}
	if (world.totals->flow_entries != entries)
		fail_msg("after %d packets: %llu entries, counted %llu", at, entries, world.totals->flow_entries);
	for (int id = 1; id < 9; id++) {
		const struct lb_load *load = &world.loads[id];

		if (load->flows != flows[id] || load->inflight != inflight[id])
			fail_msg("after %d packets: backend %d has %llu flows, %llu in flight; counted %llu, %llu", at, id,
				 flows[id], inflight[id], load->flows, load->inflight);
		assert_true(load->sessions_total >= load->flows);
		assert_true(load->sessions_total >= load->at_risk_total);
	}
}

static void counts_are_exact_after_any_history(void **state)
{
	static struct frame f;
	static struct result r;
	__u64 seen = 0;

	(void)state;
	dice_seed(0x6d61696c78647002);
	for (int i = 0; i < SESSIONS; i++)
		sessions[i] = (struct session) { .family = i & 1, .mode = i % 3 == 0, .port = 2000 + i, .client = dice() };
	for (int i = 1; i <= PACKETS; i++) {
		some_frame(&sessions[dice_below(SESSIONS)], &f);
		run_frame(&f, &r);
		check_changes(&f, &r);
		if (dice_hit(300))
			shake_backends();
		if (dice_hit(1000))
			some_sweep();
		if (i % CHECK == 0)
			check_counts(i);
	}
	/* no traffic can empty the array of slow paths: that verdict does not count here */
	for (int v = 1; v < LB_VERDICT_MAX; v++)
		seen += v != LB_DROP_NO_SLOW_PATH && world.produced[v] != 0;
	printf("# %llu of %d verdicts came up\n", seen, LB_VERDICT_MAX - 2);
	assert_true(seen >= LB_VERDICT_MAX - 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(counts_are_exact_after_any_history, world_setup),
	};

	world_open(TABLE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
