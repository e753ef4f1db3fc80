/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The polite refusal: a listener on a VIP that says "421", waits for QUIT and hangs up. The kernel half lets only those
 * connections up to it that no mail server can take. It reads a few bytes and understands one word,
 * so there is nothing it could relay. Bounded in connections and in time.
 */
#ifndef LB_RESPONDER_H
#define LB_RESPONDER_H

#include <systemd/sd-event.h>
#include "pool.h"

#define RESPONDER_MAX_CONNS	256
#define RESPONDER_TIME_S	10	/* for a whole conversation */

struct responder;

int responder_open(sd_event *event, struct responder **out);
void responder_close(struct responder *r);
/* Listens on every VIP and port of the services with refuse "reply", and nowhere else; port 465 is left out, because
 * TLS comes before any word there. Sets can_reply of each service: false when something else has the
 * address, or the capability to bind is missing: its connections are then to be reset. */
void responder_set(struct responder *r, struct pool *pool);

#endif
