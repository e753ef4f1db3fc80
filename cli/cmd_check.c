/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "lbctl check": starts a check, waits for its end, shows the dialogue. Whether it was good is the exit code.
 */
#include <stdlib.h>
#include <string.h>

#include "../loader/api_names.h"
#include "cmd.h"
#include "print.h"

#define POLL_MS		100
#define GRACE_MS	2000	/* beyond the check's own time-out */

static void show_dialogue(const json_t *doc)
{
	const json_t *text;
	size_t i;

	json_array_foreach(json_object_get(doc, "dialogue"), i, text)
		print_done("%s", json_is_string(text) ? json_string_value(text) : "");
}

static enum lb_exit show_outcome(const struct cmd_line *line, const json_t *doc)
{
	const char *result = json_string_value(json_object_get(doc, "result"));
	const char *text = json_string_value(json_object_get(doc, "text"));

	if (line->json) {
		print_json(stdout, doc);
	} else {
		show_dialogue(doc);
		print_done("%s: %s (%s), %.1f ms", line->name, result ? result : "-", text ? text : "-",
			   json_integer_value(json_object_get(doc, "duration_us")) / 1000.0);
	}
	return result && strcmp(result, "ok") == 0 ? LB_EXIT_OK : LB_EXIT_FAILED;
}

/* Gives *out when there is a result. */
static enum lb_exit wait_for_end(struct cmd_line *line, const char *path, json_t **out)
{
	uint64_t start_ms = cmd_now_ms();
	char buf[32];

	for (;;) {
		json_t *doc = NULL;
		enum lb_exit rc = client_request(&line->client, "GET", path, NULL, &doc);
		const char *state = json_string_value(json_object_get(doc, "state"));
		uint64_t limit_ms = json_integer_value(json_object_get(doc, "timeout_ms")) + GRACE_MS;

		if (rc != LB_EXIT_OK) {
			print_fail("%s", line->client.error);
			return rc;
		}
		if (state && strcmp(state, "done") == 0) {
			*out = doc;
			return LB_EXIT_OK;
		}
		rc = !state || strcmp(state, "running") != 0 ? LB_EXIT_FAILED : LB_EXIT_OK;
		json_decref(doc);
		if (rc != LB_EXIT_OK) {
			print_fail("backend \"%s\" was changed: its check was given up", line->name);
			return rc;
		}
		if (cmd_now_ms() - start_ms > limit_ms) {
			print_fail("backend \"%s\": no result after %s: see \"journalctl -u mailxdp\"", line->name,
				   print_ms(limit_ms, buf, sizeof(buf)));
			return LB_EXIT_TIMEOUT;
		}
		cmd_pause(POLL_MS);
	}
}

enum lb_exit cmd_check(struct cmd_line *line)
{
	char *path = client_path(API_BACKENDS "/", line->name, "/check");
	json_t *started = NULL, *doc = NULL;
	enum lb_exit rc;

	if (!path) {
		print_fail("out of memory");
		return LB_EXIT_FAILED;
	}
	rc = client_request(&line->client, "POST", path, NULL, &started);
	if (rc != LB_EXIT_OK)
		print_fail("%s", line->client.error);
	else
		rc = wait_for_end(line, path, &doc);
	if (rc == LB_EXIT_OK)
		rc = show_outcome(line, doc);
	json_decref(started);
	json_decref(doc);
	free(path);
	return rc;
}
