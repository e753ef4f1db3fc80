/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Turns weights into tables. Members are sorted by key before anything else, so that
 * the order of the arguments cannot show in the result. It must not know what a member is, nor
 * where the table goes.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "maglev.h"
#include "siphash.h"

/* Fixed for ever: nodes that differ here would send a flow to different backends. */
static const uint64_t address_key[2] = { 0x6d61696c78647021, 0x6261636b656e6473 };
static const uint64_t offset_key[2] = { 0x6d61676c65766f66, 1 };
static const uint64_t skip_key[2] = { 0x6d61676c6576736b, 2 };

struct turn {
	struct maglev_member member;
	__u32 taken;		/* slots so far */
	__u64 round;		/* when it may take the next one */
	__u32 next, skip;	/* where its permutation stands */
};

static int compare_key(const void *a, const void *b)
{
	const struct maglev_member *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	return x->weight < y->weight ? -1 : x->weight > y->weight;
}

static int compare_weight(const void *a, const void *b)
{
	const struct maglev_member *x = a, *y = b;

	if (x->weight != y->weight)
		return x->weight > y->weight ? -1 : 1;
	return compare_key(a, b);
}

/* A sorted copy without the weightless. */
static int copy_sorted(const struct maglev_member *members, size_t n, int (*compare)(const void *, const void *),
		       struct maglev_member **out, size_t *out_n)
{
	struct maglev_member *copy;
	size_t kept = 0;

	if (!n || n > LB_MAX_MEMBERS)
		return -EINVAL;
	copy = calloc(n, sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		if (members[i].weight)
			copy[kept++] = members[i];
	if (!kept) {
		free(copy);
		return -EINVAL;
	}
	qsort(copy, kept, sizeof(*copy), compare);
	*out = copy;
	*out_n = kept;
	return 0;
}

/* Ties go by the position in turns[], that is by key. */
static bool is_before(const struct turn *turns, __u16 a, __u16 b)
{
	return turns[a].round < turns[b].round || (turns[a].round == turns[b].round && a < b);
}

static void sift_down(const struct turn *turns, __u16 *heap, size_t n, size_t at)
{
	__u16 moving = heap[at];

	for (;;) {
		size_t child = 2 * at + 1;

		if (child >= n)
			break;
		if (child + 1 < n && is_before(turns, heap[child + 1], heap[child]))
			child++;
		if (!is_before(turns, heap[child], moving))
			break;
		heap[at] = heap[child];
		at = child;
	}
	heap[at] = moving;
}

/* In each round the heaviest takes one slot, and a member of weight w the fraction w/heaviest of one: its
 * k-th in the first round in which the fractions have added up to k - 1/2. Without the half, shares would be
 * rounded down for everybody but the heaviest. */
static void plan(struct turn *turn, __u32 heaviest)
{
	__u64 due = (2 * (__u64)turn->taken + 1) * heaviest, step = 2 * (__u64)turn->member.weight;

	turn->round = (due + step - 1) / step;
}

static void take_slot(struct turn *turn, __u16 *slots)
{
	while (slots[turn->next] != LB_NO_BACKEND) {
		turn->next += turn->skip;
		if (turn->next >= LB_TABLE_SLOTS)
			turn->next -= LB_TABLE_SLOTS;
	}
	slots[turn->next] = turn->member.id;
	turn->taken++;
}

/* The heap of who is next costs log n per slot; adding up fractions for everybody, round by
 * round, costs n, and there are 65537 rounds when one member outweighs the rest. */
int maglev_fill(const struct maglev_member *members, size_t n, __u16 *slots)
{
	struct maglev_member *sorted = NULL;
	struct turn *turns = NULL;
	__u16 *heap = NULL;
	__u32 heaviest = 0;
	int err;

	err = copy_sorted(members, n, compare_key, &sorted, &n);
	if (err)
		return err;
	turns = calloc(n, sizeof(*turns));
	heap = calloc(n, sizeof(*heap));
	if (!turns || !heap) {
		err = -ENOMEM;
		goto out;
	}
	for (size_t i = 0; i < n; i++)
		if (sorted[i].weight > heaviest)
			heaviest = sorted[i].weight;
	for (size_t i = 0; i < n; i++) {
		turns[i].member = sorted[i];
		turns[i].next = siphash(offset_key, &sorted[i].key, sizeof(sorted[i].key)) % LB_TABLE_SLOTS;
		turns[i].skip = siphash(skip_key, &sorted[i].key, sizeof(sorted[i].key)) % (LB_TABLE_SLOTS - 1) + 1;
		plan(&turns[i], heaviest);
		heap[i] = i;
	}
	for (size_t i = n / 2; i-- > 0;)
		sift_down(turns, heap, n, i);
	memset(slots, 0, LB_TABLE_SLOTS * sizeof(*slots));
	for (size_t filled = 0; filled < LB_TABLE_SLOTS; filled++) {
		take_slot(&turns[heap[0]], slots);
		plan(&turns[heap[0]], heaviest);
		sift_down(turns, heap, n, 0);
	}
out:
	free(heap);
	free(turns);
	free(sorted);
	return err;
}

static __u64 reduce(struct maglev_member *members, size_t n)
{
	__u64 sum = 0;
	__u32 gcd = 0;

	for (size_t i = 0; i < n; i++) {
		__u32 a = members[i].weight, b = gcd;

		while (b) {
			__u32 rest = a % b;

			a = b;
			b = rest;
		}
		gcd = a;
	}
	for (size_t i = 0; i < n; i++) {
		members[i].weight /= gcd;
		sum += members[i].weight;
	}
	return sum;
}

/* Rounding to the nearest adds half a slot per member at most, the floor of one slot less than one:
 * leaving n slots of room keeps the sum within the table. Equal weights stay equal. */
static void scale(struct maglev_member *members, size_t n, __u64 sum)
{
	for (size_t i = 0; i < n; i++) {
		__u64 slots_n = (members[i].weight * (LB_TABLE_SLOTS - n) + sum / 2) / sum;

		members[i].weight = slots_n ? slots_n : 1;
	}
}

/* Members of one weight, who take turns among themselves. */
struct group {
	__s64 credit;		/* of the one whose turn it is */
	__u32 weight;
	__u16 first, n, turn;
};

/*
 * Smooth round-robin: every step each member earns its weight, the richest is chosen and pays
 * the whole sum. Members of equal weight differ only in how often they have paid, so one credit per group
 * stands for all of them. The sum of distinct weights is at most LB_TABLE_SLOTS, so there are
 * at most 361 groups, however many members.
 */
static void fill_smoothly(const struct maglev_member *sorted, struct group *groups, size_t groups_n, __u64 sum,
			  __u16 *slots)
{
	for (__u64 at = 0; at < sum; at++) {
		struct group *best = groups;

		for (size_t g = 0; g < groups_n; g++) {
			groups[g].credit += groups[g].weight;
			if (groups[g].credit > best->credit)
				best = &groups[g];
		}
		slots[at] = sorted[best->first + best->turn].id;
		if (++best->turn == best->n) {
			best->turn = 0;
			best->credit -= sum;
		}
	}
}

int maglev_fill_round(const struct maglev_member *members, size_t n, __u16 *slots, __u32 *slots_n)
{
	struct maglev_member *sorted = NULL;
	struct group *groups = NULL;
	size_t groups_n = 0;
	__u64 sum;
	int err;

	err = copy_sorted(members, n, compare_weight, &sorted, &n);
	if (err)
		return err;
	groups = calloc(n, sizeof(*groups));
	if (!groups) {
		err = -ENOMEM;
		goto out;
	}
	sum = reduce(sorted, n);
	if (sum > LB_TABLE_SLOTS) {
		scale(sorted, n, sum);
		sum = reduce(sorted, n);
	}
	for (size_t i = 0; i < n; i++) {
		if (!groups_n || groups[groups_n - 1].weight != sorted[i].weight) {
			groups[groups_n].weight = sorted[i].weight;
			groups[groups_n++].first = i;
		}
		groups[groups_n - 1].n++;
	}
	/* Scaling may have made neighbours equal; they keep their order by weight, then key. */
	fill_smoothly(sorted, groups, groups_n, sum, slots);
	*slots_n = sum;
out:
	free(groups);
	free(sorted);
	return err;
}

__u64 maglev_key(const struct lb_addr *addr)
{
	return siphash(address_key, addr->bytes, sizeof(addr->bytes));
}
