/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The model: services, backends, their states, and the rules for changing them.
 * Pure: no system calls, no clock, no logging. Whoever changes the pool pushes the
 * result to the maps (sync.c); the pool does not know that maps exist.
 *
 * A change is made whole or not at all: on an error the pool is as it was.
 */
#ifndef LB_POOL_H
#define LB_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include "../bpf/lb_abi.h"
#include "agent.h"

#define POOL_NAME_LEN	64
#define POOL_TEXT_LEN	200

#define POOL_DEFAULT_MODE	LB_MODE_NAT
#define POOL_DEFAULT_SCHEDULER	LB_SCHED_LEAST_INFLIGHT
#define POOL_DEFAULT_REFUSE	LB_REFUSE_RESET
#define POOL_DEFAULT_WEIGHT	1

/* Exit codes of lbctl and the class of every error. */
enum lb_exit {
	LB_EXIT_OK = 0, LB_EXIT_FAILED = 1, LB_EXIT_USAGE = 2, LB_EXIT_NO_DAEMON = 3,
	LB_EXIT_NOT_PERMITTED = 4, LB_EXIT_NOT_FOUND = 5, LB_EXIT_CONFLICT = 6, LB_EXIT_TIMEOUT = 7,
};

struct lb_error {
	enum lb_exit code;
	char text[512];		/* what, where, why, and what to do; valid UTF-8, no control characters */
	const char *about;	/* the setting at fault, as the config spells it ("vip"); NULL: no single one */
	size_t nth;		/* which of its values, from 0 */
};

/* Fills *err (about nothing in particular) and returns the code's own -errno: `return lb_error(err,
 * LB_EXIT_CONFLICT, "...")`. FAILED EIO, USAGE EINVAL, NO_DAEMON ECONNREFUSED, NOT_PERMITTED EPERM,
 * NOT_FOUND ENOENT, CONFLICT EEXIST, TIMEOUT ETIMEDOUT. */
int lb_error(struct lb_error *err, enum lb_exit code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

enum backend_admin {
	ADMIN_ENABLED = 0,
	ADMIN_DRAIN,		/* keeps its flows, gets none */
	ADMIN_DISABLED,		/* as drain, and not checked */
	ADMIN_REMOVED,		/* as drain; gone when its last flow is */
	ADMIN_MAX,
};

enum backend_health {
	HEALTH_UP = 0,
	HEALTH_BUSY,		/* answers 4xx: keeps flows, loses weight */
	HEALTH_DOWN,		/* fails its checks: no new flows, old ones untouched */
	HEALTH_DEAD,		/* does not answer packets either: its clients are told by RST */
	HEALTH_MAX,
};

/* What `lbctl list` calls state: up, busy, down, draining, disabled. */
enum backend_state {
	STATE_UP = 0, STATE_BUSY, STATE_DOWN, STATE_DRAINING, STATE_DISABLED, STATE_MAX,
};

enum check_kind { CHECK_NONE = 0, CHECK_TCP, CHECK_GREETING, CHECK_EHLO, CHECK_STARTTLS, CHECK_TLS,
		  CHECK_RCPT, CHECK_CANARY, CHECK_KIND_MAX };

/* How far a certificate must be good: not at all, by a trusted issuer and in date, and for a name. */
enum check_verify { VERIFY_NONE = 0, VERIFY_CHAIN, VERIFY_NAME, VERIFY_MAX };
/* The header that a mail server behind a proxy insists on: v1 with the check's own addresses, v2 LOCAL. */
enum check_proxy { PROXY_NONE = 0, PROXY_V1, PROXY_V2, PROXY_MAX };
/* The test string that a scanner must refuse, in a canary's second message. */
enum check_poison { POISON_NONE = 0, POISON_EICAR, POISON_GTUBE, POISON_MAX };

#define CHECK_NAME_LEN	256		/* a domain name, or a mail address */
#define CHECK_WORDS_LEN	128

struct check_conf {
	enum check_kind kind;
	__u32 interval_ms, timeout_ms;	/* 2000, 5000 */
	__u16 rise, fall;		/* 2, 3: consecutive results that change the verdict */
	__u16 port;			/* 0: the service's first port */
	__u16 cert_days;		/* 14: a certificate with fewer days left is warned of */
	__u8 panic;			/* 50: over so many percent down at once, the checks are not believed; 0: off */
	enum check_verify verify;
	enum check_proxy proxy;
	enum check_poison must_refuse;	/* of a canary */
	bool no_vip;			/* in dsr: do not look whether the server answers at the VIP, too */
	struct lb_addr source;		/* all zero: the kernel's choice */
	char ehlo[CHECK_NAME_LEN];	/* "": mailxdp-probe.<host name> */
	char keywords[CHECK_WORDS_LEN];	/* what EHLO must offer: "STARTTLS 8BITMIME" */
	char from[CHECK_NAME_LEN];	/* "": the null sender */
	char to[CHECK_NAME_LEN];	/* "": postmaster */
	char name[CHECK_NAME_LEN];	/* in the certificate, and asked for in the handshake */
};

/* Whom to ask on a mail server what it can take. */
struct agent_conf {
	__u16 port;			/* 0: nobody */
	__u32 interval_ms, timeout_ms;	/* 5000, 2000 */
	char send[CHECK_WORDS_LEN];	/* a line to begin with; "": none */
};

struct service {
	bool used;
	char name[POOL_NAME_LEN];
	enum lb_mode mode;
	enum lb_scheduler scheduler;
	enum lb_refuse refuse;
	char refuse_text[POOL_TEXT_LEN];	/* after "421 "; empty: a default */
	bool can_reply;			/* set by the responder: somebody listens */
	struct lb_addr vip[2];		/* [0] IPv4, [1] IPv6 */
	bool has_vip[2];
	__u16 vip_id[2];		/* given by the pool; stable while the service lives */
	__u16 ports[LB_MAX_PORTS];	/* host order, ascending */
	__u32 ports_n;
	struct check_conf check;
	struct agent_conf agent;
};

/* Admin, health and the agent's word are apart: none overwrites another, and all must agree before it gets flows. */
struct backend {
	bool used;
	char name[POOL_NAME_LEN];
	__u16 service;			/* index into pool->services */
	struct lb_addr address;
	__u32 weight;			/* 1..LB_MAX_WEIGHT, as configured; slow start is sync's affair */
	__u32 max_flows;		/* 0: no cap */
	enum backend_admin admin;
	enum backend_health health;
	__u64 changed_ns;		/* CLOCK_MONOTONIC of the last change of state */
	char reason[POOL_TEXT_LEN];	/* why: last check text, "by lbctl"; but see backend_reason() */
	struct agent_word agent;
	__u64 deadline_ns;		/* of a drain; 0: none */
};

#define POOL_MAX_SERVICES LB_MAX_VIPS

struct pool {
	struct service services[POOL_MAX_SERVICES];
	struct backend backends[LB_MAX_BACKENDS];	/* the index is the backend's id in every map; [0] unused */
};

/* Heap; NULL when out of memory. pool_free(NULL) is fine. */
struct pool *pool_new(void);
void pool_free(struct pool *pool);

/* What a user asks for; 0 or NULL members mean "default" (or, in pool_backend_set, "leave"). */
struct service_spec {
	const char *name;
	const char *vips[2];		/* text; one of a family at most */
	size_t vips_n;
	const char *ports[LB_MAX_PORTS];
	size_t ports_n;
	const char *mode, *scheduler, *refuse;
	const char *refuse_text;	/* printable ASCII, one line */
	const struct check_conf *check;
	const struct agent_conf *agent;
};

struct backend_spec {
	const char *name, *address;
	const char *service;		/* NULL: the only one there is */
	const char *weight, *max_conns;	/* text, parsed strictly: weight 1..65535, max_conns 0..4294967295 */
	enum backend_admin admin;
};

/* Checks everything: names ([A-Za-z0-9._-]{1,63}, no "-" first, not "." or "..": they are arguments and
 * parts of paths; not a duplicate), addresses (usable, not
 * served by another service on the same port, not a backend's), family of the backend against the
 * VIPs, ports 1..65535 without repeats, one nat service per backend address and port, limits
 * of the treaty. Returns the index (service >= 0, backend >= 1) or a -errno with *err set. */
int pool_service_add(struct pool *pool, const struct service_spec *spec, struct lb_error *err);
/* A new backend is HEALTH_DOWN, "not checked yet", until its first check says better; HEALTH_UP at
 * once where the service has no checks. */
int pool_backend_add(struct pool *pool, const struct backend_spec *spec, __u64 now_ns, struct lb_error *err);
/* Refused with LB_EXIT_CONFLICT while it has backends. */
int pool_service_remove(struct pool *pool, const char *name, struct lb_error *err);
/* weight, max_conns: NULL leaves as is; both NULL is a usage error. Returns the id. */
int pool_backend_set(struct pool *pool, const char *name, const char *weight, const char *max_conns,
		     struct lb_error *err);
/* drain, enable, disable, remove: sets admin. Returns the id. A removed backend answers "not found"
 * to everything, and its name is free; adding its address again to the same service, under this name
 * or another, revives it with its id and flows. */
int pool_backend_admin(struct pool *pool, const char *name, enum backend_admin admin, __u64 now_ns,
		       const char *reason, struct lb_error *err);
/* The last flow of a removed backend is gone: free its id. */
void pool_backend_forget(struct pool *pool, int id);
/* Returns true when the health changed: the maps must hear of it. The reason is kept only while the backend is
 * enabled (else it says who took it out). */
bool pool_backend_health(struct pool *pool, int id, enum backend_health health, __u64 now_ns,
			 const char *reason);

/* Its agent has answered. True when that changes anything but a reason: the maps must hear of it. */
bool pool_backend_agent(struct pool *pool, int id, const struct agent_report *report, __u64 now_ns);

int pool_service_find(const struct pool *pool, const char *name);	/* index or -ENOENT */
int pool_backend_find(const struct pool *pool, const char *name);	/* id or -ENOENT; removed ones are not found */
enum backend_state backend_state(const struct backend *be);
const char *backend_state_to_str(enum backend_state s);
bool backend_is_eligible(const struct backend *be);	/* gets new flows */
const char *backend_reason(const struct backend *be, char *buf, size_t len);	/* of its state; returns buf */
__u32 backend_max_flows(const struct backend *be);	/* the smaller of its own cap and its agent's; 0: none */
int backend_family(const struct backend *be);		/* 0 IPv4, 1 IPv6: index into vip[] */
const char *check_kind_to_str(enum check_kind k);	/* none, tcp, greeting, ehlo, starttls, tls, rcpt, canary */
int check_kind_from_str(const char *name);		/* or -EINVAL */
extern const struct check_conf check_conf_default;	/* tcp, 2 s, 5 s, rise 2, fall 3 */
extern const struct agent_conf agent_conf_default;	/* 5 s, 2 s; without a port */
const char *check_verify_to_str(enum check_verify v);	/* none, chain, name */
int check_verify_from_str(const char *name);		/* or -EINVAL */
const char *check_proxy_to_str(enum check_proxy p);	/* none, v1, v2 */
int check_proxy_from_str(const char *name);		/* or -EINVAL */
const char *check_poison_to_str(enum check_poison p);	/* none, eicar, gtube */
int check_poison_from_str(const char *name);		/* or -EINVAL */

/* Names of a service's eligible backends (with except_id: the others of its address family), "mailx1, mailx3"; "none" when there are none.
 * Truncates with ", ..." Returns buf. */
const char *pool_eligible_names(const struct pool *pool, int service, int except_id, char *buf, size_t len);

#endif
