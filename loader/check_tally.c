/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the results of one target's checks add up to: rise, fall, and patience with those that come and go. Pure: time is
 * an argument, nothing is scheduled or reported here.
 */
#include "check.h"

#define FLAP_WINDOW_NS	60000000000ULL
#define FLAP_QUIET_NS	300000000000ULL
#define FLAP_MAX_FACTOR	8

static enum backend_health health_of(enum check_result result)
{
	switch (result) {
	case CHECK_OK:
		return HEALTH_UP;
	case CHECK_BUSY:
		return HEALTH_BUSY;
	default:
		return HEALTH_DOWN;
	}
}

/* Only what has been quiet for long is trusted again; what keeps changing must be good for longer each time. */
static void note_change(struct check_tally *tally, __u64 now_ns)
{
	__u64 oldest = tally->changes_ns[tally->changes_at];	/* so many changes ago as there are slots */

	tally->changes_ns[tally->changes_at] = now_ns;
	tally->changes_at = (tally->changes_at + 1) % CHECK_FLAP_CHANGES;
	if (!tally->damping)
		tally->damping = 1;
	if (oldest && now_ns - oldest <= FLAP_WINDOW_NS && tally->damping < FLAP_MAX_FACTOR)
		tally->damping *= 2;
	tally->changed_ns = now_ns;
}

__u32 check_tally_rise(struct check_tally *tally, __u16 rise, __u64 now_ns)
{
	if (tally->damping > 1 && now_ns - tally->changed_ns >= FLAP_QUIET_NS)
		tally->damping = 1;
	return (rise ? rise : 1) * (tally->damping ? tally->damping : 1U);
}

static void believe(struct check_tally *tally, enum backend_health health, bool fresh)
{
	tally->health = health;
	tally->fresh = fresh;
	tally->count = 0;
	tally->worse = false;
}

void check_tally_reset(struct check_tally *tally, enum backend_health health, bool fresh, __u64 now_ns)
{
	bool was_down = tally->health >= HEALTH_DOWN, known = !fresh && !tally->fresh;

	believe(tally, health, fresh);
	/* Traffic is quicker than any check to see that a server has gone, and would hide half of what flaps. From down to
	 * dead it has not come and gone. */
	if (known && was_down != (health >= HEALTH_DOWN))
		note_change(tally, now_ns);
}

/* No accident of a moment, and the next mail may be a real virus. Said each time: whoever has kept the backend in spite of
 * other failures must hear of it. */
static bool is_final(const struct check_tally *tally, enum check_result result)
{
	return result == CHECK_UNSCANNED && tally->health == HEALTH_DOWN;
}

bool check_tally_add(struct check_tally *tally, enum check_result result, __u16 rise, __u16 fall, __u64 now_ns)
{
	enum backend_health seen;
	bool worse;

	if (result == CHECK_INTERNAL)
		return false;
	if (result == CHECK_OK || result == CHECK_UNSCANNED)
		tally->unscanned = result == CHECK_UNSCANNED;
	/* "Try later" does not say that somebody scans again. */
	seen = tally->unscanned ? HEALTH_DOWN : health_of(result);
	worse = seen > tally->health;
	if (tally->fresh) {
		believe(tally, seen, false);
		return true;
	}
	/* DEAD is the daemon's word, not a check's: a failed check agrees with it. */
	if (seen == tally->health || (seen == HEALTH_DOWN && tally->health == HEALTH_DEAD)) {
		tally->count = 0;
		return is_final(tally, result);
	}
	if (!tally->count || tally->worse != worse) {
		tally->worse = worse;
		tally->count = 0;
		tally->nearest = seen;
	} else if (worse ? seen < tally->nearest : seen > tally->nearest) {
		tally->nearest = seen;
	}
	if (result == CHECK_UNSCANNED) {
		tally->nearest = seen;
		fall = 1;
	}
	tally->count++;
	if (tally->count < (worse ? fall : check_tally_rise(tally, rise, now_ns)))
		return false;
	tally->health = tally->nearest;
	tally->count = 0;
	note_change(tally, now_ns);
	return true;
}
