/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The second half of a check in dsr: the server answers at its own address; does it answer at the VIP, at every port of
 * the service? Without the VIP on its loopback interface all clients' SYNs end there unheard, and no connection of this
 * host's can notice, because the VIP is here, too. Knocks, and turns what comes of it into the result; a kind
 * of check knows nothing of it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "addr.h"
#include "check_inner.h"
#include "log.h"

#define MAX_PATIENCE_MS 3000	/* on a link, whatever a scanner may take */

/* "192.0.2.25:25", "[2001:db8::25]:25" */
static const char *where(const struct lb_addr *vip, __u16 port, char out[static ADDR_STRLEN + 8])
{
	char text[ADDR_STRLEN];

	snprintf(out, ADDR_STRLEN + 8, addr_is_v4(vip) ? "%s:%u" : "[%s]:%u", addr_to_str(vip, text), port);
	return out;
}

/* What the kernel would send from, or what the user wants: the answer must come back here. */
static int source_to(const struct check_target *what, struct lb_addr *out)
{
	static const struct lb_addr any;
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(&what->address, what->port, &ss), got = sizeof(ss);
	int fd, err = 0;

	if (!addr_equal(&what->conf.source, &any) && addr_is_v4(&what->conf.source) == addr_is_v4(&what->address)) {
		*out = what->conf.source;
		return 0;
	}
	fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -errno;
	if (connect(fd, (struct sockaddr *)&ss, len) == -1 || getsockname(fd, (struct sockaddr *)&ss, &got) == -1)
		err = -errno;
	else
		addr_from_sockaddr(&ss, out, NULL);
	close(fd);
	return err;
}

static void note(struct check_run *run, const char *text)
{
	char *longer = NULL;

	if (!run->wants_transcript)
		return;
	/* A kind that does not speak has no dialogue yet. */
	if (asprintf(&longer, "%s%s%s* %s\n", run->transcript ? run->transcript : "* ", run->transcript ? "" : run->text,
		     run->transcript ? "" : "\n", text) == -1)
		return;
	free(run->transcript);
	run->transcript = longer;
}

/* The server's own word stands, unless the VIP is worse. */
static void conclude(struct check_run *run, enum check_result result, const char *text)
{
	enum check_result own = run->result;
	char said[POOL_TEXT_LEN];

	note(run, text);
	if (result == CHECK_OK)
		memcpy(said, run->text, sizeof(said));
	else
		snprintf(said, sizeof(said), "%s", text);
	if (result != CHECK_OK)
		run->code = 0;
	check_done(run, result == CHECK_OK ? own : result, said);
}

static void on_knocked(void *arg, enum knock_result result, __u16 port)
{
	struct check_run *run = arg;
	char at[ADDR_STRLEN + 8], text[POOL_TEXT_LEN];

	run->knock = NULL;
	where(&run->what->vip, port, at);
	switch (result) {
	case KNOCK_OPEN:
		snprintf(text, sizeof(text), "VIP %s: answers", at);
		conclude(run, CHECK_OK, text);
		break;
	case KNOCK_REFUSED:
		snprintf(text, sizeof(text), "VIP %s: connection refused (does the mail server listen on the VIP?)", at);
		conclude(run, CHECK_REFUSED, text);
		break;
	case KNOCK_SILENT:
		snprintf(text, sizeof(text), "VIP %s: no answer (is the VIP on the server's loopback?)", at);
		conclude(run, CHECK_TIMEOUT, text);
		break;
	default:
		snprintf(text, sizeof(text), "VIP %s: no SYN could be sent: no next hop, or its interface is down", at);
		conclude(run, CHECK_INTERNAL, text);
	}
}

static int hop_of(void *arg, struct nexthop *out)
{
	struct check_run *run = arg;

	return run->checks->hop(run->checks->arg, run->id, out);
}

/* Without packet sockets the own address must do, as it did before. */
static bool can_knock(struct checks *checks)
{
	int err;

	if (checks->knocks || checks->cannot_knock)
		return checks->knocks;
	err = knocks_open(checks->event, NULL, &checks->knocks);
	if (err == -EAGAIN)	/* early in the boot: no randomness yet */
		return false;
	checks->cannot_knock = err;
	if (err)
		log_ret(err, "no packet socket for the checks: they do not notice a dsr backend that has lost the VIP");
	return !err;
}

bool check_vip_begins(struct check_run *run, enum check_result result, const char *text)
{
	const struct check_target *what = run->what;
	struct knock_conf conf = {
		.to = what->vip, .ports_n = what->vip_ports_n, .patience_ms = what->conf.timeout_ms,
		.hop = hop_of, .done = on_knocked, .arg = run,
	};
	int err;

	if (run->vip_asked || !what->vip_ports_n || (result != CHECK_OK && result != CHECK_BUSY) || !run->checks->hop ||
	    !can_knock(run->checks))
		return false;
	run->vip_asked = true;
	run->data = NULL;
	run->result = result;
	snprintf(run->text, sizeof(run->text), "%s", text ? text : check_result_to_str(result));
	memcpy(conf.ports, what->vip_ports, sizeof(conf.ports));
	if (conf.patience_ms > MAX_PATIENCE_MS)
		conf.patience_ms = MAX_PATIENCE_MS;
	err = source_to(what, &conf.from);
	if (!err && addr_equal(&conf.from, &conf.to))
		conclude(run, CHECK_INTERNAL, "the way to the server begins at the VIP: give this host an address of its own there");
	else if (!err)
		err = knock_start(run->checks->knocks, &conf, &run->knock);
	if (err)
		conclude(run, CHECK_INTERNAL, strerror(-err));
	return true;
}
