/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See api_body.h. Whoever may connect to the socket may send anything: nothing here trusts a size, a depth or a type.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api_body.h"
#include "api_names.h"

#define MAX_DEPTH	8	/* no request nests deeper than 2 */

/* jansson's own limit of nesting is a compile-time 2048: recursion that deep is a gift to nobody. */
static bool is_too_deep(const char *text)
{
	bool quoted = false;
	int depth = 0;

	for (; *text; text++) {
		if (quoted && *text == '\\' && text[1])
			text++;
		else if (*text == '"')
			quoted = !quoted;
		else if (!quoted && (*text == '{' || *text == '['))
			depth++;
		else if (!quoted && (*text == '}' || *text == ']'))
			depth--;
		if (depth > MAX_DEPTH)
			return true;
	}
	return false;
}

static bool is_one_of(const char *fields, const char *field)
{
	size_t len = strlen(field), word;

	for (const char *at = fields; *at; at += word + strspn(at + word, ", ")) {
		word = strcspn(at, ",");
		if (word == len && memcmp(at, field, len) == 0)
			return true;
	}
	return false;
}

static int check_fields(json_t *body, const char *fields, struct lb_error *err)
{
	const char *field;
	json_t *value;

	if (!json_is_object(body))
		return lb_error(err, LB_EXIT_USAGE, "the request is not a JSON object");
	json_object_foreach(body, field, value)
		if (!is_one_of(fields, field))
			return lb_error(err, LB_EXIT_USAGE, "unknown field \"%.64s\": this request takes %s", field,
					*fields ? fields : "none");
	return 0;
}

int api_body_read(const struct http_request *req, const char *fields, json_t **out, struct lb_error *err)
{
	const char *text = req->body_len ? req->body : "{}";
	json_error_t why;
	json_t *body;
	int ret;

	if (req->body_too_big)
		return lb_error(err, LB_EXIT_USAGE, "the request is longer than %d bytes", API_MAX_BODY);
	if (is_too_deep(text))
		return lb_error(err, LB_EXIT_USAGE, "the request nests deeper than %d levels", MAX_DEPTH);
	body = json_loadb(text, req->body_len ? req->body_len : strlen(text), JSON_REJECT_DUPLICATES, &why);
	if (!body)
		return lb_error(err, LB_EXIT_USAGE, "the request is not JSON: line %d, column %d: %s", why.line, why.column,
				why.text);
	ret = check_fields(body, fields, err);
	if (ret)
		json_decref(body);
	else
		*out = body;
	return ret;
}

/* A string, or a whole number as text in buf; NULL with err set for anything else. */
static const char *text_of(const json_t *value, const char *field, char buf[static API_NUMBER_LEN],
			   struct lb_error *err)
{
	if (json_is_string(value))
		return json_string_value(value);
	if (json_is_integer(value)) {
		snprintf(buf, API_NUMBER_LEN, "%lld", (long long)json_integer_value(value));
		return buf;
	}
	lb_error(err, LB_EXIT_USAGE, "%s: neither a string nor a whole number", field);
	return NULL;
}

int api_body_text(const json_t *body, const char *field, char buf[static API_NUMBER_LEN], const char **out,
		  struct lb_error *err)
{
	const json_t *value = json_object_get(body, field);

	if (!value || json_is_null(value))
		return 0;
	*out = text_of(value, field, buf, err);
	return *out ? 0 : -EINVAL;
}

int api_body_string(const json_t *body, const char *field, const char **out, struct lb_error *err)
{
	const json_t *value = json_object_get(body, field);

	if (!value || json_is_null(value))
		return 0;
	if (!json_is_string(value))
		return lb_error(err, LB_EXIT_USAGE, "%s: not a string", field);
	*out = json_string_value(value);
	return 0;
}

int api_body_need(const json_t *body, const char *field, const char **out, struct lb_error *err)
{
	int ret = api_body_string(body, field, out, err);

	if (!ret && !*out)
		return lb_error(err, LB_EXIT_USAGE, "field \"%s\" is missing", field);
	return ret;
}

int api_body_list(const json_t *body, const char *field, size_t max, char (*bufs)[API_NUMBER_LEN], const char **out,
		  size_t *out_n, struct lb_error *err)
{
	const json_t *value = json_object_get(body, field);
	size_t n = json_is_array(value) ? json_array_size(value) : 1;

	if (!value || n == 0)
		return lb_error(err, LB_EXIT_USAGE, "field \"%s\" is missing", field);
	if (n > max)
		return lb_error(err, LB_EXIT_USAGE, "%s: %zu values, at most %zu are allowed", field, n, max);
	for (size_t i = 0; i < n; i++) {
		out[i] = text_of(json_is_array(value) ? json_array_get(value, i) : value, field, bufs[i], err);
		if (!out[i])
			return -EINVAL;
	}
	*out_n = n;
	return 0;
}
