/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files that read the config share. Included by config.c, config_check.c and config_agent.c only.
 */
#ifndef LB_CONFIG_INNER_H
#define LB_CONFIG_INNER_H

#include <stdint.h>
#include "config.h"
#include "config_yaml.h"

#define CONFIG_MIN_TIME_MS 100
#define CONFIG_MAX_CHECK_MS 3600000

int config_number(struct config_yaml *src, const yaml_node_t *node, const char *what, uint64_t min, uint64_t max,
		  uint64_t *out);
int config_duration(struct config_yaml *src, const yaml_node_t *node, const char *what, uint64_t min_ms, uint64_t max_ms,
		    uint64_t *out);
/* config_check.c: a service's check, a kind alone or a mapping; *check holds the defaults. */
int config_bool(struct config_yaml *src, const yaml_node_t *node, const char *what, bool *out);
int config_check(struct config_yaml *src, yaml_node_t *node, struct check_conf *check);
/* Printable ASCII without angle brackets: what can be said as it is. spaces: several words. */
int config_words(struct config_yaml *src, const yaml_node_t *node, const char *what, bool spaces, char *out, size_t size);
/* config_agent.c: a service's agent, a port alone or a mapping; *agent holds the defaults. */
int config_agent(struct config_yaml *src, yaml_node_t *node, struct agent_conf *agent);

#endif
