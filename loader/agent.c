/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See agent.h. The words are HAProxy's (configuration manual, "agent-check"); case does not matter there, so it
 * does not here.
 */
#include <errno.h>
#include <stdint.h>
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

__u32 agent_weight(const struct agent_report *report, __u32 configured)
{
	__u64 weight = configured;

	if (report->has_weight)
		weight = weight * report->weight_percent / 100;
	if (weight > LB_MAX_WEIGHT)
		weight = LB_MAX_WEIGHT;
	return weight ? weight : 1;
}

bool agent_is_draining(const struct agent_report *report)
{
	return report->admin == AGENT_DRAIN || report->admin == AGENT_MAINT ||
	       (report->has_weight && !report->weight_percent);
}
