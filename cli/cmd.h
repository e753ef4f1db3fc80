/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a command of lbctl is. The table of them is in lbctl.c, which parses the command line and
 * prints all usage from that table; the functions are in cmd_*.c.
 */
#ifndef LBCTL_CMD_H
#define LBCTL_CMD_H

#include <stdbool.h>
#include <stdint.h>
#include "../loader/pool.h"	/* enum lb_exit */
#include "client.h"

enum cmd_option {
	/* of every command */
	OPT_SOCKET = 0, OPT_JSON, OPT_COLOR, OPT_HELP, OPT_VERSION,
	OPT_GLOBAL_MAX,
	/* of some */
	OPT_MODE = OPT_GLOBAL_MAX, OPT_VIP, OPT_PORT, OPT_FORWARD, OPT_SCHEDULER, OPT_REFUSE, OPT_CHECK, OPT_AGENT,
	OPT_SERVICE, OPT_WEIGHT, OPT_MAX_CONNS, OPT_WAIT, OPT_DEADLINE, OPT_NOW, OPT_BACKEND, OPT_LIMIT, OPT_FOLLOW,
	OPT_MAX,
};

/* A command line, understood. */
struct cmd_line {
	struct client client;
	bool json;
	const char *name;		/* the positionals; NULL when the command has none */
	const char *address;
	const char *option[OPT_MAX];	/* its value, "" for a flag, NULL when it is not there */
};

typedef enum lb_exit cmd_run(struct cmd_line *line);

cmd_run cmd_status, cmd_list, cmd_service_list, cmd_flows, cmd_stats, cmd_version;
cmd_run cmd_attach, cmd_detach, cmd_service_add, cmd_service_remove, cmd_add, cmd_set, cmd_drain, cmd_enable,
	cmd_remove, cmd_reload, cmd_save;
cmd_run cmd_check, cmd_events;

/* For commands that ask again and again. */
uint64_t cmd_now_ms(void);	/* CLOCK_MONOTONIC */
void cmd_pause(unsigned int ms);	/* less when a signal comes */

#endif
