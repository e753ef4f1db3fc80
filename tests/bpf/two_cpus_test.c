/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The program on several CPUs at once, in the real kernel: packets of one connection on two of them, and lbd's sweep
 * between packets that use the same ports again. Whatever the order, each connection is one flow, and the counts are those
 * of the flows that are there.
 */
#include <pthread.h>
#include <sched.h>
#include "talk.h"

#define CPUS	2
#define BATCHES 400
#define BATCH	64
#define RACES	150000 /* connections over and over on BATCH ports */
#define SWEEPS	20     /* between two grace periods */

static pthread_barrier_t gate;
static __u32 first_seq;	/* of the connections that are being opened */
static bool done;

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu % world.cpus, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/* Without the bookkeeping of run_pkt(), which belongs to one thread. */
static int run_quietly(const struct pkt *p)
{
	struct xdp_md md = { .ingress_ifindex = IF_HERE };
	struct frame in, out;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_out = out.bytes, .data_size_out = sizeof(out.bytes), .ctx_in = &md,
		    .ctx_size_in = sizeof(md));

	pkt_build(&in, p);
	opts.data_in = in.bytes;
	opts.data_size_in = md.data_end = in.len;
	if (bpf_prog_test_run_opts(bpf_program__fd(world.skel->progs.lb), &opts))
		return -1;
	return opts.retval;
}

static struct pkt packet(__u32 port, __u8 flags, __u32 seq)
{
	struct pkt p = request_of(V4, LB_MODE_DSR, flags);

	p.sport = 1024 + port;
	p.seq = seq;
	return p;
}

/* What is in the table is what was counted. */
static void expect_agreement(__u32 *open)
{
	__u64 inflight = 0, flows = 0;
	const struct lb_load *load = load_of(V4, LB_MODE_DSR, 0);

	EACH_FLOW(slot, &world.flows) {
		bool is_open = slot->flow.state == LB_FLOW_SERVER || slot->flow.state == LB_FLOW_CLIENT;

		assert_ptr_equal(slots_find(&world.flows, &slot->key), &slot->flow);
		flows += is_open;
		inflight += slot->flow.state == LB_FLOW_SERVER;
	}
	assert_int_equal(world.totals->flow_entries, slots_count(&world.flows));
	assert_int_equal(load->flows, flows);
	assert_int_equal(load->inflight, inflight);
	*open = flows;
}

static void *acks(void *arg)
{
	pin((uintptr_t)arg);
	for (__u32 batch = 0; batch < BATCHES; batch++) {
		pthread_barrier_wait(&gate);
		for (__u32 i = 0; i < BATCH; i++) {
			struct pkt ack = packet(batch * BATCH + i, ACK, first_seq + 1);

			run_quietly(&ack);
		}
		pthread_barrier_wait(&gate);
	}
	return NULL;
}

/* Connections on all ports, the first words of each on every CPU. */
static void open_all(void)
{
	pthread_t threads[CPUS];

	pthread_barrier_init(&gate, NULL, CPUS + 1);
	for (uintptr_t i = 0; i < CPUS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, acks, (void *)i), 0);
	for (__u32 batch = 0; batch < BATCHES; batch++) {
		for (__u32 i = 0; i < BATCH; i++) {
			struct pkt syn = packet(batch * BATCH + i, SYN, first_seq);

			assert_int_equal(run_quietly(&syn), XDP_TX);
		}
		pthread_barrier_wait(&gate);
		pthread_barrier_wait(&gate);
	}
	for (int i = 0; i < CPUS; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&gate);
}

static void the_first_words_on_two_cpus_make_one_flow(void **state)
{
	__u32 open;

	(void)state;
	first_seq = CLIENT_ISN;
	open_all();
	expect_agreement(&open);
	assert_int_equal(open, BATCHES * BATCH);
	expect_load(V4, LB_MODE_DSR, open, open, open);
}

/* The same ports again, some after a RST, some as if the client had been switched off and on. */
static void first_words_on_ports_used_before_make_one_flow_too(void **state)
{
	__u32 open;

	(void)state;
	first_seq = CLIENT_ISN;
	open_all();
	for (__u32 port = 0; port < BATCHES * BATCH; port += 2) {
		struct pkt rst = packet(port, RST, first_seq + 1);

		run_quietly(&rst);
	}
	first_seq += 1 << 20;
	open_all();
	expect_agreement(&open);
	assert_int_equal(open, BATCHES * BATCH);
	expect_load(V4, LB_MODE_DSR, open, open, 2 * open);
}

/* As lbd does it (flow_table.c): the exchange of a map in a map waits for the programs that run. */
static void grace(void)
{
	__u32 now = LB_FLOWS_NOW;
	int flows = bpf_map__fd(world.skel->maps.flows);

	bpf_map_update_elem(bpf_map__fd(world.skel->maps.flow_tables), &now, &flows, BPF_ANY);
}

static void sweep(bool settled, struct lb_sweep *arg)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = arg, .ctx_size_in = sizeof(*arg));

	/* what a RST has ended is old at once */
	*arg = (struct lb_sweep) { .idle_ns = 900 * SECOND, .fin_ns = 120 * SECOND, .rst_ns = 1, .settled = settled };
	bpf_prog_test_run_opts(bpf_program__fd(world.skel->progs.sweep), &opts);
}

static void *sweeps(void *arg)
{
	struct lb_sweep result;
	__u64 *expired = arg;

	pin(1);
	while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE)) {
		for (int i = 0; i < SWEEPS; i++) {
			sweep(false, &result);
			*expired += result.expired;
		}
		grace();
		sweep(true, &result);
		*expired += result.expired;
	}
	return NULL;
}

static void a_sweep_between_connections_on_the_same_ports_loses_no_count(void **state)
{
	__u64 expired = 0, opened = 0;
	struct lb_sweep last;
	pthread_t sweeper;
	__u32 open;

	(void)state;
	assert_int_equal(pthread_create(&sweeper, NULL, sweeps, &expired), 0);
	pin(0);
	for (__u32 i = 0; i < RACES; i++) {
		__u32 port = i % BATCH, isn = CLIENT_ISN + i * 7919;
		struct pkt syn = packet(port, SYN, isn), ack = packet(port, ACK, isn + 1), rst = packet(port, RST, isn + 1);

		run_quietly(&syn);
		opened += run_quietly(&ack) == XDP_TX;
		if (i < RACES - BATCH) /* the last ones stay open */
			run_quietly(&rst);
	}
	__atomic_store_n(&done, true, __ATOMIC_RELEASE);
	pthread_join(sweeper, NULL);
	expect_agreement(&open);
	printf("# %llu of %d opened, %llu swept, %u left open\n", opened, RACES, expired, open);
	assert_in_range(open, 1, BATCH);
	assert_true(expired > BATCH);
	sweep(false, &last);
	expect_agreement(&open);
	assert_int_equal(slots_count(&world.flows), open);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_first_words_on_two_cpus_make_one_flow, world_setup),
		cmocka_unit_test_setup(first_words_on_ports_used_before_make_one_flow_too, world_setup),
		cmocka_unit_test_setup(a_sweep_between_connections_on_the_same_ports_loses_no_count, world_setup),
	};

	world_open(65536);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
