/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files behind check.h share: the engine's state. A run is one check, of a target's schedule or
 * asked for by a person, or a probe; the kinds see little difference. Included by check*.c only.
 */
#ifndef LB_CHECK_INNER_H
#define LB_CHECK_INNER_H

#include <sys/queue.h>
#include "check.h"
#include "checker.h"
#include "knock.h"

#define CHECK_ACCURACY_US	1000	/* sd-event's own default, 250 ms, would bunch the checks */
#define CHECK_MAX_NOW		16	/* by people, at a time */
#define CHECK_MAX_PROBES	128

enum run_phase { RUN_IDLE = 0, RUN_STARTING, RUN_STARTED, RUN_ENDED, RUN_PHASE_MAX };

struct check_run {
	struct checks *checks;
	const struct check_target *what;
	const struct check_kind_ops *ops;
	void (*ended)(struct check_run *run, enum check_result result, const char *text);	/* may free it */
	enum run_phase phase;
	int id;
	bool vip_asked;
	struct knock *knock;		/* NULL: the kind is at work */
	void *data;			/* the kind's */
	__u64 start_us;
	enum check_result result;	/* of a check that ended within its own start(), or now knocks */
	char text[POOL_TEXT_LEN];
	__u16 code;
	__s32 tls_days;
	__u32 connect_ms;		/* of a probe */
	bool wants_transcript;
	char *transcript;
};

struct target {
	int id;
	struct check_target what;
	struct check_tally tally;
	struct check_status status;
	struct check_run run;
	sd_event_source *timer;
	__u64 evidence_us;		/* traffic proved it healthy */
	__u32 stretch;			/* of the interval */
	bool warned_of_cert;
};

struct check_now {
	TAILQ_ENTRY(check_now) link;
	struct check_run run;
	struct check_target what;
	int id;
	void (*done)(void *arg, enum check_result result, const char *text, const char *transcript);
	void *arg;
	sd_event_source *timer;		/* the deadline, or at once: the end is told from the loop */
	bool over;
};

struct checks {
	sd_event *event;
	void (*verdict)(void *arg, int id, enum backend_health health, const char *reason);
	void *arg;
	__u64 first_us;			/* when the latest newcomer starts */
	struct checker *checker;	/* NULL: no kind had use for it yet */
	int (*hop)(void *arg, int id, struct nexthop *out);
	struct knocks *knocks;		/* NULL: no use for them yet, or no permission */
	int cannot_knock;
	TAILQ_HEAD(check_now_list, check_now) now;
	size_t now_n, probes_n;
	struct target *targets[LB_MAX_BACKENDS];
};

bool check_id_is_good(int id);
/* Starts it: RUN_STARTED, or RUN_ENDED with a result; never calls ended(). */
void check_run_start(struct check_run *run);
void check_run_stop(struct check_run *run);
/* The deadline that the engine keeps: the kind's own is sooner where it has one. */
__u64 check_run_deadline_us(const struct check_run *run);
enum check_result check_run_overdue(const struct check_run *run, char *text, size_t len);

/* check_vip.c: true: the kind's result is good, and is kept until the VIP has been looked at; check_done() comes again. */
bool check_vip_begins(struct check_run *run, enum check_result result, const char *text);

/* check_now.c: those of one backend, or all (id 0), end without a result. */
void checks_now_end(struct checks *checks, int id);

#endif
