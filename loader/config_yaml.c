/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libyaml made strict. The text is walked twice: as events, which still show aliases,
 * depth and further documents, and stop early; then as a tree. It must not know what any key means.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include "config_yaml.h"

#define MAX_DEPTH	16	/* our format needs 6 */
#define MAX_PATH_SHOWN	160	/* leaves room for the message */
#define MAX_KEY		32

static int fail_at(struct config_yaml *src, size_t line, size_t column, const char *text)
{
	lb_error(src->err, LB_EXIT_USAGE, "%s:%zu:%zu: %s", src->path, line + 1, column + 1, text);
	return -EINVAL;
}

int config_yaml_fail(struct config_yaml *src, const yaml_node_t *node, const char *fmt, ...)
{
	char text[sizeof(src->err->text)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return fail_at(src, node->start_mark.line, node->start_mark.column, text);
}

/* --- loading --- */

static void parser_open(yaml_parser_t *parser, const char *text, size_t len)
{
	yaml_parser_set_input_string(parser, (const unsigned char *)text, len);
	/* Not guessed: UTF-16 would make every byte offset wrong. */
	yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING);
}

/* The reader tells a byte offset only. */
static int fail_in_bytes(struct config_yaml *src, const yaml_parser_t *parser, const char *text, size_t len)
{
	size_t line = 0, column = 0;
	char msg[160];

	for (size_t i = 0; i < parser->problem_offset && i < len; i++) {
		if (text[i] == '\n') {
			line++;
			column = 0;
		} else if ((text[i] & 0xc0) != 0x80) {
			column++;
		}
	}
	snprintf(msg, sizeof(msg), "%s (byte 0x%02x): save the file as plain UTF-8 text", parser->problem,
		 parser->problem_offset < len ? (unsigned char)text[parser->problem_offset] : 0);
	return fail_at(src, line, column, msg);
}

static bool is_tab_at(const char *text, size_t len, size_t index)
{
	for (size_t i = 0; i < len; i++) {
		if ((text[i] & 0xc0) == 0x80)
			continue;
		if (!index--)
			return text[i] == '\t';
	}
	return false;
}

static int fail_in_syntax(struct config_yaml *src, const yaml_parser_t *parser, const char *text, size_t len)
{
	const yaml_mark_t *mark = &parser->problem_mark;
	char msg[300];

	if (parser->error == YAML_MEMORY_ERROR) {
		lb_error(src->err, LB_EXIT_FAILED, "%s: out of memory", src->path);
		return -ENOMEM;
	}
	if (parser->error == YAML_READER_ERROR)
		return fail_in_bytes(src, parser, text, len);
	if (is_tab_at(text, len, mark->index))
		return fail_at(src, mark->line, mark->column, "a tab: indent with spaces");
	if (parser->context)
		snprintf(msg, sizeof(msg), "not YAML: %s (%s from line %zu): check the indentation, brackets and quotes",
			 parser->problem, parser->context, parser->context_mark.line + 1);
	else
		snprintf(msg, sizeof(msg), "not YAML: %s: check the indentation, brackets and quotes", parser->problem);
	return fail_at(src, mark->line, mark->column, msg);
}

/* The event's own sins: *depth and *documents are counted along. */
static const char *find_sin(const yaml_event_t *event, int *depth, int *documents)
{
	const yaml_char_t *tag = NULL;

	switch (event->type) {
	case YAML_ALIAS_EVENT:
		return "aliases are not understood: write the value out";
	case YAML_DOCUMENT_START_EVENT:
		return ++*documents > 1 ? "a second document: keep one, and no line \"---\" after it" : NULL;
	case YAML_SEQUENCE_START_EVENT:
		tag = event->data.sequence_start.tag;
		++*depth;
		break;
	case YAML_MAPPING_START_EVENT:
		tag = event->data.mapping_start.tag;
		++*depth;
		break;
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		--*depth;
		break;
	case YAML_SCALAR_EVENT:
		tag = event->data.scalar.tag;
		break;
	default:
		break;
	}
	if (tag)
		return "tags (\"!...\") are not understood: leave it out, or put the value in quotes";
	return *depth > MAX_DEPTH ? "nested too deep: check the brackets" : NULL;
}

static int scan_events(struct config_yaml *src, const char *text, size_t len)
{
	int depth = 0, documents = 0, err = 0;
	yaml_parser_t parser;
	bool done = false;

	if (!yaml_parser_initialize(&parser)) {
		lb_error(src->err, LB_EXIT_FAILED, "%s: out of memory", src->path);
		return -ENOMEM;
	}
	parser_open(&parser, text, len);
	while (!err && !done) {
		const char *sin;
		yaml_event_t event;

		if (!yaml_parser_parse(&parser, &event)) {
			err = fail_in_syntax(src, &parser, text, len);
			break;
		}
		sin = find_sin(&event, &depth, &documents);
		if (sin)
			err = fail_at(src, event.start_mark.line, event.start_mark.column, sin);
		done = event.type == YAML_STREAM_END_EVENT;
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	return err;
}

int config_yaml_load(struct config_yaml *src, const char *path, const char *text, size_t len, struct lb_error *err)
{
	size_t path_len = strlen(path);
	yaml_parser_t parser;
	int ret;

	*src = (struct config_yaml){ .path = path, .err = err };
	if (path_len > MAX_PATH_SHOWN)
		src->path = path + path_len - MAX_PATH_SHOWN;
	ret = scan_events(src, text, len);
	if (ret)
		return ret;
	if (!yaml_parser_initialize(&parser)) {
		lb_error(err, LB_EXIT_FAILED, "%s: out of memory", src->path);
		return -ENOMEM;
	}
	parser_open(&parser, text, len);
	if (!yaml_parser_load(&parser, &src->doc))
		ret = fail_in_syntax(src, &parser, text, len);
	else
		src->root = yaml_document_get_root_node(&src->doc);
	/* A lone "---" is a document of one empty scalar. */
	if (src->root && src->root->type == YAML_SCALAR_NODE && !config_yaml_count(src->root))
		src->root = NULL;
	yaml_parser_delete(&parser);
	return ret;
}

void config_yaml_free(struct config_yaml *src)
{
	yaml_document_delete(&src->doc);
	src->root = NULL;
}

/* --- reading --- */

static const char *kind_of(const yaml_node_t *node)
{
	switch (node->type) {
	case YAML_SEQUENCE_NODE:
		return "a list";
	case YAML_MAPPING_NODE:
		return "a mapping";
	default:
		return node->data.scalar.length ? "text" : "nothing";
	}
}

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t least = a < b ? a : b;

	return least < c ? least : c;
}

/* How many typing errors (a letter more, less, other, or two swapped) lie between a and b. */
static size_t edit_distance(const char *a, const char *b)
{
	size_t rows[3][MAX_KEY + 1], m = strlen(a), n = strlen(b);
	size_t *old = rows[0], *last = rows[1], *now = rows[2];

	if (m > MAX_KEY || n > MAX_KEY)
		return MAX_KEY;
	for (size_t j = 0; j <= n; j++)
		last[j] = j;
	for (size_t i = 1; i <= m; i++) {
		size_t *spare = old;

		now[0] = i;
		for (size_t j = 1; j <= n; j++) {
			now[j] = min3(last[j] + 1, now[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && old[j - 2] + 1 < now[j])
				now[j] = old[j - 2] + 1;
		}
		old = last;
		last = now;
		now = spare;
	}
	return last[n];
}

static int fail_unknown(struct config_yaml *src, const yaml_node_t *node, const char *what, const char *key,
			const char *const *keys, size_t n)
{
	size_t best = 0, best_distance = MAX_KEY, at = 0;
	char known[200] = "";

	for (size_t i = 0; i < n; i++) {
		size_t distance = edit_distance(key, keys[i]);

		if (distance < best_distance) {
			best_distance = distance;
			best = i;
		}
		if (at < sizeof(known))
			at += snprintf(known + at, sizeof(known) - at, "%s%s", i ? ", " : "", keys[i]);
	}
	if (best_distance <= 2 && best_distance < strlen(key))
		return config_yaml_fail(src, node, "unknown key \"%.64s\" in %s: did you mean \"%s\"?", key, what,
					keys[best]);
	return config_yaml_fail(src, node, "unknown key \"%.64s\" in %s: there are %s", key, what, known);
}

int config_yaml_map(struct config_yaml *src, const yaml_node_t *node, const char *what, const char *const *keys,
		    size_t n, yaml_node_t **values)
{
	const yaml_node_pair_t *pair;

	memset(values, 0, n * sizeof(*values));
	if (node->type != YAML_MAPPING_NODE)
		return config_yaml_fail(src, node, "%s: expected \"key: value\" pairs, found %s: start with \"%s: \"", what,
					kind_of(node), keys[0]);
	for (pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
		const yaml_node_t *key = yaml_document_get_node(&src->doc, pair->key);
		const char *name = NULL;
		size_t i;
		int err;

		err = config_yaml_text(src, key, "a key", &name);
		if (err)
			return err;
		for (i = 0; i < n && strcmp(name, keys[i]); i++)
			;
		if (i == n)
			return fail_unknown(src, key, what, name, keys, n);
		if (values[i])
			return config_yaml_fail(src, key, "duplicate key \"%s\" in %s: its first value is at line %zu, leave one out",
						name, what, values[i]->start_mark.line + 1);
		values[i] = yaml_document_get_node(&src->doc, pair->value);
	}
	return 0;
}

int config_yaml_text(struct config_yaml *src, const yaml_node_t *node, const char *what, const char **out)
{
	const char *text;

	if (node->type != YAML_SCALAR_NODE)
		return config_yaml_fail(src, node, "%s: expected one value, found %s", what, kind_of(node));
	text = (const char *)node->data.scalar.value;
	if (!node->data.scalar.length)
		return config_yaml_fail(src, node, "%s has no value: give one, or leave it out", what);
	if (strlen(text) != node->data.scalar.length)
		return config_yaml_fail(src, node, "%s has a NUL byte in its value: leave it out", what);
	*out = text;
	return 0;
}

size_t config_yaml_count(const yaml_node_t *node)
{
	if (!node)
		return 0;
	if (node->type == YAML_SEQUENCE_NODE)
		return node->data.sequence.items.top - node->data.sequence.items.start;
	return node->type == YAML_SCALAR_NODE && !node->data.scalar.length &&
	       node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE ? 0 : 1;
}

yaml_node_t *config_yaml_item(struct config_yaml *src, yaml_node_t *node, size_t i)
{
	if (node->type != YAML_SEQUENCE_NODE)
		return node;
	return yaml_document_get_node(&src->doc, node->data.sequence.items.start[i]);
}

int config_yaml_blame(struct config_yaml *src, const yaml_node_t *node, const char *const *keys, size_t n,
		      yaml_node_t **values)
{
	const char *about = src->err->about;
	size_t nth = src->err->nth;

	for (size_t i = 0; about && i < n; i++) {
		if (!values[i] || strcmp(keys[i], about))
			continue;
		node = nth < config_yaml_count(values[i]) ? config_yaml_item(src, values[i], nth) : values[i];
	}
	return config_yaml_fail(src, node, "%s", src->err->text);
}
