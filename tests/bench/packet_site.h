/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sites of packet_bench: one service, three mail servers, everything on one interface. Each has the balancer and the
 * references loaded side by side with maps of their own, and flows made in both by sending handshakes through them.
 * Measures nothing.
 */
#ifndef BENCH_PACKET_SITE_H
#define BENCH_PACKET_SITE_H

#include "packet_feed.h"

/* One program with its maps, and the references with theirs. */
struct site {
	bool v6;
	enum lb_mode mode;
	bool turns;
	__u32 flows, table;	/* entries made, and room for them */
	__u32 number;		/* its place among the sites */
	struct lb_bpf *lb;
	struct reference_bpf *ref;
	__u32 counter;		/* of the packets that the program has had */
	struct site *twin;	/* the next of its twins, in a ring; itself when it has none */
};

struct site *site_add(bool v6, enum lb_mode mode, bool turns, __u32 flows, __u32 table);
/* The same once more, loaded again: where its programs and maps lie in memory is another throw of the dice. */
void site_add_twin(struct site *site);
const char *site_variant(const struct site *site);
/* Loads its programs and makes its flows; those of its twins too. */
void site_make(struct site *site);
__u64 site_verdicts(const struct site *site, __u32 verdict);

static inline __u32 site_place(const struct site *site, enum bench_program program)
{
	return site->number * BENCH_PROGRAM_MAX + program;
}

#endif
