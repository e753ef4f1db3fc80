/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control socket's requests (api_names.h) as calls of control.h, and the model as JSON. It
 * knows no sockets: a request comes in as a struct, and so does the answer go out.
 */
#ifndef LB_API_H
#define LB_API_H

#include <jansson.h>
#include "control.h"
#include "http.h"

/* An http_handler: ctl is a struct control. 0, or -ENOMEM with nothing in out. */
int api_handle(void *ctl, const struct http_request *req, struct http_answer *out);

/* The documents (api_show.c). Each returns a new reference, or NULL when out of memory. */
json_t *api_show_status(struct control *ctl);
json_t *api_show_services(struct control *ctl);
json_t *api_show_backends(struct control *ctl);
json_t *api_show_stats(struct control *ctl);
json_t *api_show_version(void);
/* backend 0: of all. Times are relative to now_ns (CLOCK_MONOTONIC). */
json_t *api_show_flows(struct control *ctl, int backend, size_t limit, __u64 now_ns);
json_t *api_show_events(struct control *ctl, __u64 since);
json_t *api_show_check(const struct check_report *report);
/* A string value of any bytes: what is not UTF-8 becomes '?'. */
json_t *api_text(const char *text);

#endif
