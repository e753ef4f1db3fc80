/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The check engine: owns time, retries, rise and fall, jitter and reporting. A kind of check is one file
 * (check_tcp.c, ...) that starts, and then calls check_done() exactly once with a reason from
 * the enum. Kinds know nothing of retries or pools; the engine knows nothing of maps.
 */
#ifndef LB_CHECK_H
#define LB_CHECK_H

#include <stdbool.h>
#include <sys/types.h>
#include <systemd/sd-event.h>
#include "nexthop.h"
#include "pool.h"

enum check_result {
	CHECK_OK = 0,
	CHECK_BUSY,		/* the server said 4xx: alive, wants less */
	CHECK_REFUSED,		/* RST to our SYN */
	CHECK_TIMEOUT,
	CHECK_UNREACHABLE,	/* no route, no neighbour, ICMP error */
	CHECK_RESET,		/* connection cut in the middle */
	CHECK_REJECTED,		/* the server said 5xx */
	CHECK_JUNK,		/* not SMTP */
	CHECK_TLS_FAILED,
	CHECK_UNSCANNED,	/* it took what its scanner must refuse: one is enough, whatever "fall" says */
	CHECK_INTERNAL,		/* our own trouble (no descriptors ...): never changes a state */
	CHECK_RESULT_MAX,
};
const char *check_result_to_str(enum check_result r);

struct checks;		/* the engine */

struct check_target {
	struct lb_addr address;	/* what to connect to */
	__u16 port;
	struct check_conf conf;
	struct lb_addr vip;		/* what clients connect to, where the server itself must have it: dsr */
	__u16 vip_ports[LB_MAX_PORTS];
	__u32 vip_ports_n;		/* 0: the address is all there is to check */
};

struct check_status {
	enum check_result last;
	__u32 duration_us;
	__u64 at_ns;		/* CLOCK_MONOTONIC; 0: never ran */
	__u16 code;		/* of the reply that decided; 0: none */
	__s32 tls_days;		/* that the certificate is still good for; -1: none was seen */
	char text[POOL_TEXT_LEN];
};

/* verdict(arg, id, health, reason): rise or fall was reached, or a fresh target had its first
 * result (called then even when health is what the pool had: the reason is news). Else it is called only
 * for a change, or CHECK_UNSCANNED, always from the event loop, and may call anything here, checks_close() too. */
int checks_open(sd_event *event,
		void (*verdict)(void *arg, int id, enum backend_health health, const char *reason),
		void *arg, struct checks **out);
void checks_close(struct checks *checks);
/* How packets get to backend id; 0, or -errno while that is not known. With it a check that went well is followed by one of
 * the target's VIP, through that next hop: its result counts where it is worse. arg is that of checks_open(). */
void checks_set_hop(struct checks *checks, int (*hop)(void *arg, int id, struct nexthop *out));
/* Starts or changes the checks of backend id; target->conf.kind CHECK_NONE stops them. health is what
 * the pool believes now. fresh: nobody knows yet, the first result decides at once; else
 * rise and fall count from health. The first check starts without delay, or, when many targets
 * come together, one a millisecond. The same target again, not fresh or still without a first result,
 * leaves a running check and its counts alone, unless health is not what they last led to: then they begin anew.
 * 0, -EINVAL (id, port), -ENOTSUP (nobody has written this kind yet) or -ENOMEM: then the checks are as they were. */
int checks_set(struct checks *checks, int id, const struct check_target *target,
	       enum backend_health health, bool fresh);
void checks_remove(struct checks *checks, int id);
bool checks_status(const struct checks *checks, int id, struct check_status *out);	/* false: not checked */

/* What traffic says of backend id. Healthy: the interval grows with each good check, up to five times the
 * configured one, for as long as such news keeps coming. Not healthy: back to the configured one, and a check
 * runs now, unless one has just begun. */
void checks_evidence(struct checks *checks, int id, bool healthy);

/* One check of backend id now, beside its schedule; its result changes no state. done is called once, from the
 * event loop, never from within this call: with the dialogue ("> EHLO ...", "< 250 ...", "* ..." for all else), at
 * most 8 KiB, which is gone afterwards. When the backend or the engine goes away first: CHECK_INTERNAL, from within
 * checks_remove(), checks_set() or checks_close(), and then it must not call back in here. 0, -ENOENT (not
 * checked), -EBUSY (too many at a time), -ENOMEM. */
int checks_run_now(struct checks *checks, int id,
		   void (*done)(void *arg, enum check_result result, const char *text, const char *transcript), void *arg);
/* Is anybody there? A connection within connect_ms, beside the schedule: done as above, without a dialogue. Refused
 * and unreachable are what they say; any other result but CHECK_INTERNAL means that somebody answered. */
int checks_probe(struct checks *checks, int id, __u32 connect_ms,
		 void (*done)(void *arg, enum check_result result, const char *text, const char *transcript), void *arg);
/* Whoever asked is gone: forgets all runs with this arg, without a call. */
void checks_run_forget(struct checks *checks, const void *arg);
pid_t checks_checker_pid(const struct checks *checks);	/* 0: none runs */

/* The process that speaks for the kinds that read replies, and for agents. */
struct checker_status {
	bool wanted;		/* there are checks that need it; whether agents do is not known here */
	bool fails;		/* it ended, or cannot start, and nothing good has come from it since */
	__u64 failing_s;
	char why[POOL_TEXT_LEN];
};
void checks_checker_status(const struct checks *checks, struct checker_status *out);

/* For the kinds: one running check. The engine allocates it, sets the deadline, owns the memory. */
struct check_run;
struct check_kind_ops {
	const char *name;
	/* 0: started, check_done() will follow, or was called already, from within start();
	 * -errno: nothing was started, the engine reports CHECK_INTERNAL. */
	int (*start)(struct check_run *run);
	/* Deadline passed or target changed or removed: release everything; do not call check_done(). */
	void (*cancel)(struct check_run *run);
	/* It keeps the deadline itself, and tells CHECK_TIMEOUT: when nothing comes at all, the trouble is ours. */
	bool keeps_deadline;
};
/* text: "connection refused"; NULL: the result's own name. Release everything first and do not touch
 * run after it: the target may be gone. */
void check_done(struct check_run *run, enum check_result result, const char *text);
sd_event *check_run_event(struct check_run *run);
const struct check_target *check_run_target(struct check_run *run);
void check_run_set_data(struct check_run *run, void *data);
void *check_run_data(struct check_run *run);

/* Before check_done(): what goes into the status beside the text, and the dialogue where one is wanted. */
void check_run_facts(struct check_run *run, __u16 code, __s32 tls_days);
__u32 check_run_connect_ms(const struct check_run *run);	/* 0: no probe */
bool check_run_wants_transcript(const struct check_run *run);
void check_run_transcript(struct check_run *run, const char *text);
/* The process that speaks for the kinds that read replies; opened at first use. 0 or -errno. */
struct checker;
int checks_checker(struct checks *checks, struct checker **out);
int check_run_checker(struct check_run *run, struct checker **out);

extern const struct check_kind_ops check_tcp_ops, check_smtp_ops;

/* What connect(), or a connection later on, ended with. */
enum check_result check_from_errno(int cause);
const char *check_errno_text(int cause);

/* Rise and fall of one target. Pure: apart from the engine, so that it is tested without a clock. */
#define CHECK_FLAP_CHANGES 5
struct check_tally {
	enum backend_health health;	/* what is believed now */
	enum backend_health nearest;	/* of the results counted, the one that is closest to health */
	__u32 count;			/* consecutive results on the same side of health */
	bool worse;			/* which side that is */
	bool fresh;			/* nothing is believed: the next result decides */
	bool unscanned;			/* only CHECK_OK lifts that */
	__u8 damping;			/* rise is so many times as long: 0 and 1 mean once */
	__u8 changes_at;
	__u64 changed_ns, changes_ns[CHECK_FLAP_CHANGES];
};
/* Counts one result. True: decided, tally->health is the verdict. Going down to BUSY and further to DOWN
 * takes fall results each as bad as that; a mixed run goes as far as all of its results agree; CHECK_UNSCANNED decides alone,
 * and is told again each time. A change that
 * is more than the fifth within a minute doubles rise, up to eightfold, until nothing has changed for 5 minutes. */
bool check_tally_add(struct check_tally *tally, enum check_result result, __u16 rise, __u16 fall, __u64 now_ns);
__u32 check_tally_rise(struct check_tally *tally, __u16 rise, __u64 now_ns);	/* with damping */
/* Another health from elsewhere; that is a change, too, among those remembered. */
void check_tally_reset(struct check_tally *tally, enum backend_health health, bool fresh, __u64 now_ns);

#endif
