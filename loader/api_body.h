/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The body of a request: an object of known fields, read with suspicion (size, depth, duplicate and unknown fields,
 * types). What a field's value means is decided elsewhere, and so is where the request leads.
 */
#ifndef LB_API_BODY_H
#define LB_API_BODY_H

#include <jansson.h>
#include "http.h"
#include "pool.h"

#define API_NUMBER_LEN	24

/* fields: those that there may be, "a, b, c". *out, which is the caller's then, is an object also where there is no body.
 * 0, or -errno with *err set, here and below. */
int api_body_read(const struct http_request *req, const char *fields, json_t **out, struct lb_error *err);

/* Of an optional field: *out stays as it is when it is absent or null. A string, or a whole number as text in buf. */
int api_body_text(const json_t *body, const char *field, char buf[static API_NUMBER_LEN], const char **out,
		  struct lb_error *err);
/* The same for fields that are never numbers. */
int api_body_string(const json_t *body, const char *field, const char **out, struct lb_error *err);
/* And never absent. */
int api_body_need(const json_t *body, const char *field, const char **out, struct lb_error *err);
/* One value or an array of them, at most max, at least one. bufs: room for numbers. */
int api_body_list(const json_t *body, const char *field, size_t max, char (*bufs)[API_NUMBER_LEN], const char **out,
		  size_t *out_n, struct lb_error *err);

#endif
