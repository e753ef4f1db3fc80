/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What becomes of a verdict on a backend: the model, the maps, one line in the log. In between stands the panic
 * threshold: when most of a service's backends fail their checks at once, the last good set stays
 * in rotation, loudly, because then the checks are the likelier culprit.
 */
#include <string.h>

#include "control_inner.h"
#include "log.h"

static void carry_out(struct control *ctl, int id, enum backend_health health, const char *reason)
{
	struct backend *be = &ctl->config->pool->backends[id];
	enum backend_state was = backend_state(be);
	const char *is;

	if (!pool_backend_health(ctl->config->pool, id, health, clock_ns(), reason))
		return;
	is = health == HEALTH_DEAD ? "dead" : backend_state_to_str(backend_state(be));
	log_line(health == HEALTH_UP ? LOG_LEVEL_INFO : LOG_LEVEL_WARN, "backend %s: %s -> %s (%s)", be->name,
		 backend_state_to_str(was), is, reason);
	history_add_change(&ctl->history, control_utc_ms(), be->name, backend_state_to_str(was), is, reason);
	control_refresh_maps(ctl);
}

void control_set_health(struct control *ctl, int id, enum backend_health health, const char *reason)
{
	bool is_down = backend_state(&ctl->config->pool->backends[id]) == STATE_DOWN;

	if (health == HEALTH_UP && is_down && sync_load(ctl->sync, id)->sessions_total)
		ctl->be[id].up_since_ns = clock_ns(); /* it comes back: slow start */
	carry_out(ctl, id, health, reason);
}

/* The checked and enabled backends of a service. */
struct jury {
	int ids[LB_MAX_MEMBERS];
	struct panic_member members[LB_MAX_MEMBERS];
	size_t n, which;
	bool in_panic;
};

static void jury_gather(const struct control *ctl, int id, struct jury *jury)
{
	const struct pool *pool = ctl->config->pool;

	jury->n = jury->which = 0;
	jury->in_panic = false;
	for (int i = 1; i < LB_MAX_BACKENDS && jury->n < LB_MAX_MEMBERS; i++) {
		const struct backend *be = &pool->backends[i];

		if (!be->used || be->service != pool->backends[id].service || be->admin != ADMIN_ENABLED)
			continue;
		if (i == id)
			jury->which = jury->n;
		jury->in_panic = jury->in_panic || ctl->be[i].panic.held;
		jury->ids[jury->n] = i;
		jury->members[jury->n++] = ctl->be[i].panic;
	}
}

static bool is_certain(const struct control *ctl, int id, enum backend_health health)
{
	struct check_status status;

	if (health == HEALTH_DEAD)
		return true;
	return checks_status(ctl->checks, id, &status) &&
	       (status.last == CHECK_REFUSED || status.last == CHECK_REJECTED || status.last == CHECK_UNSCANNED);
}

/* It was never ill as far as we know, so it comes back whole: with a slow start the others would carry its share while
 * the checks are not to be trusted. */
static void put_back(struct control *ctl, int id)
{
	carry_out(ctl, id, HEALTH_UP, "panic: its checks fail, but so do most others");
}

/* What the checks found during the panic was not believed, and is not believed afterwards: a good one keeps its place,
 * a bad one goes when it has failed as often as any other must. */
static void judge_anew(struct control *ctl, int id)
{
	carry_out(ctl, id, HEALTH_UP, "panic is over: its checks count again");
}

enum panic_turn { PANIC_NONE, PANIC_BEGUN, PANIC_OVER };

static enum panic_turn panic_turn(struct jury *jury, const struct check_conf *check, const struct panic_member *now)
{
	jury->members[jury->which] = *now;
	if (now->down && !now->certain)
		return panic_fall(jury->members, jury->n, jury->which, check->panic, panic_window_ns(check), now->fell_ns) ?
			       PANIC_BEGUN : PANIC_NONE;
	return panic_relax(jury->members, jury->n, check->panic) ? PANIC_OVER : PANIC_NONE;
}

static enum panic_turn panic_decide(struct control *ctl, int id, enum backend_health health, bool certain)
{
	static struct jury jury; /* too large for the stack, and we are one thread */
	const struct pool *pool = ctl->config->pool;
	const struct service *svc = &pool->services[pool->backends[id].service];
	struct panic_member now = {};
	enum panic_turn turn;

	if (pool->backends[id].admin != ADMIN_ENABLED) {
		ctl->be[id].panic = now;
		return PANIC_NONE;
	}
	if (health >= HEALTH_DOWN)
		now = (struct panic_member) { .down = true, .certain = certain, .fell_ns = clock_ns() };
	jury_gather(ctl, id, &jury);
	turn = panic_turn(&jury, &svc->check, &now);
	if (turn == PANIC_BEGUN && !jury.in_panic)
		log_err("service %s: most backends fail their checks at once: panic, the last good ones stay in rotation; "
			"look at the network between here and them", svc->name);
	if (turn == PANIC_OVER)
		log_warn("service %s: panic is over; who still fails its checks goes down", svc->name);
	for (size_t i = 0; i < jury.n; i++) {
		bool was_held = ctl->be[jury.ids[i]].panic.held;

		ctl->be[jury.ids[i]].panic = jury.members[i];
		if (turn == PANIC_BEGUN && jury.members[i].held)
			put_back(ctl, jury.ids[i]);
		if (turn == PANIC_OVER && was_held && jury.ids[i] != id)
			judge_anew(ctl, jury.ids[i]);
	}
	return turn;
}

static void decide(struct control *ctl, int id, enum backend_health health, bool certain, const char *reason)
{
	enum panic_turn turn = panic_decide(ctl, id, health, certain);

	if (!ctl->be[id].panic.held)
		control_set_health(ctl, id, health, reason);
	if (turn == PANIC_OVER)
		control_apply_checks(ctl); /* the engine must learn that the held are believed to be up */
}

void control_verdict(void *arg, int id, enum backend_health health, const char *reason)
{
	struct control *ctl = arg;

	if (ctl->config->pool->backends[id].used)
		decide(ctl, id, health, is_certain(ctl, id, health), reason);
}

void control_verdict_certain(struct control *ctl, int id, enum backend_health health, const char *reason)
{
	decide(ctl, id, health, true, reason);
}
