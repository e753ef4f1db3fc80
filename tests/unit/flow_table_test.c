/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bpf/flow_table.h, compiled for the host: against a model, filled to the brim, and with two CPUs at it at once. The
 * threads do what the kernel half does: packets look up and make flows, the sweep removes them, waits for the packets that
 * are under way, and frees.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../../bpf/lb_abi.h"
#include "../bpf/slots.h"
#include "../bpf/dice.h"

#define FLOWS	4096
#define PACKERS 2
#define RACES	200000
#define VISITS	100000

static struct slots table;

static void table_make(__u32 flows)
{
	free(table.slots);
	table.n = LB_SLOTS_FOR_FLOWS(flows);
	table.slots = calloc(table.n, sizeof(*table.slots));
	assert_non_null(table.slots);
	for (size_t i = 0; i < HASH_PLACE_WORDS; i++)
		table.secret[i] = dice();
}

/* Flows as a site has them: few VIPs, many clients, ports in a row. */
static struct lb_flow_key key_of(__u32 n)
{
	return (struct lb_flow_key) {
		.client = { .bytes = { [10] = 0xff, 0xff, 10, n >> 22, n >> 14, n >> 6 } }, .client_port = 1024 + n % 64, .port = 25,
		.vip_id = 1,
	};
}

static struct lb_flow flow_of(__u32 n)
{
	return (struct lb_flow) { .seen_ns = n, .client_next = n, .longest_ms = n };
}

static __u64 place_of(const struct lb_flow_key *key)
{
	return hash_place(key, table.secret);
}

static bool put(__u32 n)
{
	struct lb_flow_key key = key_of(n);
	struct lb_flow flow = flow_of(n);

	return slots_put(&table, &key, &flow);
}

static bool is_there(__u32 n)
{
	struct lb_flow_key key = key_of(n);
	struct lb_flow want = flow_of(n), *near = table_look(&table, &key, place_of(&key)), *flow = slots_find(&table, &key);

	assert_true(!near || near == flow);
	assert_true(!flow || table_is_home(&table, place_of(&key)));
	if (flow)
		assert_memory_equal(flow, &want, sizeof(want));
	return flow;
}

static bool take_out(__u32 n)
{
	struct lb_flow_key key = key_of(n);
	__u64 hash = place_of(&key);

	return table_remove(&table, table_search(&table, &key, hash), hash);
}

static void reuse(void)
{
	for (__u32 i = 0; i < table.n; i++)
		if (table.slots[i].claim == LB_SLOT_LEAVING)
			table.slots[i].claim = LB_SLOT_FREE;
}

static void sizes_and_limits_agree(void **state)
{
	(void)state;
	for (__u64 flows = 1; flows < 1 << 24; flows += 1 + flows / 3) {
		assert_int_equal(LB_FLOWS_IN_SLOTS(LB_SLOTS_FOR_FLOWS(flows)), flows);
		assert_true(LB_SLOTS_FOR_FLOWS(flows) - (LB_FLOW_WINDOW - 1) >= flows);
	}
}

static void it_does_what_a_model_does(void **state)
{
	static bool model[FLOWS * 2];
	__u32 n, in = 0;

	(void)state;
	table_make(FLOWS);
	for (int i = 0; i < 1000000; i++) {
		n = dice_below(FLOWS * 2);
		assert_int_equal(is_there(n), model[n]);
		if (dice_hit(2)) {
			if (in == FLOWS && !model[n])
				continue;
			assert_int_equal(put(n), !model[n]);
			in += !model[n];
			model[n] = true;
		} else {
			assert_int_equal(take_out(n), model[n]);
			in -= model[n];
			model[n] = false;
		}
		if (i % 100 == 0)
			reuse();
		if (i % 100000 == 0)
			assert_int_equal(slots_count(&table), in);
	}
}

/* All the flows that the table is for, some of them always new: none is refused. */
static void a_full_table_takes_all_its_flows(void **state)
{
	__u32 flows = 1 << 17, *in = calloc(flows, sizeof(*in)), at, home, far = 0, near = 0;

	(void)state;
	assert_non_null(in);
	table_make(flows);
	for (__u32 i = 0; i < flows; i++)
		assert_true(put(in[i] = i));
	for (__u32 i = 0; i < 4 * flows; i++) {
		__u32 *one = &in[dice_below(flows)];
		struct lb_flow_key key = key_of(*one);
		__u64 hash = place_of(&key);

		at = table_search(&table, &key, hash);
		assert_true(table_remove(&table, at, hash));
		table.slots[at].claim = LB_SLOT_FREE;
		assert_true(put(*one = flows + i));
	}
	for (__u32 i = 0; i < flows; i++) {
		struct lb_flow_key key = key_of(in[i]);
		__u64 hash = place_of(&key);

		at = table_search(&table, &key, hash);
		assert_int_not_equal(at, TABLE_NONE);
		home = at - table_home(&table, hash) < LB_FLOW_WINDOW ? table_home(&table, hash) : table_home(&table, hash >> 32);
		far = at - home > far ? at - home : far;
		near += table_look(&table, &key, hash) != NULL;
	}
	printf("# a full table: %u %% of the flows are at home, the furthest is %u from it\n", near * 100 / flows, far);
	assert_in_range(far, 1, LB_FLOW_WINDOW - 6); /* some way from where it would have no room */
	free(in);
}

/* Homes that have no room left refuse, and are as before. */
static void without_room_nothing_changes(void **state)
{
	(void)state;
	table_make(64);
	assert_true(put(1));
	for (__u32 i = 0; i < table.n; i++)
		if (table.slots[i].claim == LB_SLOT_FREE)
			table.slots[i].claim = LB_SLOT_LEAVING;
	assert_false(put(2));
	assert_false(is_there(2));
	assert_true(is_there(1));
	assert_false(put(1));
	reuse();
	assert_true(put(2));
	assert_true(is_there(2));
	for (__u32 i = 0; i < table.n; i++)
		assert_int_equal(table.slots[i].homed & LB_HOME_HELD, 0);
}

/* What a SYN is spared: a home without flows says so, and keeps nothing of those it had; but for homes that had very many
 * flows elsewhere. */
static void an_empty_home_says_so(void **state)
{
	__u32 away = 0, lost = 0;

	(void)state;
	table_make(FLOWS);
	for (__u32 n = 0; n < FLOWS; n++) {
		struct lb_flow_key key = key_of(n);
		__u32 home = table_home(&table, place_of(&key));

		assert_true(!table_is_home(&table, place_of(&key)) || table_homed(&table, home));
		assert_true(put(n));
		assert_true(table_is_home(&table, place_of(&key)));
	}
	for (__u32 home = 0; home < table_homes(&table); home++)
		away += (table_homed(&table, home) & LB_HOME_AWAY) / LB_HOME_AWAY_ONE;
	for (__u32 n = 0; n < FLOWS; n++)
		assert_true(take_out(n));
	for (__u32 home = 0; home < table_homes(&table); home++) {
		assert_in_set(table_homed(&table, home), ((unsigned long[]) { 0, LB_HOME_AWAY }), 2);
		assert_int_equal(*table_bits(&table, home) >> home % 64 & 1, table_homed(&table, home) != 0);
		lost += table_homed(&table, home) != 0;
	}
	assert_in_range(away, FLOWS / 100, FLOWS);
	assert_in_range(lost, 0, FLOWS / 1000);
}

/* More flows of one home live elsewhere than it can count: then it says for ever that there may be some. */
static void a_home_counts_up_to_seven(void **state)
{
	__u32 mine[9], n = 0, home = 20, away = LB_HOME_AWAY / LB_HOME_AWAY_ONE;

	(void)state;
	table_make(256);
	for (__u32 d = 0; d < LB_FLOW_WINDOW; d++)
		table_slot(&table, home + d)->claim = LB_SLOT_LEAVING;
	for (__u32 i = 0; i < 9; mine[i++] = n++)
		for (struct lb_flow_key key = key_of(n); table_home(&table, place_of(&key)) != home; key = key_of(n))
			n++;
	for (__u32 i = 0; i < 9; i++) {
		assert_true(put(mine[i]));
		assert_int_equal(table_homed(&table, home), (i < away ? i + 1 : away) * LB_HOME_AWAY_ONE);
	}
	for (__u32 i = 0; i < 9; i++) {
		for (__u32 j = 0; j < 9; j++)
			assert_int_equal(is_there(mine[j]), j >= i);
		assert_true(take_out(mine[i]));
	}
	assert_int_equal(table_homed(&table, home), LB_HOME_AWAY);
}

/* Who takes the last flow out of a home is late: another CPU has just made one there, or has begun to. */
static void a_home_in_use_is_not_forgotten(void **state)
{
	struct lb_flow_key key = key_of(7);
	struct lb_flow_slot *held;
	__u64 hash;
	__u32 home;

	(void)state;
	table_make(64);
	hash = place_of(&key);
	home = table_home(&table, hash);
	held = table_slot(&table, home);
	assert_true(put(7));
	table_leave(&table, home, held);
	assert_true(table_is_home(&table, hash));
	assert_true(take_out(7));
	assert_false(table_is_home(&table, hash));
	assert_int_equal(held->homed, 0);
	held->homed |= LB_HOME_HELD;
	table_mark_home(&table, home);
	table_leave(&table, home, held);
	assert_true(table_is_home(&table, hash));
	assert_int_equal(held->homed, LB_HOME_HELD);
}

static void a_home_that_is_held_lets_nobody_in(void **state)
{
	struct lb_flow_key key = key_of(7);
	struct lb_flow_slot *home;

	(void)state;
	table_make(64);
	home = table_slot(&table, table_home(&table, place_of(&key)));
	home->homed |= LB_HOME_HELD;
	assert_false(put(7));
	assert_false(is_there(7));
	home->homed &= ~LB_HOME_HELD;
	assert_true(put(7));
}

/* What a packet has found stays what it is until the packet is through, whatever else happens to the table. */
static void a_slot_that_is_left_is_not_taken_at_once(void **state)
{
	struct lb_flow_key key = key_of(3);
	struct lb_flow *held, was = flow_of(3);

	(void)state;
	table_make(64);
	assert_true(put(3));
	held = slots_find(&table, &key);
	assert_true(take_out(3));
	assert_false(take_out(3));
	for (__u32 n = 100; n < 164; n++)
		put(n);
	assert_memory_equal(held, &was, sizeof(was));
}

/* --- two CPUs ------------------------------------------------------------------------------- */

static pthread_barrier_t start;
static __u32 made[PACKERS][RACES];

/* All threads make the same flows in the same order, as the packets of one connection on two queues would. */
static void *race(void *arg)
{
	__u32 *mine = made[(uintptr_t)arg];

	for (__u32 n = 0; n < RACES; n++) {
		if (n % 64 == 0)
			pthread_barrier_wait(&start);
		mine[n] = put(n);
	}
	return NULL;
}

static void no_flow_is_made_twice(void **state)
{
	pthread_t threads[PACKERS];
	__u32 there = 0;

	(void)state;
	table_make(RACES);
	pthread_barrier_init(&start, NULL, PACKERS);
	for (uintptr_t i = 0; i < PACKERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, race, (void *)i), 0);
	for (int i = 0; i < PACKERS; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&start);
	for (__u32 n = 0; n < RACES; n++) {
		assert_true(made[0][n] + made[1][n] <= 1); /* none: each found the home held by the other's neighbour */
		assert_int_equal(is_there(n), made[0][n] + made[1][n]);
		there += is_there(n);
	}
	assert_int_equal(slots_count(&table), there);
	assert_true(there > RACES / 100 * 99);
}

#define STAYING 32	  /* flows that nobody removes */
#define COMING	(1 << 20) /* flows that come and go */
#define LOOKS	500

static struct {
	__u64 packets;	/* odd: in one */
	__u64 pad[7];
} progress[PACKERS];
static bool done;
static __u64 wrong, missed, freed;

static void *packets(void *arg)
{
	uintptr_t me = (uintptr_t)arg;
	unsigned int seed = me;

	for (int i = 0; i < VISITS; i++) {
		__u32 n = rand_r(&seed) % (i & 1 ? STAYING : COMING);
		struct lb_flow_key key;
		struct lb_flow *flow;
		bool known;

		if (n >= STAYING) /* each thread its own */
			n = n / PACKERS * PACKERS + me;
		key = key_of(n);
		__atomic_add_fetch(&progress[me].packets, 1, __ATOMIC_SEQ_CST);
		flow = slots_find(&table, &key);
		if (n < STAYING && (!flow || !table_is_home(&table, place_of(&key))))
			__atomic_add_fetch(&missed, 1, __ATOMIC_RELAXED);
		if (!flow && put(n)) {
			/* nobody but this thread makes it: when it is there now, it was there all the time */
			known = table_is_home(&table, place_of(&key));
			flow = slots_find(&table, &key);
			if (flow && !known)
				__atomic_add_fetch(&missed, 1, __ATOMIC_RELAXED);
		}
		if (i % 16 == 0)
			sched_yield(); /* a packet that takes its time */
		/* the sweep may have it by now, but nobody else may */
		for (int look = 0; flow && look < LOOKS; look++)
			if (__atomic_load_n(&flow->client_next, __ATOMIC_RELAXED) != n)
				__atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
		__atomic_add_fetch(&progress[me].packets, 1, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

/* Until every packet that was under way is through. */
static void grace(void)
{
	for (int i = 0; i < PACKERS; i++) {
		__u64 was = __atomic_load_n(&progress[i].packets, __ATOMIC_SEQ_CST);

		while (was & 1 && __atomic_load_n(&progress[i].packets, __ATOMIC_SEQ_CST) == was)
			sched_yield();
	}
}

static void *sweeps(void *arg)
{
	(void)arg;
	while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE)) {
		EACH_FLOW(slot, &table) {
			if (slot->flow.client_next >= STAYING)
				table_remove(&table, slot - table.slots, place_of(&slot->key));
		}
		grace();
		for (__u32 i = 0; i < table.n; i++)
			if (table.slots[i].claim == LB_SLOT_LEAVING) {
				__atomic_store_n(&table.slots[i].claim, LB_SLOT_FREE, __ATOMIC_RELEASE);
				freed++;
			}
	}
	return NULL;
}

static void a_packet_never_holds_anybody_elses_flow(void **state)
{
	pthread_t threads[PACKERS], sweeper;

	(void)state;
	table_make(STAYING * 2); /* small, so that slots come round again */
	for (__u32 n = 0; n < STAYING; n++)
		assert_true(put(n));
	assert_int_equal(pthread_create(&sweeper, NULL, sweeps, NULL), 0);
	for (uintptr_t i = 0; i < PACKERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, packets, (void *)i), 0);
	for (int i = 0; i < PACKERS; i++)
		pthread_join(threads[i], NULL);
	__atomic_store_n(&done, true, __ATOMIC_RELEASE);
	pthread_join(sweeper, NULL);
	printf("# %llu slots were used again under %d packets\n", freed, PACKERS * VISITS);
	assert_int_equal(missed, 0);
	assert_int_equal(wrong, 0);
	assert_true(freed > STAYING);
	EACH_FLOW(slot, &table)
		assert_true(table_is_home(&table, place_of(&slot->key)));
	for (__u32 n = 0; n < STAYING; n++)
		assert_true(is_there(n));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_and_limits_agree),
		cmocka_unit_test(it_does_what_a_model_does),
		cmocka_unit_test(a_full_table_takes_all_its_flows),
		cmocka_unit_test(without_room_nothing_changes),
		cmocka_unit_test(an_empty_home_says_so),
		cmocka_unit_test(a_home_counts_up_to_seven),
		cmocka_unit_test(a_home_in_use_is_not_forgotten),
		cmocka_unit_test(a_home_that_is_held_lets_nobody_in),
		cmocka_unit_test(a_slot_that_is_left_is_not_taken_at_once),
		cmocka_unit_test(no_flow_is_made_twice),
		cmocka_unit_test(a_packet_never_holds_anybody_elses_flow),
	};

	dice_seed(0x6d61696c78647003ULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
