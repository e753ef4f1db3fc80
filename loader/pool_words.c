/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The model's words: names of states and checks, questions about one backend, and how an
 * error is worded. It must not know the pool as a whole.
 */
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "addr.h"
#include "pool_inner.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

const struct check_conf check_conf_default = {
	.kind = CHECK_TCP, .interval_ms = 2000, .timeout_ms = 5000, .rise = 2, .fall = 3,
	.cert_days = 14, .panic = 50,
};

const struct agent_conf agent_conf_default = { .interval_ms = 5000, .timeout_ms = 2000 };

static const char *const states[] = {
	[STATE_UP] = "up", [STATE_BUSY] = "busy", [STATE_DOWN] = "down", [STATE_DRAINING] = "draining",
	[STATE_DISABLED] = "disabled",
};
static_assert(COUNT(states) == STATE_MAX, "a state without a name");

static const char *const check_kinds[] = {
	[CHECK_NONE] = "none", [CHECK_TCP] = "tcp", [CHECK_GREETING] = "greeting", [CHECK_EHLO] = "ehlo",
	[CHECK_STARTTLS] = "starttls", [CHECK_TLS] = "tls", [CHECK_RCPT] = "rcpt", [CHECK_CANARY] = "canary",
};
static_assert(COUNT(check_kinds) == CHECK_KIND_MAX, "a check without a name");

static const char *const verifies[] = {
	[VERIFY_NONE] = "none", [VERIFY_CHAIN] = "chain", [VERIFY_NAME] = "name",
};
static_assert(COUNT(verifies) == VERIFY_MAX, "a depth of verification without a name");

static const char *const proxies[] = {
	[PROXY_NONE] = "none", [PROXY_V1] = "v1", [PROXY_V2] = "v2",
};
static_assert(COUNT(proxies) == PROXY_MAX, "a proxy header without a name");

static const char *const poisons[] = {
	[POISON_NONE] = "none", [POISON_EICAR] = "eicar", [POISON_GTUBE] = "gtube",
};
static_assert(COUNT(poisons) == POISON_MAX, "a test string without a name");

/* Length of the UTF-8 sequence at p, 0 when it is not one (RFC 3629, 4). */
static size_t utf8_len(const unsigned char *p)
{
	size_t len = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;

	for (size_t i = 1; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
	    (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return len;
}

/* Bad values are quoted in errors, cut in the middle of a character or worse: they must reach a terminal and
 * a JSON string unharmed. */
static void scrub(char *text)
{
	for (unsigned char *p = (unsigned char *)text; *p;) {
		size_t len = utf8_len(p);

		if (!len || *p < 0x20 || *p == 0x7f) {
			*p = '?';
			len = 1;
		}
		p += len;
	}
}

int lb_error(struct lb_error *err, enum lb_exit code, const char *fmt, ...)
{
	static const int errnos[] = {
		[LB_EXIT_FAILED] = EIO, [LB_EXIT_USAGE] = EINVAL, [LB_EXIT_NO_DAEMON] = ECONNREFUSED,
		[LB_EXIT_NOT_PERMITTED] = EPERM, [LB_EXIT_NOT_FOUND] = ENOENT, [LB_EXIT_CONFLICT] = EEXIST,
		[LB_EXIT_TIMEOUT] = ETIMEDOUT,
	};
	char text[sizeof(err->text)];
	va_list ap;

	/* Apart first: an argument may be the old text. */
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	scrub(text);
	*err = (struct lb_error){ .code = code };
	memcpy(err->text, text, sizeof(text));
	return code > LB_EXIT_OK && code < COUNT(errnos) ? -errnos[code] : -EIO;
}

void pool_set_reason(struct backend *be, const char *reason)
{
	snprintf(be->reason, sizeof(be->reason), "%s", reason ? reason : "");
	scrub(be->reason);
}

enum backend_state backend_state(const struct backend *be)
{
	switch (be->admin) {
	case ADMIN_DISABLED:
		return STATE_DISABLED;
	case ADMIN_DRAIN:
	case ADMIN_REMOVED:
		return STATE_DRAINING;
	default:
		break;
	}
	if (be->health >= HEALTH_DOWN || agent_is_down(&be->agent))
		return STATE_DOWN;
	if (agent_is_draining(&be->agent))
		return STATE_DRAINING;
	return be->health == HEALTH_BUSY ? STATE_BUSY : STATE_UP;
}

const char *backend_state_to_str(enum backend_state s)
{
	return (unsigned int)s < STATE_MAX ? states[s] : "?";
}

bool backend_is_eligible(const struct backend *be)
{
	return be->used && (backend_state(be) == STATE_UP || backend_state(be) == STATE_BUSY);
}

/* The agent's where that decides: it keeps out a backend that is enabled, and passes its checks. */
const char *backend_reason(const struct backend *be, char *buf, size_t len)
{
	bool kept_out = agent_is_down(&be->agent) || agent_is_draining(&be->agent);

	if (be->admin == ADMIN_ENABLED && be->health < HEALTH_DOWN && kept_out)
		snprintf(buf, len, "agent: %s", be->agent.text);
	else
		snprintf(buf, len, "%s", be->reason);
	return buf;
}

__u32 backend_max_flows(const struct backend *be)
{
	__u32 own = be->max_flows, agents = be->agent.max_conns;

	if (!own || !agents)
		return own ? own : agents;
	return own < agents ? own : agents;
}

int backend_family(const struct backend *be)
{
	return addr_is_v4(&be->address) ? 0 : 1;
}

const char *check_kind_to_str(enum check_kind k)
{
	return (unsigned int)k < CHECK_KIND_MAX ? check_kinds[k] : "?";
}

static int find_word(const char *const *words, size_t n, const char *word)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(words[i], word))
			return i;
	return -EINVAL;
}

int check_kind_from_str(const char *name)
{
	return find_word(check_kinds, COUNT(check_kinds), name);
}

const char *check_verify_to_str(enum check_verify v)
{
	return (unsigned int)v < VERIFY_MAX ? verifies[v] : "?";
}

int check_verify_from_str(const char *name)
{
	return find_word(verifies, COUNT(verifies), name);
}

const char *check_proxy_to_str(enum check_proxy p)
{
	return (unsigned int)p < PROXY_MAX ? proxies[p] : "?";
}

int check_proxy_from_str(const char *name)
{
	return find_word(proxies, COUNT(proxies), name);
}

const char *check_poison_to_str(enum check_poison p)
{
	return (unsigned int)p < POISON_MAX ? poisons[p] : "?";
}

int check_poison_from_str(const char *name)
{
	return find_word(poisons, COUNT(poisons), name);
}
