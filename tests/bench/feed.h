/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Between feed.bpf.c and packet_feed.c: what the wrapper feeds to the program under test, and which
 * programs there are.
 */
#ifndef BENCH_FEED_H
#define BENCH_FEED_H

#include <linux/types.h>

#define BENCH_SITES	32	/* each with its own set of programs */
#define BENCH_STEP	64	/* what sequence numbers move by from round to round */

enum bench_program {
	BENCH_EMPTY = 0,
	BENCH_LB,
	BENCH_SWAP,
	BENCH_LOOKUP,
	BENCH_SMALL,
	BENCH_LRU,
	BENCH_FILL,
	BENCH_PROGRAM_MAX,
};

struct bench_feed {
	__u64 frame[10];	/* the headers that every repetition starts from */
	__u32 len;		/* of the whole frame */
	__u32 program;		/* place in "programs": site x BENCH_PROGRAM_MAX + enum bench_program */
	__u32 counter;		/* packets so far: chooses the flow */
	__u32 mask;		/* flows - 1 */
	__u32 half;		/* half the bits of mask */
	__u32 odd[2];		/* the order of the flows */
	__u32 shift;		/* all of them: counter >> shift is the round */
	__u32 client;		/* low word of the first client's address, host order */
	__u32 seq, ack;
	__u32 seq_moves, ack_moves;
};

#endif
