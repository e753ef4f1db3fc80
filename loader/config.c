/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the YAML file to the model. The tree is read key by key; what the values mean together is for the
 * pool to judge, whose errors are led back to the line they come from. It must not know maps, sockets or
 * what becomes of a config.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "addr.h"
#include "config.h"
#include "config_file.h"
#include "config_inner.h"
#include "num.h"

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))
#define MIN_FLOWS	16
#define MAX_FLOWS	(64 << 20)
#define MIN_TIME_MS	CONFIG_MIN_TIME_MS
#define MAX_TIME_MS	(30 * 86400 * 1000ULL)
/* RFC 5321, 4.5.3.2.6: a client may wait 10 minutes for the reply to its data; a minute for clocks and
 * retransmissions. */
#define SAFE_IDLE_MS	660000

struct reader {
	struct config_yaml src;
	struct config *config;
	void (*warn)(const char *text);
};

static const char *const xdp_modes[] = {
	[XDP_MODE_AUTO] = "auto", [XDP_MODE_NATIVE] = "native", [XDP_MODE_GENERIC] = "generic",
};
static_assert(COUNT(xdp_modes) == XDP_MODE_MAX, "a mode without a name");

const char *xdp_mode_to_str(enum xdp_mode m)
{
	return (unsigned int)m < XDP_MODE_MAX ? xdp_modes[m] : "?";
}

int xdp_mode_from_str(const char *name)
{
	for (size_t i = 0; i < COUNT(xdp_modes); i++)
		if (!strcmp(xdp_modes[i], name))
			return i;
	return -EINVAL;
}

int config_new(struct config **out)
{
	struct config *config = calloc(1, sizeof(*config));

	if (!config)
		return -ENOMEM;
	config->pool = pool_new();
	if (!config->pool) {
		free(config);
		return -ENOMEM;
	}
	config->flows = LB_DEFAULT_FLOWS;
	config->idle_ms = 900000;
	config->fin_ms = 120000;
	config->rst_ms = 10000;
	config->half_open_ms = 30000;
	config->drain_idle_ms = 5000;
	config->slow_start_ms = 30000;
	config->manage_vips = true;
	*out = config;
	return 0;
}

void config_free(struct config *config)
{
	if (config)
		pool_free(config->pool);
	free(config);
}

/* --- values --- */

int config_number(struct config_yaml *src, const yaml_node_t *node, const char *what, uint64_t min, uint64_t max,
		  uint64_t *out)
{
	const char *text = NULL;
	int err = config_yaml_text(src, node, what, &text);

	if (!err && num_parse(text, min, max, out))
		err = config_yaml_fail(src, node, "%s \"%.64s\" is not %" PRIu64 "-%" PRIu64, what, text, min, max);
	return err;
}

int config_duration(struct config_yaml *src, const yaml_node_t *node, const char *what, uint64_t min_ms, uint64_t max_ms,
		    uint64_t *out)
{
	const char *text = NULL;
	char min[24], max[24];
	int err = config_yaml_text(src, node, what, &text);

	if (!err && num_parse_duration(text, min_ms, max_ms, out))
		err = config_yaml_fail(src, node, "%s \"%.64s\" is not a time of %s to %s, such as 250ms, 30s, 15m or 2h",
				       what, text, num_duration_to_str(min_ms, min, sizeof(min)),
				       num_duration_to_str(max_ms, max, sizeof(max)));
	return err;
}

static int read_flows(struct reader *r, const yaml_node_t *node)
{
	const char *text = NULL;
	uint64_t n = 0;
	int err = config_yaml_text(&r->src, node, "flows", &text);

	if (!err && num_parse_count(text, MIN_FLOWS, MAX_FLOWS, &n))
		err = config_yaml_fail(&r->src, node, "flows \"%.64s\" is not a number of %d to 64m, such as 128k", text,
				       MIN_FLOWS);
	if (!err)
		r->config->flows = n;
	return err;
}

int config_bool(struct config_yaml *src, const yaml_node_t *node, const char *what, bool *out)
{
	const char *text = NULL;
	int err = config_yaml_text(src, node, what, &text);

	if (!err && strcmp(text, "true") && strcmp(text, "false"))
		err = config_yaml_fail(src, node, "%s \"%.64s\" is not true or false", what, text);
	if (!err)
		*out = !strcmp(text, "true");
	return err;
}

static int read_based_on(struct reader *r, const yaml_node_t *node)
{
	const char *text = NULL;
	int err = config_yaml_text(&r->src, node, "based-on", &text);
	size_t len;

	if (err)
		return err;
	len = strlen(text);
	if (len >= sizeof(r->config->based_on) || strspn(text, "0123456789abcdef") != len)
		return config_yaml_fail(&r->src, node, "based-on \"%.64s\" is not a fingerprint: leave it out, lbd writes it",
					text);
	memcpy(r->config->based_on, text, len + 1);
	return 0;
}

/* --- interfaces and timers --- */

static bool ifname_is_valid(const char *name)
{
	size_t len = strlen(name);

	if (!len || len >= IF_NAMESIZE || !strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	for (; *name; name++)
		if (*name <= ' ' || *name >= 0x7f || *name == '/' || *name == ':')
			return false;
	return true;
}

static int read_interface(struct reader *r, yaml_node_t *node)
{
	static const char *const keys[] = { "name", "mode" };
	struct config_interface *ifc = &r->config->interfaces[r->config->interfaces_n];
	yaml_node_t *values[COUNT(keys)] = { node, NULL };
	const char *name = NULL, *mode = "auto";
	int err = 0;

	if (r->config->interfaces_n == CONFIG_MAX_INTERFACES)
		return config_yaml_fail(&r->src, node, "more than %d interfaces: leave the rest out", CONFIG_MAX_INTERFACES);
	if (node->type != YAML_SCALAR_NODE)
		err = config_yaml_map(&r->src, node, "interface", keys, COUNT(keys), values);
	if (!err && !values[0])
		err = config_yaml_fail(&r->src, node, "interface has no name: give one, such as eth0");
	if (!err)
		err = config_yaml_text(&r->src, values[0], "interface", &name);
	if (!err && values[1])
		err = config_yaml_text(&r->src, values[1], "mode", &mode);
	if (err)
		return err;
	if (!ifname_is_valid(name))
		return config_yaml_fail(&r->src, values[0], "interface \"%.64s\" is not a name of a network interface: see \"ip link\"",
					name);
	if (xdp_mode_from_str(mode) < 0)
		return config_yaml_fail(&r->src, values[1], "interface \"%s\": mode \"%.64s\" is not one of auto, native, generic",
					name, mode);
	for (size_t i = 0; i < r->config->interfaces_n; i++)
		if (!strcmp(r->config->interfaces[i].name, name))
			return config_yaml_fail(&r->src, values[0], "interface \"%s\" is given twice: leave one out", name);
	strcpy(ifc->name, name);
	ifc->mode = xdp_mode_from_str(mode);
	r->config->interfaces_n++;
	return 0;
}

static int read_timers(struct reader *r, const yaml_node_t *node)
{
	enum { IDLE, FIN, RST, HALF_OPEN, DRAIN_IDLE, SLOW_START, REBALANCE };
	static const char *const keys[] = { "idle", "fin", "rst", "half-open", "drain-idle", "slow-start",
					    "rebalance" };
	struct config *config = r->config;
	__u64 *const into[] = { &config->idle_ms, &config->fin_ms, &config->rst_ms, &config->half_open_ms,
				&config->drain_idle_ms, &config->slow_start_ms, &config->rebalance_ms };
	yaml_node_t *values[COUNT(keys)];
	char warning[512];
	int err;

	err = config_yaml_map(&r->src, node, "timers", keys, COUNT(keys), values);
	for (size_t i = 0; !err && i < COUNT(keys); i++) {
		uint64_t ms = 0;

		if (!values[i])
			continue;
		/* 0, "at once" or "off", makes sense for the last three only */
		err = config_duration(&r->src, values[i], keys[i], i < DRAIN_IDLE ? MIN_TIME_MS : 0, MAX_TIME_MS, &ms);
		if (!err)
			*into[i] = ms;
	}
	if (!err && values[IDLE] && config->idle_ms < SAFE_IDLE_MS && r->warn) {
		snprintf(warning, sizeof(warning), "%s:%zu:%zu: idle \"%.64s\" is under 11m: a client may wait 10 minutes for "
			 "the reply to its data (RFC 5321, 4.5.3.2.6), and its session would be cut off",
			 r->src.path, values[IDLE]->start_mark.line + 1, values[IDLE]->start_mark.column + 1,
			 (const char *)values[IDLE]->data.scalar.value);
		r->warn(warning);
	}
	return err;
}

/* --- services --- */

/* The rest of a list beyond max is counted, for the pool to complain about. */
static int read_texts(struct reader *r, yaml_node_t *node, const char *what, const char **out, size_t max, size_t *out_n)
{
	size_t n = config_yaml_count(node);

	for (size_t i = 0; i < n && i < max; i++) {
		int err = config_yaml_text(&r->src, config_yaml_item(&r->src, node, i), what, &out[i]);

		if (err)
			return err;
	}
	*out_n = n;
	return 0;
}

static int read_state(struct reader *r, const yaml_node_t *node, enum backend_admin *out)
{
	static const char *const states[] = { [ADMIN_ENABLED] = "enabled", [ADMIN_DRAIN] = "drain",
					      [ADMIN_DISABLED] = "disabled" };
	const char *text = NULL;
	int err = config_yaml_text(&r->src, node, "state", &text);

	if (err)
		return err;
	for (size_t i = 0; i < COUNT(states); i++) {
		if (strcmp(text, states[i]))
			continue;
		*out = i;
		return 0;
	}
	return config_yaml_fail(&r->src, node, "state \"%.64s\" is not one of enabled, drain, disabled", text);
}

/* A backend without a name is called by its address; ":" is not for names. */
static void name_from_address(const char *address, char name[static ADDR_STRLEN])
{
	struct lb_addr addr;

	name[0] = '\0';
	if (addr_parse(address, &addr))
		return;
	addr_to_str(&addr, name);
	for (char *p = name; *p; p++)
		if (*p == ':')
			*p = '-';
}

static int read_backend(struct reader *r, yaml_node_t *node, const char *service)
{
	enum { NAME, ADDRESS, WEIGHT, MAX_CONNS, STATE };
	static const char *const keys[] = { "name", "address", "weight", "max-conns", "state" };
	yaml_node_t *values[COUNT(keys)] = { [ADDRESS] = node };
	struct backend_spec spec = { .service = service };
	char name[ADDR_STRLEN];
	int err = 0;

	if (node->type != YAML_SCALAR_NODE)
		err = config_yaml_map(&r->src, node, "backend", keys, COUNT(keys), values);
	if (!err && !values[ADDRESS])
		err = config_yaml_fail(&r->src, node, "backend has no address: give one");
	if (!err)
		err = config_yaml_text(&r->src, values[ADDRESS], "address", &spec.address);
	if (!err && values[NAME])
		err = config_yaml_text(&r->src, values[NAME], "name", &spec.name);
	if (!err && values[WEIGHT])
		err = config_yaml_text(&r->src, values[WEIGHT], "weight", &spec.weight);
	if (!err && values[MAX_CONNS])
		err = config_yaml_text(&r->src, values[MAX_CONNS], "max-conns", &spec.max_conns);
	if (!err && values[STATE])
		err = read_state(r, values[STATE], &spec.admin);
	if (err)
		return err;
	if (!spec.name) {
		name_from_address(spec.address, name);
		if (!*name)
			return config_yaml_fail(&r->src, values[ADDRESS], "backend: address \"%.64s\" is not an IPv4 or IPv6 address",
						spec.address);
		spec.name = name;
	}
	if (pool_backend_add(r->config->pool, &spec, 0, r->src.err) < 0)
		return config_yaml_blame(&r->src, node, keys, COUNT(keys), values);
	return 0;
}

static int read_service(struct reader *r, yaml_node_t *node)
{
	enum { NAME, VIP, PORTS, MODE, SCHEDULER, REFUSE, REFUSE_TEXT, CHECK, AGENT, BACKENDS };
	static const char *const keys[] = { "name",   "vip",	 "ports", "mode",  "scheduler",
					    "refuse", "refuse-text", "check", "agent", "backends" };
	struct check_conf check = check_conf_default;
	struct agent_conf agent = agent_conf_default;
	struct service_spec spec = { .check = &check, .agent = &agent };
	yaml_node_t *values[COUNT(keys)];
	int err;

	err = config_yaml_map(&r->src, node, "service", keys, COUNT(keys), values);
	if (!err && values[NAME])
		err = config_yaml_text(&r->src, values[NAME], "name", &spec.name);
	if (!err)
		err = read_texts(r, values[VIP], "vip", spec.vips, COUNT(spec.vips), &spec.vips_n);
	if (!err)
		err = read_texts(r, values[PORTS], "ports", spec.ports, COUNT(spec.ports), &spec.ports_n);
	if (!err && values[MODE])
		err = config_yaml_text(&r->src, values[MODE], "mode", &spec.mode);
	if (!err && values[SCHEDULER])
		err = config_yaml_text(&r->src, values[SCHEDULER], "scheduler", &spec.scheduler);
	if (!err && values[REFUSE])
		err = config_yaml_text(&r->src, values[REFUSE], "refuse", &spec.refuse);
	if (!err && values[REFUSE_TEXT])
		err = config_yaml_text(&r->src, values[REFUSE_TEXT], "refuse-text", &spec.refuse_text);
	if (!err && values[CHECK])
		err = config_check(&r->src, values[CHECK], &check);
	if (!err && values[AGENT])
		err = config_agent(&r->src, values[AGENT], &agent);
	if (err)
		return err;
	if (pool_service_add(r->config->pool, &spec, r->src.err) < 0)
		return config_yaml_blame(&r->src, node, keys, COUNT(keys), values);
	for (size_t i = 0; !err && i < config_yaml_count(values[BACKENDS]); i++)
		err = read_backend(r, config_yaml_item(&r->src, values[BACKENDS], i), spec.name);
	return err;
}

/* --- the file --- */

static int read_list(struct reader *r, yaml_node_t *node, int (*read_item)(struct reader *, yaml_node_t *))
{
	int err = 0;

	for (size_t i = 0; !err && i < config_yaml_count(node); i++)
		err = read_item(r, config_yaml_item(&r->src, node, i));
	return err;
}

static int read_root(struct reader *r)
{
	enum { INTERFACE, INTERFACES, FLOWS, TIMERS, SEED, MANAGE_VIPS, SERVICES, BASED_ON };
	static const char *const keys[] = { "interface", "interfaces", "flows", "timers", "hash-seed", "manage-vips",
					    "services", "based-on" };
	yaml_node_t *values[COUNT(keys)];
	uint64_t seed = 0;
	int err;

	if (!r->src.root)
		return 0;
	err = config_yaml_map(&r->src, r->src.root, "the file", keys, COUNT(keys), values);
	if (!err && values[INTERFACE] && values[INTERFACES])
		err = config_yaml_fail(&r->src, values[INTERFACES], "both interface and interfaces: leave one out");
	if (!err && values[INTERFACE])
		err = read_interface(r, values[INTERFACE]);
	if (!err)
		err = read_list(r, values[INTERFACES], read_interface);
	if (!err && values[FLOWS])
		err = read_flows(r, values[FLOWS]);
	if (!err && values[TIMERS])
		err = read_timers(r, values[TIMERS]);
	if (!err && values[SEED])
		err = config_number(&r->src, values[SEED], "hash-seed", 0, UINT64_MAX, &seed);
	if (!err && values[MANAGE_VIPS])
		err = config_bool(&r->src, values[MANAGE_VIPS], "manage-vips", &r->config->manage_vips);
	if (!err)
		err = read_list(r, values[SERVICES], read_service);
	if (!err && values[BASED_ON])
		err = read_based_on(r, values[BASED_ON]);
	r->config->hash_seed = seed;
	return err;
}

static int fail_to_read(const char *path, int err, struct lb_error *out)
{
	switch (err) {
	case -ENOENT:
	case -ENOTDIR:
		return lb_error(out, LB_EXIT_NOT_FOUND, "%.200s: no such file: write one, see mailxdp.yaml(5)", path);
	case -EACCES:
	case -EPERM:
		return lb_error(out, LB_EXIT_NOT_PERMITTED, "%.200s: no permission to read it: check its owner and mode", path);
	case -EFBIG:
		return lb_error(out, LB_EXIT_USAGE, "%.200s: over 1 MiB: this is not a config", path);
	case -EISDIR:
		return lb_error(out, LB_EXIT_USAGE, "%.200s: this is a folder: name the file in it", path);
	default:
		return lb_error(out, LB_EXIT_FAILED, "%.200s: cannot read: %s", path, strerror(-err));
	}
}

int config_read(const char *path, struct config **out, void (*warn)(const char *text), struct lb_error *err)
{
	struct reader r = { .warn = warn };
	char *text = NULL;
	size_t len = 0;
	int ret;

	ret = config_file_read(path, &text, &len);
	if (ret)
		return fail_to_read(path, ret, err);
	ret = config_new(&r.config);
	if (ret) {
		free(text);
		return fail_to_read(path, ret, err);
	}
	ret = config_yaml_load(&r.src, path, text, len, err);
	if (!ret) {
		ret = read_root(&r);
		config_yaml_free(&r.src);
	}
	free(text);
	if (ret) {
		config_free(r.config);
		return ret;
	}
	*out = r.config;
	return 0;
}
