/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See panic.h. A backend that refuses, or answers 5xx, has been reached: that is no failure of the checks, so it
 * counts neither towards a panic nor among those that could be saved.
 */
#include "panic.h"

__u64 panic_window_ns(const struct check_conf *conf)
{
	/* a tenth of jitter either way */
	return (conf->interval_ms + conf->interval_ms / 5 + conf->timeout_ms) * 1000000ULL;
}

static bool fell_within(const struct panic_member *m, __u64 window_ns, __u64 now_ns)
{
	return m->down && !m->certain && (m->held || m->fell_ns + window_ns >= now_ns);
}

bool panic_fall(struct panic_member *members, size_t n, size_t which, __u8 percent, __u64 window_ns, __u64 now_ns)
{
	size_t fallen = 0, before = 0;
	bool news = false;

	if (!percent || members[which].certain)
		return false;
	for (size_t i = 0; i < n; i++) {
		fallen += fell_within(&members[i], window_ns, now_ns);
		before += !members[i].down || fell_within(&members[i], window_ns, now_ns);
	}
	if (before < 2 || fallen * 100 <= before * percent)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!fell_within(&members[i], window_ns, now_ns) || members[i].held)
			continue;
		members[i].held = true;
		news = true;
	}
	return news;
}

bool panic_relax(struct panic_member *members, size_t n, __u8 percent)
{
	size_t up = 0, held = 0;

	for (size_t i = 0; i < n; i++) {
		if (!members[i].down || members[i].certain)
			members[i].held = false;
		up += !members[i].down;
		held += members[i].held;
	}
	if (!held || held * 100 > (held + up) * percent)
		return false;
	for (size_t i = 0; i < n; i++)
		if (members[i].held)
			members[i] = (struct panic_member){};
	return true;
}
