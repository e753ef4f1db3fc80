/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the model to the YAML file: what config.c reads back as the same. Values that are the
 * default are left out, except those a reader of the file looks for first. It must not decide when to write.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "addr.h"
#include "config.h"
#include "config_file.h"
#include "num.h"
#include "verdict.h"

/* Our own reader takes every scalar as text; other YAML programs must not see numbers or booleans in names. */
static bool needs_quotes(const char *text)
{
	static const char *const words[] = { "y", "n", "yes", "no", "on", "off", "true", "false", "null" };
	struct lb_addr addr;

	if (!addr_parse(text, &addr))
		return !addr_is_v4(&addr);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strcasecmp(text, words[i]))
			return true;
	if (!((*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z')))
		return true;
	return strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") != strlen(text);
}

static void put_text(FILE *f, const char *text)
{
	if (!needs_quotes(text)) {
		fputs(text, f);
		return;
	}
	fputc('"', f);
	for (; *text; text++) {
		unsigned char c = *text;

		if (c == '"' || c == '\\')
			fprintf(f, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			fprintf(f, "\\x%02x", c);
		else
			fputc(c, f);
	}
	fputc('"', f);
}

static void put_addr(FILE *f, const struct lb_addr *addr)
{
	char text[ADDR_STRLEN];

	put_text(f, addr_to_str(addr, text));
}

/* "# " before every line; nothing in it may end the comment early. */
static void put_header(FILE *f, const char *header)
{
	if (!header || !*header)
		return;
	fputs("# ", f);
	for (; *header; header++) {
		if (*header == '\n' && !header[1])
			break;
		if (*header == '\n')
			fputs("\n# ", f);
		else
			fputc((unsigned char)*header < 0x20 ? ' ' : *header, f);
	}
	fputc('\n', f);
}

static void put_interfaces(FILE *f, const struct config *config)
{
	if (!config->interfaces_n)
		return;
	if (config->interfaces_n == 1 && config->interfaces[0].mode == XDP_MODE_AUTO) {
		fputs("interface: ", f);
		put_text(f, config->interfaces[0].name);
		fputc('\n', f);
		return;
	}
	fputs("interfaces:\n", f);
	for (size_t i = 0; i < config->interfaces_n; i++) {
		const struct config_interface *ifc = &config->interfaces[i];

		fputs("  - {name: ", f);
		put_text(f, ifc->name);
		if (ifc->mode != XDP_MODE_AUTO)
			fprintf(f, ", mode: %s", xdp_mode_to_str(ifc->mode));
		fputs("}\n", f);
	}
}

static void put_settings(FILE *f, const struct config *config, const struct config *standard)
{
	const struct { const char *key; __u64 ms, standard; } timers[] = {
		{ "idle", config->idle_ms, standard->idle_ms },
		{ "fin", config->fin_ms, standard->fin_ms },
		{ "rst", config->rst_ms, standard->rst_ms },
		{ "half-open", config->half_open_ms, standard->half_open_ms },
		{ "drain-idle", config->drain_idle_ms, standard->drain_idle_ms },
		{ "slow-start", config->slow_start_ms, standard->slow_start_ms },
		{ "rebalance", config->rebalance_ms, standard->rebalance_ms },
	};
	bool headed = false;
	char text[24];

	if (config->flows != standard->flows)
		fprintf(f, "flows: %u\n", config->flows);
	for (size_t i = 0; i < sizeof(timers) / sizeof(timers[0]); i++) {
		if (timers[i].ms == timers[i].standard)
			continue;
		if (!headed)
			fputs("timers:\n", f);
		headed = true;
		fprintf(f, "  %s: %s\n", timers[i].key, num_duration_to_str(timers[i].ms, text, sizeof(text)));
	}
	if (config->hash_seed)
		fprintf(f, "hash-seed: %" PRIu64 "\n", (uint64_t)config->hash_seed);
	if (config->manage_vips != standard->manage_vips)
		fprintf(f, "manage-vips: %s\n", config->manage_vips ? "true" : "false");
}

static void put_word(FILE *f, const char *key, const char *text)
{
	if (!*text)
		return;
	fprintf(f, ", %s: ", key);
	put_text(f, text);
}

static void put_check_words(FILE *f, const struct check_conf *check)
{
	static const struct lb_addr any;

	put_word(f, "ehlo", check->ehlo);
	put_word(f, "keywords", check->keywords);
	put_word(f, "from", check->from);
	put_word(f, "to", check->to);
	put_word(f, "name", check->name);
	/* With a name the reader would take it for "name". */
	if (check->verify != (*check->name ? VERIFY_NAME : VERIFY_NONE))
		fprintf(f, ", verify: %s", check_verify_to_str(check->verify));
	if (check->proxy != PROXY_NONE)
		fprintf(f, ", proxy: %s", check_proxy_to_str(check->proxy));
	if (check->must_refuse)
		fprintf(f, ", must-refuse: %s", check_poison_to_str(check->must_refuse));
	if (check->no_vip)
		fputs(", probe-vip: false", f);
	if (!addr_equal(&check->source, &any)) {
		fputs(", source: ", f);
		put_addr(f, &check->source);
	}
	if (check->cert_days != check_conf_default.cert_days)
		fprintf(f, ", cert-days: %u", check->cert_days);
	if (check->panic != check_conf_default.panic)
		fprintf(f, ", panic: %u%%", check->panic);
}

static void put_check(FILE *f, const struct check_conf *check)
{
	const struct check_conf *standard = &check_conf_default;
	bool canary = check->kind == CHECK_CANARY;	/* has other defaults */
	char text[24];

	fprintf(f, "    check: {kind: %s", check_kind_to_str(check->kind));
	if (canary || check->interval_ms != standard->interval_ms)
		fprintf(f, ", interval: %s", num_duration_to_str(check->interval_ms, text, sizeof(text)));
	if (canary || check->timeout_ms != standard->timeout_ms)
		fprintf(f, ", timeout: %s", num_duration_to_str(check->timeout_ms, text, sizeof(text)));
	if (check->rise != standard->rise)
		fprintf(f, ", rise: %u", check->rise);
	if (check->fall != standard->fall)
		fprintf(f, ", fall: %u", check->fall);
	if (check->port)
		fprintf(f, ", port: %u", check->port);
	put_check_words(f, check);
	fputs("}\n", f);
}

static void put_agent(FILE *f, const struct agent_conf *agent)
{
	char interval[24], timeout[24];

	if (!agent->port)
		return;
	fprintf(f, "    agent: {port: %u, interval: %s, timeout: %s", agent->port,
		num_duration_to_str(agent->interval_ms, interval, sizeof(interval)),
		num_duration_to_str(agent->timeout_ms, timeout, sizeof(timeout)));
	put_word(f, "send", agent->send);
	fputs("}\n", f);
}

static void put_backend(FILE *f, const struct backend *be)
{
	fputs("      - {name: ", f);
	put_text(f, be->name);
	fputs(", address: ", f);
	put_addr(f, &be->address);
	if (be->weight != POOL_DEFAULT_WEIGHT)
		fprintf(f, ", weight: %u", be->weight);
	if (be->max_flows)
		fprintf(f, ", max-conns: %u", be->max_flows);
	if (be->admin != ADMIN_ENABLED)
		fprintf(f, ", state: %s", be->admin == ADMIN_DRAIN ? "drain" : "disabled");
	fputs("}\n", f);
}

static void put_service(FILE *f, const struct pool *pool, int index)
{
	const struct service *svc = &pool->services[index];
	const char *between = "";
	bool headed = false;

	fputs("  - name: ", f);
	put_text(f, svc->name);
	fputs("\n    vip: [", f);
	for (int family = 0; family < 2; family++) {
		if (!svc->has_vip[family])
			continue;
		fputs(between, f);
		put_addr(f, &svc->vip[family]);
		between = ", ";
	}
	fputs("]\n    ports: [", f);
	for (__u32 i = 0; i < svc->ports_n; i++)
		fprintf(f, "%s%u", i ? ", " : "", svc->ports[i]);
	/* Written even when default: a later version's defaults must not change a running service. */
	fprintf(f, "]\n    mode: %s\n    scheduler: %s\n    refuse: %s\n", mode_to_str(svc->mode),
		scheduler_to_str(svc->scheduler), refuse_to_str(svc->refuse));
	if (svc->refuse_text[0]) {
		fputs("    refuse-text: ", f);
		put_text(f, svc->refuse_text);
		fputc('\n', f);
	}
	put_check(f, &svc->check);
	put_agent(f, &svc->agent);
	for (int id = 1; id < LB_MAX_BACKENDS; id++) {
		const struct backend *be = &pool->backends[id];

		if (!be->used || be->service != index || be->admin == ADMIN_REMOVED)
			continue;
		if (!headed)
			fputs("    backends:\n", f);
		headed = true;
		put_backend(f, be);
	}
}

/* The file's whole text on the heap. */
static int compose(const struct config *config, const char *header, char **out, size_t *out_len)
{
	struct config *standard = NULL;
	bool headed = false;
	FILE *f = NULL;
	int err;

	err = config_new(&standard);
	if (err)
		return err;
	f = open_memstream(out, out_len);
	if (!f) {
		err = -ENOMEM;
		goto out;
	}
	put_header(f, header);
	/* Quoted: 32 hexadecimal digits may happen to be a number. */
	if (*config->based_on)
		fprintf(f, "based-on: \"%s\"\n", config->based_on);
	put_interfaces(f, config);
	put_settings(f, config, standard);
	for (int i = 0; i < POOL_MAX_SERVICES; i++) {
		if (!config->pool->services[i].used)
			continue;
		if (!headed)
			fputs("services:\n", f);
		headed = true;
		put_service(f, config->pool, i);
	}
	if (fclose(f)) {
		free(*out);
		err = -ENOMEM;
	}
out:
	config_free(standard);
	return err;
}

int config_write(const char *path, const struct config *config, const char *header, struct lb_error *err)
{
	char *text = NULL;
	size_t len = 0;
	int ret;

	ret = compose(config, header, &text, &len);
	if (!ret) {
		ret = config_file_replace(path, text, len);
		free(text);
	}
	switch (ret) {
	case 0:
		return 0;
	case -EACCES:
	case -EPERM:
	case -EROFS:
		return lb_error(err, LB_EXIT_NOT_PERMITTED, "%.200s: cannot write: %s: check the folder's owner and mode", path,
				strerror(-ret));
	case -ENOENT:
	case -ENOTDIR:
		return lb_error(err, LB_EXIT_NOT_FOUND, "%.200s: cannot write: there is no such folder: make it first", path);
	default:
		return lb_error(err, LB_EXIT_FAILED, "%.200s: cannot write: %s", path, strerror(-ret));
	}
}
