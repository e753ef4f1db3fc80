// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What goes in and what has to come out, case by case, and the time between. Who the sites are does not matter here.
 */
#include <bpf/libbpf.h>

#include "packet_sample.h"
#include "tool.h"
#include "bench/reference.skel.h"

#define STRETCHES 10	/* of each kind in a round */

#define DATA_PACKET { .port = PORT, .flags = FLAG_ACK, .options = 12, .payload = 1448 }
#define ACK_PACKET { .port = PORT, .flags = FLAG_ACK, .options = 12 }
#define WORD_PACKET { .port = PORT, .flags = FLAG_ACK | FLAG_PSH, .options = 12, .payload = 32 }
#define SYN_PACKET { .port = PORT, .flags = FLAG_SYN, .options = 20 }
#define REPLY_PACKET { .reply = true, .port = PORT, .flags = FLAG_ACK | FLAG_PSH, .options = 12, .payload = 32 }
#define CLIENT_FEED .seq = CLIENT_SEQ + 1, .ack = SERVER_SEQ + 1
#define SERVER_FEED .seq = SERVER_SEQ + 1, .ack = CLIENT_SEQ + 1

const struct bench_case case_request = {
	"request", "client's segment of a message, new words", BENCH_LB, DATA_PACKET,
	{ CLIENT_FEED, .seq_moves = true }, false, LB_TX_REQUEST, XDP_TX,
};
const struct bench_case case_request_ack = {
	"request-ack", "client's bare ACK, nothing new", BENCH_LB, ACK_PACKET,
	{ CLIENT_FEED }, false, LB_TX_REQUEST, XDP_TX,
};
const struct bench_case case_request_turn = {
	"request-turn", "client's command that acknowledges a reply: both turns in one packet", BENCH_LB, WORD_PACKET,
	{ CLIENT_FEED, .seq_moves = true, .ack_moves = true }, false, LB_TX_REQUEST, XDP_TX,
};
const struct bench_case case_reply = {
	"reply", "mail server's segment", BENCH_LB, REPLY_PACKET,
	{ SERVER_FEED }, false, LB_TX_REPLY, XDP_TX,
};
const struct bench_case case_syn = {
	"syn", "SYN of a new flow every time", BENCH_LB, SYN_PACKET,
	{ .seq = CLIENT_SEQ }, true, LB_TX_SYN, XDP_TX,
};
const struct bench_case case_syn_full = {
	"syn-full", "SYN to a full table, answered with a RST", BENCH_LB, SYN_PACKET,
	{ .seq = CLIENT_SEQ }, true, LB_RESET_TABLE_FULL, XDP_TX,
};
const struct bench_case case_other_port = {
	"other-port", "not ours: TCP to another port", BENCH_LB,
	{ .port = 443, .flags = FLAG_ACK, .options = 12, .payload = 1448 },
	{ CLIENT_FEED }, false, LB_PASS_NOT_OURS, XDP_PASS,
};
const struct bench_case case_other_host = {
	"other-host", "not ours: SMTP to another host", BENCH_LB,
	{ .port = PORT, .elsewhere = true, .flags = FLAG_ACK, .options = 12, .payload = 1448 },
	{ CLIENT_FEED }, false, LB_PASS_NOT_OURS, XDP_PASS,
};
const struct bench_case case_swap = {
	"mac-swap", "MAC swap", BENCH_SWAP, DATA_PACKET, { CLIENT_FEED }, false, 0, XDP_TX,
};
const struct bench_case case_lookup = {
	"lookup", "parse, one look-up, MAC swap", BENCH_LOOKUP, DATA_PACKET, { CLIENT_FEED }, false, 0, XDP_TX,
};
const struct bench_case case_small = {
	"small-lookup", "parse, one small look-up", BENCH_SMALL, DATA_PACKET, { CLIENT_FEED }, false, 0, XDP_PASS,
};
const struct bench_case case_lru = {
	"lru-insert", "parse, one LRU insert", BENCH_LRU, SYN_PACKET, { .seq = CLIENT_SEQ }, true, 0, XDP_TX,
};

/* One round of one case: short stretches of nothing and of the program in turn, and the median of each, so
 * that what else the machine does in between hits few of them and both alike. */
void sample_measure(struct sample *s, int round, __u32 repeat)
{
	const struct bench_case *c = s->what;
	struct site *site = s->site;
	struct flow_feed ff = c->feed;
	__u32 n = repeat / STRETCHES, place, warm, action;
	double empty[STRETCHES], gross[STRETCHES];
	struct frame frame;
	__u64 before = 0;

	for (int i = 0; i < round; i++)
		site = site->twin;
	place = site_place(site, c->program);
	ff.flows = c->fresh ? 0 : site->flows;
	warm = c->fresh ? 4096 : site->flows < 65536 ? site->flows + 1024 : 65536;
	frame_build(site->v6, &c->pkt, &frame);
	feed_set(&frame, &ff);
	feed_run(&frame, place, site->counter, warm, &action);
	site->counter += warm;
	if (c->program == BENCH_LB)
		before = site_verdicts(site, c->verdict);
	for (int i = 0; i < STRETCHES; i++) {
		empty[i] = feed_run(&frame, site_place(site, BENCH_EMPTY), site->counter, n, &action);
		gross[i] = feed_run(&frame, place, site->counter, n, &action);
		site->counter += n;
		if (action != c->action)
			die("%s: action %u instead of %u", c->name, action, c->action);
	}
	if (c->program == BENCH_LB && site_verdicts(site, c->verdict) - before != n * STRETCHES)
		die("%s: only %llu of %u packets took the path that is measured", c->name,
		    (unsigned long long)(site_verdicts(site, c->verdict) - before), n * STRETCHES);
	s->gross[round] = spread_of(gross, STRETCHES).mid;
	s->net[round] = s->gross[round] - spread_of(empty, STRETCHES).mid;
}

double sample_direct(const struct site *site, enum bench_program program, __u32 repeat)
{
	const struct bpf_program *prog = program == BENCH_SWAP ? site->ref->progs.ref_swap : site->ref->progs.ref_empty;
	const struct packet pkt = DATA_PACKET;
	struct frame frame;

	frame_build(site->v6, &pkt, &frame);
	return feed_direct(&frame, bpf_program__fd(prog), repeat);
}
