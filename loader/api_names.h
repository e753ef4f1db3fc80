/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The contract of the control socket: HTTP/1.1 with JSON on a unix socket. lbd serves it, lbctl
 * speaks it, `curl --unix-socket` too. Both programs take every path and field name from here.
 *
 * GET changes nothing; POST, PATCH and DELETE do, and are for root, for the daemon's own user and for
 * members of the socket's group (SO_PEERCRED decides, per connection).
 * A success is 200 with {"message": "..."} for changes, or the document asked for.
 * A failure is {"error": "...", "exit": N}, N an enum lb_exit; HTTP status 400 (usage), 403, 404, 409,
 * 500 (failed), 504. Numbers are raw; times in the unit that the field's name ends in.
 *
 *   GET    /v1/status              "checker", also of /v1/backends: {state: running|failing|unused, failing_s, reason}, the
 *                                  process that speaks SMTP; while it is failing, states may be old
 *   GET    /v1/services
 *   POST   /v1/services            {name, vip: [..], ports: [..], mode?, scheduler?, refuse?, check?, agent?: port}
 *   DELETE /v1/services/NAME
 *   GET    /v1/backends
 *   POST   /v1/backends            {name, address, service?, weight?, max_conns?}
 *   PATCH  /v1/backends/NAME       {weight?, max_conns?}
 *   DELETE /v1/backends/NAME       ?now=1
 *   POST   /v1/backends/NAME/drain {deadline_ms?}
 *   POST   /v1/backends/NAME/enable
 *   POST   /v1/backends/NAME/check  starts one check now
 *   GET    /v1/backends/NAME/check  {state: running|done|none, result, text, duration_us, timeout_ms, dialogue: [..]};
 *                                  result is null until it is done, dialogue has "> sent", "< received", "* other"
 *   GET    /v1/flows               ?backend=NAME&limit=N
 *   GET    /v1/events              ?since=SEQ -> {events: [{seq, time, backend, from, to, text}], next: SEQ}: what happened,
 *                                  from SEQ on, at most the last 512; backend, from and to are null where it
 *                                  is no backend's state that changed; seq starts anew with the daemon
 *   GET    /v1/stats
 *   POST   /v1/interfaces          {name, mode?}
 *   DELETE /v1/interfaces/NAME
 *   POST   /v1/reload
 *   POST   /v1/save
 *   GET    /v1/version
 *   GET    /metrics                Prometheus text
 *
 * Numbers in requests (weight, ports, max_conns, agent) may be JSON numbers or strings; strings are parsed strictly.
 */
#ifndef LB_API_NAMES_H
#define LB_API_NAMES_H

#define API_VERSION		1
#define MAILXDP_VERSION		"0.1.0"
#define API_SOCKET_DEFAULT	"/run/mailxdp/lbd.sock"
#define API_SOCKET_ENV		"MAILXDP_SOCKET"
#define API_CONFIG_DEFAULT	"/etc/mailxdp/mailxdp.yaml"
#define API_BPFFS_DEFAULT	"/sys/fs/bpf/mailxdp"
#define API_STATE_DEFAULT	"/var/lib/mailxdp"

#define API_STATUS		"/v1/status"
#define API_SERVICES		"/v1/services"
#define API_BACKENDS		"/v1/backends"
#define API_FLOWS		"/v1/flows"
#define API_EVENTS		"/v1/events"
#define API_STATS		"/v1/stats"
#define API_INTERFACES		"/v1/interfaces"
#define API_RELOAD		"/v1/reload"
#define API_SAVE		"/v1/save"
#define API_VERSION_PATH	"/v1/version"
#define API_METRICS		"/metrics"

#define API_MAX_BODY		65536	/* bytes of a request */
#define API_MAX_CLIENTS		64
#define API_TIMEOUT_S		5	/* a silent client is cut off */
#define API_FLOWS_LIMIT		10000	/* default of ?limit= */

#endif
