/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One request to the daemon, one JSON answer. It knows the socket and HTTP, and no command.
 */
#ifndef LBCTL_CLIENT_H
#define LBCTL_CLIENT_H

#include <jansson.h>
#include <stddef.h>
#include "../loader/pool.h"	/* enum lb_exit */

struct client {
	const char *socket;
	char error[640];	/* of the last request that failed: one sentence, with the next step */
};

/* body: NULL for none. On LB_EXIT_OK *out is the document (the caller's); else error is set. */
enum lb_exit client_request(struct client *client, const char *method, const char *path,
			    const json_t *body, json_t **out);

/* head, the name percent-encoded, tail: "/v1/backends/" + "mx1" + "/drain". malloc()ed, or NULL. */
char *client_path(const char *head, const char *name, const char *tail);

#endif
