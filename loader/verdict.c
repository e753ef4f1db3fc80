/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The dictionary: every enum of the treaty and its words. One table per enum and nothing
 * else; a missing word does not compile. It must not know who reads or prints them.
 */
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include "verdict.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct word {
	const char *name, *meaning;
};

static const struct word verdicts[] = {
	[LB_NEXT] = { "next", "Not an outcome: the packet goes on to the next stage; always 0." },
	[LB_PASS_NOT_IP] = { "pass_not_ip", "Neither IPv4 nor IPv6, such as ARP: left to the host, normal." },
	[LB_PASS_NOT_TCP] = { "pass_not_tcp", "Neither TCP nor an ICMP error, such as UDP: left to the host, normal." },
	[LB_PASS_NOT_OURS] = { "pass_not_ours",
			       "TCP to or from somebody else, such as ssh or a health check: left to the host, normal." },
	[LB_PASS_MALFORMED] = { "pass_malformed",
				"Headers that cannot be read, so nobody knows whose it is: left to the host, which "
				"will drop it; a few are normal." },
	[LB_PASS_NO_FLOW] = { "pass_no_flow",
			      "From a backend but of no session of ours, such as its own outgoing mail: left to the "
			      "host, normal." },
	[LB_PASS_FRAGMENT] = { "pass_fragment",
			       "A later fragment whose first one was not seen: left to the host; a few are normal, "
			       "many mean that a path breaks packets up." },
	[LB_PASS_ICMP] = { "pass_icmp", "An ICMP message about no session of ours: left to the host, normal." },
	[LB_PASS_REFUSED] = { "pass_refused",
			      "A connection that no backend may take, handed to the local responder for a 421: not "
			      "normal, backends are down or full." },
	[LB_TX_SYN] = { "tx_syn", "A new connection, sent to the backend chosen for it: normal." },
	[LB_TX_REQUEST] = { "tx_request", "A packet of a known session, sent to its backend: normal." },
	[LB_TX_REPLY] = { "tx_reply", "A backend's packet, sent back to the client from the VIP: normal, nat only." },
	[LB_TX_ICMP] = { "tx_icmp", "An ICMP error about a session, translated and sent on: normal, path MTU needs it." },
	[LB_TX_FRAGMENT] = { "tx_fragment", "A later fragment, sent after its first: works, but slow; rare is normal." },
	[LB_RESET_NO_BACKEND] = { "reset_no_backend",
				  "A connection refused by RST because no backend is eligible: not normal, look at "
				  "\"lbctl list\"." },
	[LB_RESET_AT_CAP] = { "reset_at_cap",
			      "A connection refused by RST because every eligible backend is at its max-conns: not "
			      "normal, add backends or raise the caps." },
	[LB_RESET_TABLE_FULL] = { "reset_table_full",
				  "A connection refused by RST because the flow table is full: not normal, raise "
				  "\"flows\"." },
	[LB_RESET_NO_FLOW] = { "reset_no_flow",
			       "A packet of a session that is not known (any more), answered by RST so that the client "
			       "retries now: a few are normal, many after a restart or with too short an idle time." },
	[LB_RESET_ENDED] = { "reset_ended",
			     "A packet of a session that was ended on purpose, answered by RST: normal in a drain or "
			     "after the death of a backend." },
	[LB_DROP_TRUNCATED] = { "drop_truncated",
				"A packet for a VIP, shorter than its headers claim: a few are normal on the Internet." },
	[LB_DROP_BAD_TCP] = { "drop_bad_tcp",
			      "A packet for a VIP with impossible TCP flags or offsets: scanners send them, normal." },
	[LB_DROP_TTL] = { "drop_ttl", "A packet whose TTL ran out here: not normal, look for a routing loop." },
	[LB_DROP_NO_BACKEND] = { "drop_no_backend",
				 "A connection dropped in silence, as the service's \"refuse\" asks, because no backend "
				 "may take it: not normal, look at \"lbctl list\"." },
	[LB_DROP_NO_NEXTHOP] = { "drop_no_nexthop",
				 "A packet for a backend whose MAC address is not known: not normal for more than a "
				 "second, look at routes and neighbours." },
	[LB_DROP_HALF_OPEN] = { "drop_half_open",
				"A packet that does not fit the handshake it claims to finish: normal in a SYN flood." },
	[LB_DROP_NO_FLOW] = { "drop_no_flow",
			      "A packet of no known session that must not be answered, such as a RST: normal." },
	[LB_DROP_NO_SLOW_PATH] = { "drop_no_slow_path",
				   "A packet whose program was not in the array of slow paths: never normal, start lbd again "
				   "and report it." },
};
static_assert(COUNT(verdicts) == LB_VERDICT_MAX, "a verdict without words");

static const char *const modes[] = { [LB_MODE_NAT] = "nat", [LB_MODE_DSR] = "dsr" };
static_assert(COUNT(modes) == LB_MODE_MAX, "a mode without a name");

static const char *const schedulers[] = {
	[LB_SCHED_LEAST_INFLIGHT] = "least-inflight", [LB_SCHED_LEAST_CONN] = "least-conn",
	[LB_SCHED_MAGLEV] = "maglev", [LB_SCHED_ROUND_ROBIN] = "round-robin", [LB_SCHED_RANDOM] = "random",
};
static_assert(COUNT(schedulers) == LB_SCHED_MAX, "a scheduler without a name");

static const char *const refusals[] = {
	[LB_REFUSE_RESET] = "reset", [LB_REFUSE_DROP] = "drop", [LB_REFUSE_REPLY] = "reply",
};
static_assert(COUNT(refusals) == LB_REFUSE_MAX, "a refusal without a name");

static const char *const flow_states[] = {
	[LB_FLOW_HALF_OPEN] = "half-open", [LB_FLOW_SERVER] = "server", [LB_FLOW_CLIENT] = "client",
	[LB_FLOW_CLOSING] = "closing", [LB_FLOW_ABORTED] = "aborted", [LB_FLOW_RESET] = "reset",
};
static_assert(COUNT(flow_states) == LB_FLOW_STATE_MAX, "a flow state without a name");

/* Values come out of maps, so anything can come. */
static const char *name_of(const char *const *names, size_t n, unsigned int value)
{
	return value < n ? names[value] : "?";
}

static int value_of(const char *const *names, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(names[i], name))
			return i;
	return -EINVAL;
}

const char *verdict_to_str(enum lb_verdict v)
{
	return (unsigned int)v < LB_VERDICT_MAX ? verdicts[v].name : "?";
}

const char *verdict_meaning(enum lb_verdict v)
{
	return (unsigned int)v < LB_VERDICT_MAX ? verdicts[v].meaning : "A verdict that this program does not know.";
}

int verdict_from_str(const char *name)
{
	for (int v = 0; v < LB_VERDICT_MAX; v++)
		if (!strcmp(verdicts[v].name, name))
			return v;
	return -ENOENT;
}

const char *mode_to_str(enum lb_mode m)
{
	return name_of(modes, COUNT(modes), m);
}

int mode_from_str(const char *name)
{
	return value_of(modes, COUNT(modes), name);
}

const char *scheduler_to_str(enum lb_scheduler s)
{
	return name_of(schedulers, COUNT(schedulers), s);
}

int scheduler_from_str(const char *name)
{
	return value_of(schedulers, COUNT(schedulers), name);
}

const char *refuse_to_str(enum lb_refuse r)
{
	return name_of(refusals, COUNT(refusals), r);
}

int refuse_from_str(const char *name)
{
	return value_of(refusals, COUNT(refusals), name);
}

const char *flow_state_to_str(enum lb_flow_state s)
{
	return name_of(flow_states, COUNT(flow_states), s);
}
