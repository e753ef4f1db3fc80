/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A YAML text as a tree of nodes that know where they stand, read strictly: no aliases, no tags,
 * no unknown or repeated keys, one document. Knows YAML and not what our keys mean.
 *
 * Every function that can fail fills src->err with "file:line:column: ..." and returns -errno.
 */
#ifndef LB_CONFIG_YAML_H
#define LB_CONFIG_YAML_H

#include <stddef.h>
#include <yaml.h>
#include "pool.h"

struct config_yaml {
	const char *path;	/* as it is shown */
	struct lb_error *err;
	yaml_document_t doc;
	yaml_node_t *root;	/* NULL: nothing but comments */
};

/* On failure there is nothing to free. */
int config_yaml_load(struct config_yaml *src, const char *path, const char *text, size_t len, struct lb_error *err);
void config_yaml_free(struct config_yaml *src);

int config_yaml_fail(struct config_yaml *src, const yaml_node_t *node, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* A mapping with some of these keys: values[i] is the value of keys[i] or NULL. */
int config_yaml_map(struct config_yaml *src, const yaml_node_t *node, const char *what, const char *const *keys,
		    size_t n, yaml_node_t **values);
/* A scalar that is not empty, without NUL bytes; it lives as long as src. */
int config_yaml_text(struct config_yaml *src, const yaml_node_t *node, const char *what, const char **out);
/* A list, or what may stand for a list of one. A key without a value is an empty list. */
size_t config_yaml_count(const yaml_node_t *node);
yaml_node_t *config_yaml_item(struct config_yaml *src, yaml_node_t *node, size_t i);
/* Moves src->err to the value of its "about" key, to the node itself when there is none. Returns -EINVAL. */
int config_yaml_blame(struct config_yaml *src, const yaml_node_t *node, const char *const *keys, size_t n,
		      yaml_node_t **values);

#endif
