/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The "agent" of a service, from YAML to struct agent_conf. It must not know what agents say.
 */
#include "config_inner.h"

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

int config_agent(struct config_yaml *src, yaml_node_t *node, struct agent_conf *agent)
{
	enum { PORT, INTERVAL, TIMEOUT, SEND };
	static const char *const keys[] = { "port", "interval", "timeout", "send" };
	yaml_node_t *values[COUNT(keys)] = { node };
	uint64_t port = 0, interval = agent->interval_ms, timeout = agent->timeout_ms;
	int err = 0;

	if (node->type != YAML_SCALAR_NODE)
		err = config_yaml_map(src, node, "agent", keys, COUNT(keys), values);
	if (!err && !values[PORT])
		err = config_yaml_fail(src, node, "agent has no port: give the one that it listens on, such as \"port: 9707\"");
	if (!err)
		err = config_number(src, values[PORT], "port", 1, 65535, &port);
	if (!err && values[INTERVAL])
		err = config_duration(src, values[INTERVAL], "interval", CONFIG_MIN_TIME_MS, CONFIG_MAX_CHECK_MS, &interval);
	if (!err && values[TIMEOUT])
		err = config_duration(src, values[TIMEOUT], "timeout", CONFIG_MIN_TIME_MS, CONFIG_MAX_CHECK_MS, &timeout);
	if (!err && values[SEND])
		err = config_words(src, values[SEND], "send", true, agent->send, sizeof(agent->send));
	if (err)
		return err;
	agent->port = port;
	agent->interval_ms = interval;
	agent->timeout_ms = timeout;
	return 0;
}
