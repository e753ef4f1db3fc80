// SPDX-License-Identifier: GPL-2.0-or-later
/* What agents say, in HAProxy's syntax and beside it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "../../loader/agent.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

static const struct {
	const char *line;
	int ret;
	struct agent_report report;
} cases[] = {
	{ "75%\n", 0, { .has_weight = true, .weight_percent = 75 } },
	{ "75%", 0, { .has_weight = true, .weight_percent = 75 } },
	{ "drain\r\n", 0, { .admin = AGENT_DRAIN } },
	{ "maint", 0, { .admin = AGENT_MAINT } },
	{ "ready", 0, { .admin = AGENT_READY } },
	{ "up", 0, { .health = AGENT_UP } },
	{ "UP", 0, { .health = AGENT_UP } },
	{ "down", 0, { .health = AGENT_DOWN } },
	{ "failed", 0, { .health = AGENT_FAILED } },
	{ "stopped", 0, { .health = AGENT_STOPPED } },
	{ "maxconn:200\n", 0, { .has_max_conns = true, .max_conns = 200 } },
	{ "up ready 50% maxconn:30\n", 0, { .has_weight = true, .weight_percent = 50, .has_max_conns = true, .max_conns = 30,
					    .admin = AGENT_READY, .health = AGENT_UP } },
	{ "maxconn:30,50%\tup,,ready", 0, { .has_weight = true, .weight_percent = 50, .has_max_conns = true,
					    .max_conns = 30, .admin = AGENT_READY, .health = AGENT_UP } },
	{ "down # queue of 9000 \x1b[1m\n", 0, { .health = AGENT_DOWN, .text = "queue of 9000 ?[1m" } },
	{ "down#full\n", 0, { .health = AGENT_DOWN, .text = "full" } },
	{ "10% 20%", 0, { .has_weight = true, .weight_percent = 20 } },
	{ "0%", 0, { .has_weight = true } },
	{ "999999999999%", 0, { .has_weight = true, .weight_percent = AGENT_MAX_PERCENT } },
	{ "up 7x% maxconn:x nonsense", 0, { .health = AGENT_UP } },
	{ "up\ndown\n", 0, { .health = AGENT_UP } },
	{ "", -EBADMSG, {} },
	{ "\n", -EBADMSG, {} },
	{ "%", -EBADMSG, {} },
	{ "-5%", -EBADMSG, {} },
	{ "75 %", -EBADMSG, {} },
	{ "maxconn:4294967296", -EBADMSG, {} },
	{ "# down", -EBADMSG, {} },
	{ "SSH-2.0-OpenSSH", -EBADMSG, {} },
};

static void words_are_understood(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct agent_report *want = &cases[i].report;
		struct agent_report got = {};
		int ret = agent_parse(cases[i].line, strlen(cases[i].line), &got);

		if (ret != cases[i].ret || got.has_weight != want->has_weight || got.weight_percent != want->weight_percent ||
		    got.has_max_conns != want->has_max_conns || got.max_conns != want->max_conns ||
		    got.admin != want->admin || got.health != want->health || strcmp(got.text, want->text))
			fail_msg("\"%s\": %d, weight %d %u, max %d %u, admin %d, health %d, \"%s\"", cases[i].line, ret,
				 got.has_weight, got.weight_percent, got.has_max_conns, got.max_conns, got.admin,
				 got.health, got.text);
	}
}

static void a_line_has_an_end(void **state)
{
	struct agent_report got;
	char line[AGENT_LINE_MAX + 2];

	(void)state;
	memset(line, ' ', sizeof(line));
	memcpy(line, "up", 2);
	assert_int_equal(agent_parse(line, AGENT_LINE_MAX, &got), 0);
	assert_int_equal(agent_parse(line, AGENT_LINE_MAX + 1, &got), -E2BIG);
	assert_int_equal(agent_parse("up\0down", 7, &got), -EBADMSG);
}

/* Each line to the same word, in this order. */
static const struct {
	const char *line;
	bool news, down, draining;
	const char *text;
} story[] = {
	{ "ready up", false, false, false, "ready" },
	{ "75%", true, false, false, "75%" },
	{ "75%", false, false, false, "75%" },
	{ "75% # queue of 10", false, false, false, "75% (queue of 10)" },
	{ "drain", true, false, true, "drain, 75%" },
	{ "up", false, false, true, "drain, 75%" },	/* says nothing of the drain */
	{ "maint maxconn:20", true, false, true, "maint, 75%, maxconn 20" },
	{ "ready", true, false, false, "75%, maxconn 20" },
	{ "ready", false, false, false, "75%, maxconn 20" },
	{ "0%", true, false, true, "0%, maxconn 20" },
	{ "ready", false, false, true, "0%, maxconn 20" },	/* a weight is undone by a weight */
	{ "100% maxconn:0", true, false, false, "100%" },
	{ "down # disk full", true, true, false, "down, 100% (disk full)" },
	{ "ready", false, true, false, "down, 100%" },
	{ "failed", true, true, false, "failed, 100%" },
	{ "stopped drain", true, true, true, "stopped, drain, 100%" },
	{ "up", true, false, true, "drain, 100%" },
	{ "ready", true, false, false, "100%" },
};

static void a_word_stays_until_it_is_undone(void **state)
{
	struct agent_word word = {};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(story); i++) {
		struct agent_report report;
		bool news;

		assert_int_equal(agent_parse(story[i].line, strlen(story[i].line), &report), 0);
		news = agent_hear(&word, &report);
		if (news != story[i].news || agent_is_down(&word) != story[i].down ||
		    agent_is_draining(&word) != story[i].draining || strcmp(word.text, story[i].text))
			fail_msg("%zu \"%s\": news %d, down %d, draining %d, \"%s\"", i, story[i].line, news,
				 agent_is_down(&word), agent_is_draining(&word), word.text);
	}
}

static void the_longest_word_fits(void **state)
{
	struct agent_report report = { .has_weight = true, .weight_percent = AGENT_MAX_PERCENT, .has_max_conns = true,
				       .max_conns = UINT32_MAX, .admin = AGENT_DRAIN, .health = AGENT_STOPPED };
	struct agent_word word = {};

	(void)state;
	memset(report.text, 'x', sizeof(report.text) - 1);
	assert_true(agent_hear(&word, &report));
	assert_int_equal(strlen(word.text), sizeof(word.text) - 1);
}

static void weights_stay_weights(void **state)
{
	struct agent_word w = {};

	(void)state;
	assert_int_equal(agent_weight(&w, 10, 100), 10);
	w = (struct agent_word){ .has_weight = true, .weight_percent = 50 };
	assert_int_equal(agent_weight(&w, 10, 100), 5);
	assert_int_equal(agent_weight(&w, 1, 100), 1);
	w.weight_percent = 0;
	assert_int_equal(agent_weight(&w, 10, 100), 1);
	w.weight_percent = AGENT_MAX_PERCENT;
	assert_int_equal(agent_weight(&w, 65535 * 16, 65535 * 16), 65535 * 16);
	w.weight_percent = 200;
	assert_int_equal(agent_weight(&w, 10, 100), 20);
}

static void noise_is_no_trouble(void **state)
{
	static const char letters[] = "upduown75% ,\t#maxconn:0ready\r\n\0\xff";
	struct agent_report got;

	(void)state;
	srand(42);
	for (int i = 0; i < 100000; i++) {
		size_t n = rand() % 40;
		char *line = malloc(n + 1);

		for (size_t j = 0; j < n; j++)
			line[j] = letters[rand() % sizeof(letters)];
		agent_parse(line, n, &got);
		free(line);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_understood),
		cmocka_unit_test(a_line_has_an_end),
		cmocka_unit_test(a_word_stays_until_it_is_undone),
		cmocka_unit_test(the_longest_word_fits),
		cmocka_unit_test(weights_stay_weights),
		cmocka_unit_test(noise_is_no_trouble),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
