/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Verdicts and the other enums of the treaty, by the names people read: in JSON,
 * tables, metrics and the config. Pure; shared with the CLI.
 */
#ifndef LB_VERDICT_H
#define LB_VERDICT_H

#include "../bpf/lb_abi.h"

const char *verdict_to_str(enum lb_verdict v);		/* "pass_not_ours"; "?" outside the enum */
const char *verdict_meaning(enum lb_verdict v);	/* one sentence, and whether it is normal */
int verdict_from_str(const char *name);		/* the verdict, or -ENOENT */

const char *mode_to_str(enum lb_mode m);		/* nat, dsr */
int mode_from_str(const char *name);			/* or -EINVAL; so the two below */
const char *scheduler_to_str(enum lb_scheduler s);	/* least-inflight, least-conn, maglev, round-robin, random */
int scheduler_from_str(const char *name);
const char *refuse_to_str(enum lb_refuse r);		/* reset, drop, reply */
int refuse_from_str(const char *name);
const char *flow_state_to_str(enum lb_flow_state s);	/* half-open, server, client, closing, aborted, reset */

#endif
