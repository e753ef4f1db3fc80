/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The config file and the daemon's own state file: which of them counts at the start, what becomes of the
 * running model when the file is read again, and how it gets into the file.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "carry.h"
#include "control_inner.h"
#include "log.h"

static void warn_line(const char *text)
{
	log_warn("%s", text);
}

/* The state file where it grew from the config as it is now; else the config, edited since. */
int control_config_read(struct control *ctl, struct lb_error *err)
{
	struct config *config = NULL, *state = NULL;
	struct lb_error ignored;
	char print[65];
	int ret;

	config_fingerprint(ctl->config_path, print);
	ret = config_read(ctl->state_path, &state, warn_line, &ignored);
	if (ret && ignored.code != LB_EXIT_NOT_FOUND)
		log_warn("state file left out: %s", ignored.text);
	if (!ret && strcmp(state->based_on, print) == 0) {
		ctl->config = state;
		return 0;
	}
	if (!ret)
		log_info("config \"%s\" was edited: changes made at run time before that are dropped", ctl->config_path);
	config_free(state);
	ret = config_read(ctl->config_path, &config, warn_line, err);
	if (ret && err->code == LB_EXIT_NOT_FOUND) {
		log_info("no config \"%s\": starting empty, \"lbctl\" fills in", ctl->config_path);
		ret = config_new(&config) ? lb_error(err, LB_EXIT_FAILED, "out of memory") : 0;
	}
	if (ret)
		return ret;
	ctl->config = config;
	return 0;
}

static bool has_flows(void *arg, int id)
{
	struct control *ctl = arg;

	return sync_load(ctl->sync, id)->flows > 0;
}

static void lost_flows(void *arg, int id)
{
	struct control *ctl = arg;
	struct lb_sweep sweep;

	log_warn("backend %d: its service is gone, its %llu sessions are reset", id,
		 (unsigned long long)sync_load(ctl->sync, id)->flows);
	control_close_flows(ctl, id, true, 0, &sweep);
}

int control_carry_ids(struct control *ctl, const struct pool *old, struct pool *next)
{
	const struct carry carry = { .has_flows = has_flows, .lost = lost_flows, .arg = ctl };

	return carry_ids(old, next, &carry);
}

static void say_reload(struct control *ctl, const struct pool *was, struct control_say *say)
{
	const struct pool *is = ctl->config->pool;
	int added = 0, removed = 0, changed = 0;
	char missing[160];

	for (int id = 1; id < LB_MAX_BACKENDS; id++) {
		const struct backend *a = &was->backends[id], *b = &is->backends[id];
		bool old = a->used && a->admin != ADMIN_REMOVED, new = b->used && b->admin != ADMIN_REMOVED;

		added += !old && new;
		removed += old && !new;
		changed += old && new && (a->weight != b->weight || a->max_flows != b->max_flows || a->admin != b->admin ||
					  strcmp(a->name, b->name) != 0);
	}
	config_fixed_missing(&ctl->fixed, ctl->config, missing, sizeof(missing));
	if (*missing)
		control_say_line(ctl, say, "config read: %d backends added, %d removed, %d changed; not in effect yet: %s, which "
				 "lbd takes up only when it starts: restart it, no session is lost by that",
				 added, removed, changed, missing);
	else
		control_say_line(ctl, say, "config read: %d backends added, %d removed, %d changed", added, removed, changed);
}

/* Unlike at the start there is a model to lose: no file is a config error here, and what runs can become the file. */
static int read_again(const struct control *ctl, struct config **out, struct lb_error *err)
{
	int ret = config_read(ctl->config_path, out, warn_line, err);

	if (ret && err->code == LB_EXIT_NOT_FOUND)
		return lb_error(err, LB_EXIT_USAGE, "%.200s: no such file, so nothing was changed; \"lbctl save\" writes it as "
				"things are now", ctl->config_path);
	return ret;
}

int control_reload(struct control *ctl, struct control_say *say, struct lb_error *err)
{
	struct config *next = NULL, *was = ctl->config;
	int ret = read_again(ctl, &next, err);

	if (ret)
		return ret;
	if (control_carry_ids(ctl, was->pool, next->pool)) {
		config_free(next);
		return lb_error(err, LB_EXIT_FAILED, "out of memory");
	}
	for (int id = 1; id < LB_MAX_BACKENDS; id++) {
		if (!next->pool->backends[id].used || was->pool->backends[id].used)
			continue;
		sync_clear_backend(ctl->sync, id);
		control_check_forget(ctl, id);
		memset(&ctl->be[id], 0, sizeof(ctl->be[id]));
		ctl->be[id].fresh = true;
	}
	/* an interface that the file does not name stays attached: only "detach" may cut the traffic */
	if (!next->interfaces_n) {
		memcpy(next->interfaces, was->interfaces, sizeof(next->interfaces));
		next->interfaces_n = was->interfaces_n;
	}
	ctl->config = next;
	ret = control_apply(ctl, err);
	if (ret) {
		struct lb_error again;

		ctl->config = was;
		control_apply(ctl, &again);
		config_free(next);
		return ret;
	}
	control_attach_all(ctl);
	control_addresses_apply(ctl);
	say_reload(ctl, was->pool, say);
	config_free(was);
	control_save_state(ctl, say);
	return 0;
}

int control_save(struct control *ctl, struct control_say *say, struct lb_error *err)
{
	char backup[PATH_MAX + 8];
	int ret;

	/* the administrator's comments are in the old file, and stay there */
	snprintf(backup, sizeof(backup), "%s.bak", ctl->config_path);
	unlink(backup);
	if (link(ctl->config_path, backup) == -1)
		backup[0] = '\0';
	ret = config_write(ctl->config_path, ctl->config, "written by \"lbctl save\"", err);
	if (ret)
		return ret;
	if (backup[0])
		control_say_line(ctl, say, "saved to %s; the file before that is %s", ctl->config_path, backup);
	else
		control_say_line(ctl, say, "saved to %s", ctl->config_path);
	control_save_state(ctl, say);
	return 0;
}
