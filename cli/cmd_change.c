/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The commands that change something: put the words of the command line into a request, say what the
 * daemon did. What is allowed is the daemon's to decide; only what cannot be sent is refused here.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../loader/api_names.h"
#include "../loader/num.h"
#include "cmd.h"
#include "print.h"

#define POLL_MS		500
#define LONGER_S	10	/* so much longer a wait is worth another line */
#define GRACE_MS	5000	/* the daemon resets what is left at the deadline: that takes a moment */

/* Consumes body (may be NULL). */
static enum lb_exit change(struct cmd_line *line, const char *method, const char *path, json_t *body)
{
	json_t *doc = NULL;
	enum lb_exit rc = client_request(&line->client, method, path, body, &doc);
	const char *message = json_string_value(json_object_get(doc, "message"));

	if (rc != LB_EXIT_OK)
		print_fail("%s", line->client.error);
	else if (line->json)
		print_json(stdout, doc);
	else
		print_done("%s", message && *message ? message : "done");
	json_decref(doc);
	json_decref(body);
	return rc;
}

/* The same on PREFIX/NAME TAIL. */
static enum lb_exit change_named(struct cmd_line *line, const char *method, const char *prefix,
				 const char *tail, json_t *body)
{
	char *path = client_path(prefix, line->name, tail);
	enum lb_exit rc;

	if (!path) {
		json_decref(body);
		print_fail("out of memory");
		return LB_EXIT_FAILED;
	}
	rc = change(line, method, path, body);
	free(path);
	return rc;
}

/* value NULL: the field is left out. */
static bool put(json_t *body, const char *field, const char *value)
{
	if (!value)
		return true;
	if (json_object_set_new(body, field, json_string(value)) == 0)
		return true;
	print_fail("%s \"%s\" is not UTF-8", field, value);
	return false;
}

/* "25,587" -> ["25", "587"] */
static bool put_list(json_t *body, const char *field, const char *value)
{
	json_t *list = json_array();

	for (const char *at = value; ; at++) {
		size_t len = strcspn(at, ",");

		if (json_array_append_new(list, json_stringn(at, len)) == -1) {
			print_fail("%s \"%s\" is not UTF-8", field, value);
			json_decref(list);
			return false;
		}
		at += len;
		if (!*at)
			break;
	}
	return json_object_set_new(body, field, list) == 0;
}

/* Consumes body; fine: everything could be put into it. */
static enum lb_exit change_if(bool fine, struct cmd_line *line, const char *path, json_t *body)
{
	if (fine)
		return change(line, "POST", path, body);
	json_decref(body);
	return LB_EXIT_USAGE;
}

enum lb_exit cmd_attach(struct cmd_line *line)
{
	json_t *body = json_object();
	bool fine = put(body, "name", line->name) && put(body, "mode", line->option[OPT_MODE]);

	return change_if(fine, line, API_INTERFACES, body);
}

enum lb_exit cmd_detach(struct cmd_line *line)
{
	return change_named(line, "DELETE", API_INTERFACES "/", "", NULL);
}

enum lb_exit cmd_service_add(struct cmd_line *line)
{
	json_t *body = json_object();
	bool fine = put(body, "name", line->name) &&
		    put_list(body, "vip", line->option[OPT_VIP]) &&
		    put_list(body, "ports", line->option[OPT_PORT]) &&
		    put(body, "mode", line->option[OPT_FORWARD]) &&
		    put(body, "scheduler", line->option[OPT_SCHEDULER]) &&
		    put(body, "refuse", line->option[OPT_REFUSE]) &&
		    put(body, "check", line->option[OPT_CHECK]) &&
		    put(body, "agent", line->option[OPT_AGENT]);

	return change_if(fine, line, API_SERVICES, body);
}

enum lb_exit cmd_service_remove(struct cmd_line *line)
{
	return change_named(line, "DELETE", API_SERVICES "/", "", NULL);
}

enum lb_exit cmd_add(struct cmd_line *line)
{
	json_t *body = json_object();
	bool fine = put(body, "name", line->name) && put(body, "address", line->address) &&
		    put(body, "service", line->option[OPT_SERVICE]) &&
		    put(body, "weight", line->option[OPT_WEIGHT]) &&
		    put(body, "max_conns", line->option[OPT_MAX_CONNS]);

	return change_if(fine, line, API_BACKENDS, body);
}

enum lb_exit cmd_set(struct cmd_line *line)
{
	json_t *body;

	if (!line->option[OPT_WEIGHT] && !line->option[OPT_MAX_CONNS]) {
		print_fail("nothing to set: give --weight, --max-conns or both");
		return LB_EXIT_USAGE;
	}
	body = json_object();
	if (!put(body, "weight", line->option[OPT_WEIGHT]) ||
	    !put(body, "max_conns", line->option[OPT_MAX_CONNS])) {
		json_decref(body);
		return LB_EXIT_USAGE;
	}
	return change_named(line, "PATCH", API_BACKENDS "/", "", body);
}

uint64_t cmd_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void cmd_pause(unsigned int ms)
{
	const struct timespec pause = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	nanosleep(&pause, NULL);
}

/* What is left on the backend: conns -1 when it is not in the list any more. */
struct rest {
	json_int_t conns, inflight, longest_s;
	bool draining;
};

static enum lb_exit read_rest(struct cmd_line *line, struct rest *out)
{
	json_t *doc = NULL;
	enum lb_exit rc = client_request(&line->client, "GET", API_BACKENDS, NULL, &doc);
	const json_t *be;
	size_t i;

	*out = (struct rest){ .conns = -1, .draining = true };
	json_array_foreach(json_object_get(doc, "backends"), i, be) {
		const char *name = json_string_value(json_object_get(be, "name"));
		const char *state = json_string_value(json_object_get(be, "state"));

		if (!name || strcmp(name, line->name) != 0)
			continue;
		out->conns = json_integer_value(json_object_get(be, "conns"));
		out->inflight = json_integer_value(json_object_get(be, "inflight"));
		out->longest_s = json_integer_value(json_object_get(be, "longest_wait_ms")) / 1000;
		out->draining = state && (strcmp(state, "draining") == 0 || strcmp(state, "disabled") == 0);
		break;
	}
	json_decref(doc);
	return rc;
}

/* A line when something has changed since the one before. */
static void say_rest(const char *name, const struct rest *rest, struct rest *said)
{
	char longest[48] = "";

	if (rest->conns == said->conns && rest->inflight == said->inflight &&
	    rest->longest_s < said->longest_s + LONGER_S)
		return;
	if (rest->longest_s > 0)
		snprintf(longest, sizeof(longest), ", longest %lld s", (long long)rest->longest_s);
	print_note("%s: %lld session%s, %lld in transaction%s", name, (long long)rest->conns,
		   rest->conns == 1 ? "" : "s", (long long)rest->inflight, longest);
	*said = *rest;
}

/* limit_ms: give up after it; 0: never. */
static enum lb_exit wait_until_empty(struct cmd_line *line, uint64_t limit_ms)
{
	struct rest rest, said = { .conns = -1 };
	uint64_t start_ms = cmd_now_ms();
	enum lb_exit rc;

	for (;;) {
		rc = read_rest(line, &rest);
		if (rc != LB_EXIT_OK) {
			print_fail("%s", line->client.error);
			return rc;
		}
		if (rest.conns <= 0 && rest.draining)
			break;
		if (!rest.draining) {
			print_fail("backend \"%s\" was enabled again: no longer waiting", line->name);
			return LB_EXIT_CONFLICT;
		}
		say_rest(line->name, &rest, &said);
		if (limit_ms && cmd_now_ms() - start_ms > limit_ms) {
			print_fail("backend \"%s\" still has %lld session%s after the deadline: see "
				   "\"lbctl flows --backend %s\"", line->name, (long long)rest.conns,
				   rest.conns == 1 ? "" : "s", line->name);
			return LB_EXIT_TIMEOUT;
		}
		cmd_pause(POLL_MS);
	}
	if (line->json)
		print_note("%s: empty", line->name);
	else
		print_done("%s: empty", line->name);
	return LB_EXIT_OK;
}

enum lb_exit cmd_drain(struct cmd_line *line)
{
	const char *deadline = line->option[OPT_DEADLINE];
	uint64_t deadline_ms = 0;
	json_t *body = NULL;
	enum lb_exit rc;

	if (deadline && num_parse_duration(deadline, 1, UINT32_MAX, &deadline_ms) < 0) {
		print_fail("--deadline \"%s\" is not a duration: say 30s, 10m or 2h", deadline);
		return LB_EXIT_USAGE;
	}
	if (deadline)
		body = json_pack("{s:I}", "deadline_ms", (json_int_t)deadline_ms);
	rc = change_named(line, "POST", API_BACKENDS "/", "/drain", body);
	if (rc != LB_EXIT_OK || !line->option[OPT_WAIT])
		return rc;
	return wait_until_empty(line, deadline ? deadline_ms + GRACE_MS : 0);
}

enum lb_exit cmd_enable(struct cmd_line *line)
{
	return change_named(line, "POST", API_BACKENDS "/", "/enable", NULL);
}

enum lb_exit cmd_remove(struct cmd_line *line)
{
	return change_named(line, "DELETE", API_BACKENDS "/", line->option[OPT_NOW] ? "?now=1" : "", NULL);
}

enum lb_exit cmd_reload(struct cmd_line *line)
{
	return change(line, "POST", API_RELOAD, NULL);
}

enum lb_exit cmd_save(struct cmd_line *line)
{
	return change(line, "POST", API_SAVE, NULL);
}
