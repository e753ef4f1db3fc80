/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See agent.h. The words are HAProxy's (configuration manual, "agent-check"); case does not matter there, so it
 * does not here.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "agent.h"
#include "num.h"
#include "smtp_reply.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
	const char *word;
	enum agent_admin admin;
	enum agent_health health;
} words[] = {
	{ "ready", AGENT_READY, AGENT_HEALTH_SAME },	{ "drain", AGENT_DRAIN, AGENT_HEALTH_SAME },
	{ "maint", AGENT_MAINT, AGENT_HEALTH_SAME },	{ "up", AGENT_ADMIN_SAME, AGENT_UP },
	{ "down", AGENT_ADMIN_SAME, AGENT_DOWN },	{ "failed", AGENT_ADMIN_SAME, AGENT_FAILED },
	{ "fail", AGENT_ADMIN_SAME, AGENT_FAILED },	{ "stopped", AGENT_ADMIN_SAME, AGENT_STOPPED },
};

static bool read_number(const char *word, struct agent_report *out)
{
	size_t len = strlen(word);
	char digits[16];
	uint64_t n;

	if (!strncasecmp(word, "maxconn:", 8)) {
		if (num_parse(word + 8, 0, UINT32_MAX, &n))
			return false;
		out->has_max_conns = true;
		out->max_conns = n;
		return true;
	}
	if (len < 2 || len > sizeof(digits) || word[len - 1] != '%')
		return false;
	memcpy(digits, word, len - 1);
	digits[len - 1] = '\0';
	if (num_parse(digits, 0, UINT64_MAX, &n))
		return false;
	out->has_weight = true;
	out->weight_percent = n < AGENT_MAX_PERCENT ? n : AGENT_MAX_PERCENT;
	return true;
}

static bool read_word(const char *word, struct agent_report *out)
{
	for (size_t i = 0; i < COUNT(words); i++) {
		if (strcasecmp(word, words[i].word))
			continue;
		if (words[i].admin)
			out->admin = words[i].admin;
		if (words[i].health)
			out->health = words[i].health;
		return true;
	}
	return read_number(word, out);
}

int agent_parse(const char *line, size_t len, struct agent_report *out)
{
	struct agent_report report = {};
	size_t end = 0, at = 0;
	bool known = false;
	char word[64];

	while (end < len && line[end] != '\r' && line[end] != '\n')
		end++;
	if (end > AGENT_LINE_MAX)
		return -E2BIG;
	while (at < end && line[at] != '#') {
		size_t start = at;

		while (at < end && !strchr(" \t,#", line[at] ? line[at] : 'x'))
			at++;
		if (at - start && at - start < sizeof(word)) {
			memcpy(word, line + start, at - start);
			word[at - start] = '\0';
			known |= strlen(word) == at - start && read_word(word, &report);
		}
		while (at < end && (line[at] == ' ' || line[at] == '\t' || line[at] == ','))
			at++;
	}
	if (!known)
		return -EBADMSG;
	while (at < end && (line[at] == '#' || line[at] == ' ' || line[at] == '\t'))
		at++;
	reply_clean(report.text, sizeof(report.text), line + at, end - at);
	*out = report;
	return 0;
}

/* --- what it all means --- */

static const char *name_of(enum agent_admin admin, enum agent_health health)
{
	for (size_t i = 0; i < COUNT(words); i++)
		if (words[i].admin == admin && words[i].health == health)
			return words[i].word;
	return "?";
}

static void __attribute__((format(printf, 2, 3))) append(char text[static AGENT_TEXT_LEN], const char *fmt, ...)
{
	size_t at = strlen(text);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text + at, AGENT_TEXT_LEN - at, fmt, ap);
	va_end(ap);
}

static void describe(struct agent_word *word, const char *reason)
{
	word->text[0] = '\0';
	if (agent_is_down(word))
		append(word->text, ", %s", name_of(AGENT_ADMIN_SAME, word->health));
	if (word->admin)
		append(word->text, ", %s", name_of(word->admin, AGENT_HEALTH_SAME));
	if (word->has_weight)
		append(word->text, ", %u%%", word->weight_percent);
	if (word->max_conns)
		append(word->text, ", maxconn %u", word->max_conns);
	if (word->text[0])
		memmove(word->text, word->text + 2, strlen(word->text) - 1);
	else
		append(word->text, "ready");
	if (*reason)
		append(word->text, " (%s)", reason);
}

bool agent_hear(struct agent_word *word, const struct agent_report *report)
{
	struct agent_word was = *word;

	if (report->admin)
		word->admin = report->admin == AGENT_READY ? AGENT_ADMIN_SAME : report->admin;
	if (report->health)
		word->health = report->health == AGENT_UP ? AGENT_HEALTH_SAME : report->health;
	if (report->has_weight) {
		word->has_weight = true;
		word->weight_percent = report->weight_percent;
	}
	if (report->has_max_conns)
		word->max_conns = report->max_conns;
	describe(word, report->text);
	return word->admin != was.admin || word->health != was.health || word->has_weight != was.has_weight ||
	       word->weight_percent != was.weight_percent || word->max_conns != was.max_conns;
}

__u64 agent_weight(const struct agent_word *word, __u64 full, __u64 most)
{
	__u64 weight = word->has_weight ? full * word->weight_percent / 100 : full;

	if (weight > most)
		weight = most;
	return weight ? weight : 1;
}

bool agent_is_draining(const struct agent_word *word)
{
	return word->admin || (word->has_weight && !word->weight_percent);
}

bool agent_is_down(const struct agent_word *word)
{
	return word->health;
}
