/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The "check" of a service, from YAML to struct check_conf. What is said to a mail server is judged here, so that
 * nothing in a file can end a command, or begin another.
 */
#include <string.h>
#include "addr.h"
#include "config_inner.h"
#include "num.h"

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))
#define MAX_RISE	100
#define CANARY_INTERVAL_MS 300000	/* a message every two seconds would be a nuisance */
#define CANARY_TIMEOUT_MS 60000		/* scanners take their time */

enum { KIND, INTERVAL, TIMEOUT, RISE, FALL, PORT, EHLO, KEYWORDS, FROM, TO, VERIFY, NAME, PROXY, SOURCE, CERT_DAYS,
       PANIC, MUST_REFUSE, PROBE_VIP };

static const char *const keys[] = { "kind", "interval", "timeout", "rise", "fall", "port", "ehlo", "keywords", "from", "to",
				    "verify", "name", "proxy", "source", "cert-days", "panic", "must-refuse",
				    "probe-vip" };

static int read_kind(struct config_yaml *src, const yaml_node_t *node, struct check_conf *check)
{
	const char *text = NULL;
	int err = config_yaml_text(src, node, "check", &text);

	if (err)
		return err;
	if (check_kind_from_str(text) < 0)
		return config_yaml_fail(src, node, "check \"%.64s\" is not one of none, tcp, greeting, ehlo, starttls, tls, "
					"rcpt, canary", text);
	check->kind = check_kind_from_str(text);
	if (check->kind == CHECK_CANARY) {
		check->interval_ms = CANARY_INTERVAL_MS;
		check->timeout_ms = CANARY_TIMEOUT_MS;
	}
	return 0;
}

static int read_pace(struct config_yaml *src, yaml_node_t **values, struct check_conf *check)
{
	uint64_t interval = check->interval_ms, timeout = check->timeout_ms, rise = check->rise, fall = check->fall;
	uint64_t port = 0, days = check->cert_days;
	int err = 0;

	if (!err && values[INTERVAL])
		err = config_duration(src, values[INTERVAL], "interval", CONFIG_MIN_TIME_MS, CONFIG_MAX_CHECK_MS, &interval);
	if (!err && values[TIMEOUT])
		err = config_duration(src, values[TIMEOUT], "timeout", CONFIG_MIN_TIME_MS, CONFIG_MAX_CHECK_MS, &timeout);
	if (!err && values[RISE])
		err = config_number(src, values[RISE], "rise", 1, MAX_RISE, &rise);
	if (!err && values[FALL])
		err = config_number(src, values[FALL], "fall", 1, MAX_RISE, &fall);
	if (!err && values[PORT])
		err = config_number(src, values[PORT], "port", 1, 65535, &port);
	if (!err && values[CERT_DAYS])
		err = config_number(src, values[CERT_DAYS], "cert-days", 0, 3650, &days);
	check->interval_ms = interval;
	check->timeout_ms = timeout;
	check->rise = rise;
	check->fall = fall;
	check->port = port;
	check->cert_days = days;
	return err;
}

int config_words(struct config_yaml *src, const yaml_node_t *node, const char *what, bool spaces, char *out, size_t size)
{
	const char *text = NULL;
	int err = config_yaml_text(src, node, what, &text);

	if (err)
		return err;
	for (const char *p = text; *p; p++)
		if (*p < (spaces ? ' ' : '!') || *p > '~' || *p == '<' || *p == '>')
			return config_yaml_fail(src, node, "%s \"%.64s\" has a character that cannot be sent there: use "
						"printable ASCII%s", what, text, spaces ? "" : " without spaces");
	if (strlen(text) >= size)
		return config_yaml_fail(src, node, "%s is longer than %zu characters: shorten it", what, size - 1);
	memset(out, 0, size);
	memcpy(out, text, strlen(text));
	return 0;
}

/* The null sender, "<>", is a word of its own. */
static int read_sender(struct config_yaml *src, const yaml_node_t *node, struct check_conf *check)
{
	const char *text = NULL;
	int err = config_yaml_text(src, node, "from", &text);

	if (err || !strcmp(text, "<>"))
		return err;
	return config_words(src, node, "from", false, check->from, sizeof(check->from));
}

static int read_choice(struct config_yaml *src, const yaml_node_t *node, const char *what, int (*from_str)(const char *),
		       const char *choices, int *out)
{
	const char *text = NULL;
	int err = config_yaml_text(src, node, what, &text);

	if (err)
		return err;
	if (from_str(text) < 0)
		return config_yaml_fail(src, node, "%s \"%.64s\" is not one of %s", what, text, choices);
	*out = from_str(text);
	return 0;
}

static int read_source(struct config_yaml *src, const yaml_node_t *node, struct check_conf *check)
{
	const char *text = NULL;
	int err = config_yaml_text(src, node, "source", &text);

	if (!err && (addr_parse(text, &check->source) || !addr_is_usable(&check->source)))
		err = config_yaml_fail(src, node, "source \"%.64s\" is not an address of this host", text);
	return err;
}

/* "50%", or "50"; 0 is off. */
static int read_panic(struct config_yaml *src, const yaml_node_t *node, struct check_conf *check)
{
	const char *text = NULL;
	char digits[8] = "";
	uint64_t percent = 0;
	size_t len;
	int err = config_yaml_text(src, node, "panic", &text);

	if (err)
		return err;
	len = strlen(text);
	if (len && text[len - 1] == '%')
		len--;
	if (len < sizeof(digits))
		memcpy(digits, text, len);
	if (num_parse(digits, 0, 100, &percent))
		return config_yaml_fail(src, node, "panic \"%.64s\" is not 0%%-100%%", text);
	check->panic = percent;
	return 0;
}

static int read_dialogue(struct config_yaml *src, yaml_node_t **values, struct check_conf *check)
{
	int verify = check->verify, proxy = check->proxy, poison = check->must_refuse, err = 0;
	bool probe_vip = !check->no_vip;

	if (!err && values[EHLO])
		err = config_words(src, values[EHLO], "ehlo", false, check->ehlo, sizeof(check->ehlo));
	if (!err && values[KEYWORDS])
		err = config_words(src, values[KEYWORDS], "keywords", true, check->keywords, sizeof(check->keywords));
	if (!err && values[FROM])
		err = read_sender(src, values[FROM], check);
	if (!err && values[TO])
		err = config_words(src, values[TO], "to", false, check->to, sizeof(check->to));
	if (!err && values[NAME]) {
		err = config_words(src, values[NAME], "name", false, check->name, sizeof(check->name));
		verify = VERIFY_NAME;
	}
	if (!err && values[VERIFY])
		err = read_choice(src, values[VERIFY], "verify", check_verify_from_str, "none, chain, name", &verify);
	if (!err && values[PROXY])
		err = read_choice(src, values[PROXY], "proxy", check_proxy_from_str, "none, v1, v2", &proxy);
	if (!err && values[SOURCE])
		err = read_source(src, values[SOURCE], check);
	if (!err && values[PANIC])
		err = read_panic(src, values[PANIC], check);
	if (!err && values[MUST_REFUSE])
		err = read_choice(src, values[MUST_REFUSE], "must-refuse", check_poison_from_str, "none, eicar, gtube", &poison);
	if (!err && values[PROBE_VIP])
		err = config_bool(src, values[PROBE_VIP], "probe-vip", &probe_vip);
	check->verify = verify;
	check->proxy = proxy;
	check->no_vip = !probe_vip;
	check->must_refuse = poison;
	return err;
}

int config_check(struct config_yaml *src, yaml_node_t *node, struct check_conf *check)
{
	yaml_node_t *values[COUNT(keys)];
	int err;

	if (node->type == YAML_SCALAR_NODE) {
		memset(values, 0, sizeof(values));
		err = read_kind(src, node, check);
	} else {
		err = config_yaml_map(src, node, "check", keys, COUNT(keys), values);
		if (!err && values[KIND])
			err = read_kind(src, values[KIND], check);
	}
	err = err ? err : read_pace(src, values, check);
	err = err ? err : read_dialogue(src, values, check);
	if (err)
		return err;
	if (check->kind == CHECK_CANARY && !*check->to)
		return config_yaml_fail(src, node, "check canary sends real mail: name a sink for it, such as \"to: sink@example.com\"");
	if (check->kind != CHECK_CANARY && check->must_refuse)
		return config_yaml_fail(src, values[MUST_REFUSE], "must-refuse is for a check that sends messages: add \"kind: canary\", "
					"or remove it");
	if (check->verify == VERIFY_NAME && !*check->name)
		return config_yaml_fail(src, values[VERIFY] ? values[VERIFY] : node,
					"verify name: which one? add \"name: mx.example.com\"");
	return 0;
}
