/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What becomes of a verdict on a backend: the model, the maps, one line in the log. In between stands the panic
 * threshold: when most of a service's backends fail their checks at once, the last good set stays
 * in rotation, loudly, because then the checks are the likelier culprit.
 */
#include <string.h>

#include "control_inner.h"
#include "log.h"

void control_set_health(struct control *ctl, int id, enum backend_health health, const char *reason)
{
	struct backend *be = &ctl->config->pool->backends[id];
	enum backend_state was = backend_state(be);
	const char *is;
	__u64 now = clock_ns();

	if (health == HEALTH_UP && was == STATE_DOWN && sync_load(ctl->sync, id)->sessions_total)
		ctl->be[id].up_since_ns = now; /* it comes back: slow start */
	if (!pool_backend_health(ctl->config->pool, id, health, now, reason))
		return;
	is = health == HEALTH_DEAD ? "dead" : backend_state_to_str(backend_state(be));
	log_line(health == HEALTH_UP ? LOG_LEVEL_INFO : LOG_LEVEL_WARN, "backend %s: %s -> %s (%s)", be->name,
		 backend_state_to_str(was), is, reason);
	history_add_change(&ctl->history, control_utc_ms(), be->name, backend_state_to_str(was), is, reason);
	control_refresh_maps(ctl);
}

/* The checked and enabled backends of a service. */
struct jury {
	int ids[LB_MAX_MEMBERS];
	struct panic_member members[LB_MAX_MEMBERS];
	size_t n, which;
};

static void jury_gather(const struct control *ctl, int id, struct jury *jury)
{
	const struct pool *pool = ctl->config->pool;

	jury->n = jury->which = 0;
	for (int i = 1; i < LB_MAX_BACKENDS && jury->n < LB_MAX_MEMBERS; i++) {
		const struct backend *be = &pool->backends[i];

		if (!be->used || be->service != pool->backends[id].service || be->admin != ADMIN_ENABLED)
			continue;
		if (i == id)
			jury->which = jury->n;
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

/* True: id is held up, its verdict is not to be carried out. */
static bool panic_decide(struct control *ctl, int id, enum backend_health health, bool certain)
{
	static struct jury jury; /* too large for the stack, and we are one thread */
	const struct pool *pool = ctl->config->pool;
	const struct service *svc = &pool->services[pool->backends[id].service];
	struct panic_member *me;
	bool begun = false, over = false;
	__u64 now = clock_ns();

	if (pool->backends[id].admin != ADMIN_ENABLED)
		return false;
	jury_gather(ctl, id, &jury);
	me = &jury.members[jury.which];
	*me = (struct panic_member) {};
	if (health >= HEALTH_DOWN) {
		*me = (struct panic_member) { .down = true, .certain = certain, .fell_ns = now };
		begun = panic_fall(jury.members, jury.n, jury.which, svc->check.panic, panic_window_ns(&svc->check), now);
	} else {
		over = panic_relax(jury.members, jury.n, svc->check.panic);
	}
	for (size_t i = 0; i < jury.n; i++)
		ctl->be[jury.ids[i]].panic = jury.members[i];
	if (begun)
		log_err("service %s: most backends fail their checks at once: panic, the last good ones stay in rotation; "
			"look at the network between here and them",
			svc->name);
	if (over)
		log_warn("service %s: panic is over", svc->name);
	for (size_t i = 0; i < jury.n && (begun || over); i++) {
		if (begun && jury.members[i].held)
			control_set_health(ctl, jury.ids[i], HEALTH_UP, "panic: its checks fail, but so do most others");
		else if (over && jury.members[i].down && jury.ids[i] != id)
			control_set_health(ctl, jury.ids[i], HEALTH_DOWN, "checks fail, panic is over");
	}
	return me->held;
}

void control_verdict(void *arg, int id, enum backend_health health, const char *reason)
{
	struct control *ctl = arg;

	if (!ctl->config->pool->backends[id].used)
		return;
	if (!panic_decide(ctl, id, health, is_certain(ctl, id, health)))
		control_set_health(ctl, id, health, reason);
}

void control_verdict_certain(struct control *ctl, int id, enum backend_health health, const char *reason)
{
	panic_decide(ctl, id, health, true);
	control_set_health(ctl, id, health, reason);
}
