/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What becomes of an agent's answer: the model, the maps, one line in the log and the history when it means anything
 * new. It never touches what an administrator has set, nor what the checks have found, and it ends no session. An
 * agent that is silent, or talks nonsense, is counted and named; its last word stays.
 */
#include <string.h>

#include "control_inner.h"
#include "log.h"

#define PATIENCE 3	/* failures in a row until it is worth a line */

static void say_silence(const struct control *ctl, int id, bool silent)
{
	const struct backend *be = &ctl->config->pool->backends[id];
	struct agent_status status;

	if (!agents_status(ctl->agents, id, &status))
		return;
	if (silent)
		log_warn("backend %s: its agent has not answered %u times (%s); its last word stays: %s", be->name,
			 status.missed, status.text, *be->agent.text ? be->agent.text : "none");
	else
		log_info("backend %s: its agent answers again", be->name);
}

static void say_change(struct control *ctl, int id, enum backend_state was)
{
	const struct backend *be = &ctl->config->pool->backends[id];
	enum backend_state is = backend_state(be);
	char text[AGENT_TEXT_LEN + 16], line[HISTORY_TEXT_LEN];

	snprintf(text, sizeof(text), "agent: %s", *be->agent.text ? be->agent.text : "silent");
	if (is == was) {
		snprintf(line, sizeof(line), "%s: %.180s", be->name, text);
		log_info("backend %s", line);
		history_add_line(&ctl->history, control_utc_ms(), line);
		return;
	}
	log_line(is == STATE_DOWN ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "backend %s: %s -> %s (%s)", be->name,
		 backend_state_to_str(was), backend_state_to_str(is), text);
	history_add_change(&ctl->history, control_utc_ms(), be->name, backend_state_to_str(was), backend_state_to_str(is),
			   text);
}

void control_presume_agents(struct control *ctl, const struct pool *old)
{
	struct pool *pool = ctl->config->pool;

	for (int id = 1; id < LB_MAX_BACKENDS; id++) {
		struct backend *be = &pool->backends[id];

		if (!be->used || !pool->services[be->service].agent.port || backend_is_eligible(&old->backends[id]) ||
		    !old->backends[id].used)
			continue;
		be->agent = (struct agent_word){ .admin = AGENT_DRAIN, .text = "not heard since the restart" };
		ctl->be[id].presumed = true;
	}
}

/* Also when it is silent: then its checks alone decide. */
static bool drop_presumption(struct control *ctl, int id)
{
	if (!ctl->be[id].presumed)
		return false;
	ctl->be[id].presumed = false;
	ctl->config->pool->backends[id].agent = (struct agent_word){};
	return true;
}

void control_agent_heard(void *arg, int id, const struct agent_report *report, __u32 missed)
{
	struct control *ctl = arg;
	struct backend *be = &ctl->config->pool->backends[id];
	enum backend_state was = backend_state(be);
	__u64 now = clock_ns();
	bool news;

	if (!be->used)
		return;
	if (report ? missed >= PATIENCE : missed == PATIENCE)
		say_silence(ctl, id, !report);
	news = drop_presumption(ctl, id);
	if (report)
		news = pool_backend_agent(ctl->config->pool, id, report, now) || news;
	if (!news)
		return;
	if (was == STATE_DOWN && backend_is_eligible(be) && sync_load(ctl->sync, id)->sessions_total)
		ctl->be[id].up_since_ns = now; /* it comes back: slow start */
	say_change(ctl, id, was);
	control_refresh_maps(ctl);
}

void control_apply_agents(struct control *ctl)
{
	const struct pool *pool = ctl->config->pool;

	for (int id = 1; id < LB_MAX_BACKENDS; id++) {
		const struct backend *be = &pool->backends[id];
		const struct service *svc = &pool->services[be->service];
		struct agent_target target = { .address = be->address, .source = svc->check.source, .conf = svc->agent };
		int ret;

		if (!be->used || be->admin == ADMIN_REMOVED || be->admin == ADMIN_DISABLED || !svc->agent.port) {
			agents_remove(ctl->agents, id);
			continue;
		}
		ret = agents_set(ctl->agents, id, &target);
		if (ret)
			log_err("backend %s: its agent cannot be asked: %s", be->name, strerror(-ret));
	}
}
