/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes the metrics: one table of families for the backends, a few single ones beside it. It reads
 * reports and changes nothing; it knows no HTTP.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "api_names.h"
#include "metrics.h"
#include "verdict.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct backend_reports {
	struct backend_report *rows;
	size_t n;
};

static __u64 get_up(const struct backend_report *r)		{ return backend_is_eligible(r->be); }
static __u64 get_weight(const struct backend_report *r)		{ return r->weight_now; }
static __u64 get_conns(const struct backend_report *r)		{ return r->conns; }
static __u64 get_inflight(const struct backend_report *r)	{ return r->inflight; }
static __u64 get_sessions(const struct backend_report *r)	{ return r->sessions_total; }
static __u64 get_replies(const struct backend_report *r)	{ return r->replies_total; }
static __u64 get_bytes_in(const struct backend_report *r)	{ return r->bytes_in; }
static __u64 get_bytes_out(const struct backend_report *r)	{ return r->bytes_out; }
static __u64 get_refused(const struct backend_report *r)	{ return r->refused_total; }
static __u64 get_resets(const struct backend_report *r)		{ return r->resets_total; }
static __u64 get_at_risk(const struct backend_report *r)	{ return r->at_risk_total; }
static __u64 get_agent_up(const struct backend_report *r)	{ return r->agent.answered; }
static __u64 get_answers(const struct backend_report *r)	{ return r->agent.answers_total; }
static __u64 get_failures(const struct backend_report *r)	{ return r->agent.failures_total; }

static __u64 get_percent(const struct backend_report *r)
{
	return r->be->agent.has_weight ? r->be->agent.weight_percent : 100;
}

static const struct family {
	const char *name, *type, *help;
	__u64 (*get)(const struct backend_report *r);
} families[] = {
	{ "mailxdp_backend_up", "gauge",
	  "1 when the backend may get new sessions, else 0.", get_up },
	{ "mailxdp_backend_weight", "gauge", "Effective weight, slow start included.", get_weight },
	{ "mailxdp_backend_current_sessions", "gauge", "Open sessions.", get_conns },
	{ "mailxdp_backend_inflight", "gauge",
	  "Open sessions in which the mail server owes the next word.", get_inflight },
	{ "mailxdp_backend_sessions_total", "counter",
	  "Sessions that completed the TCP handshake.", get_sessions },
	{ "mailxdp_backend_replies_total", "counter", "Turns that ended in a reply.", get_replies },
	{ "mailxdp_backend_bytes_in_total", "counter",
	  "Bytes of IP packets from clients to the backend.", get_bytes_in },
	{ "mailxdp_backend_bytes_out_total", "counter",
	  "Bytes of IP packets from the backend to clients (nat only).", get_bytes_out },
	{ "mailxdp_backend_refused_total", "counter",
	  "New connections that found the backend at its cap.", get_refused },
	{ "mailxdp_backend_resets_total", "counter", "Sessions ended by the balancer.", get_resets },
	{ "mailxdp_backend_at_risk_total", "counter",
	  "Sessions that ended, by whomever, while a reply was owed: their mails may come twice.",
	  get_at_risk },
};

/* Of those backends that have one. */
static const struct family agent_families[] = {
	{ "mailxdp_backend_agent_up", "gauge", "1 when the backend's agent answered the last time, else 0.", get_agent_up },
	{ "mailxdp_backend_agent_weight_percent", "gauge",
	  "The part of its weight that the backend's agent asks for.", get_percent },
	{ "mailxdp_backend_agent_answers_total", "counter", "Answers of the backend's agent.", get_answers },
	{ "mailxdp_backend_agent_failures_total", "counter",
	  "Questions that the backend's agent did not answer, or not in words that are known.", get_failures },
};

static void write_head(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* The label's value in quotes, with the three escapes that the format knows. */
static void write_label(FILE *out, const char *name, const char *value)
{
	fprintf(out, "%s=\"", name);
	for (; *value; value++) {
		if (*value == '\n')
			fputs("\\n", out);
		else if (*value == '"' || *value == '\\')
			fprintf(out, "\\%c", *value);
		else
			fputc(*value, out);
	}
	fputc('"', out);
}

static int read_backends(struct control *ctl, struct backend_reports *out)
{
	struct backend_report *rows = NULL;
	size_t n = 0, room = 0;

	for (int id = 1; id < LB_MAX_BACKENDS; id++) {
		if (n == room) {
			size_t more = room ? 2 * room : 16;
			void *grown = reallocarray(rows, more, sizeof(*rows));

			if (!grown) {
				free(rows);
				return -ENOMEM;
			}
			rows = grown;
			room = more;
		}
		if (control_backend_report(ctl, id, &rows[n]))
			n++;
	}
	*out = (struct backend_reports){ .rows = rows, .n = n };
	return 0;
}

/* A family without samples is left out: a head alone says nothing. */
static void write_families(FILE *out, const struct backend_reports *reports, const struct family *table, size_t n,
			   bool of_agents)
{
	for (size_t f = 0; f < n; f++) {
		bool headed = false;

		for (size_t i = 0; i < reports->n; i++) {
			const struct backend_report *r = &reports->rows[i];

			if (of_agents && !r->asked)
				continue;
			if (!headed)
				write_head(out, table[f].name, table[f].type, table[f].help);
			headed = true;
			fprintf(out, "%s{", table[f].name);
			write_label(out, "service", r->svc->name);
			fputc(',', out);
			write_label(out, "backend", r->be->name);
			fprintf(out, "} %" PRIu64 "\n", (uint64_t)table[f].get(r));
		}
	}
}

static void write_interfaces(FILE *out, const struct status_report *st)
{
	if (st->interfaces_n == 0)
		return;
	write_head(out, "mailxdp_xdp_attached", "gauge",
		   "1 when the program is attached to the interface, else 0.");
	for (size_t i = 0; i < st->interfaces_n; i++) {
		const struct interface_report *itf = &st->interfaces[i];

		fputs("mailxdp_xdp_attached{", out);
		write_label(out, "interface", itf->name);
		fputc(',', out);
		write_label(out, "mode", !itf->attached ? "none" : itf->native ? "native" : "generic");
		fprintf(out, "} %d\n", itf->attached);
	}
}

static void write_checker(FILE *out, const struct checker_status *st)
{
	if (!st->wanted)
		return;
	write_head(out, "mailxdp_checker_up", "gauge",
		   "1 when the process that checks by SMTP and asks agents works, else 0: then states may be old.");
	fprintf(out, "mailxdp_checker_up %d\n", !st->fails);
}

static void write_status(FILE *out, const struct status_report *st)
{
	write_head(out, "mailxdp_build_info", "gauge", "Always 1; the version is in the label.");
	fputs("mailxdp_build_info{", out);
	write_label(out, "version", MAILXDP_VERSION);
	fputs("} 1\n", out);

	write_interfaces(out, st);
	write_checker(out, &st->checker);

	write_head(out, "mailxdp_flow_entries", "gauge",
		   "Entries in the flow table, those of ended sessions that linger included.");
	fprintf(out, "mailxdp_flow_entries %" PRIu64 "\n", (uint64_t)st->flow_entries);
	write_head(out, "mailxdp_flow_limit", "gauge", "Size of the flow table.");
	fprintf(out, "mailxdp_flow_limit %" PRIu64 "\n", (uint64_t)st->flow_limit);

	write_head(out, "mailxdp_verdicts_total", "counter", "Packets by how they ended.");
	for (int v = LB_NEXT + 1; v < LB_VERDICT_MAX; v++)
		fprintf(out, "mailxdp_verdicts_total{verdict=\"%s\"} %" PRIu64 "\n", verdict_to_str(v),
			(uint64_t)st->verdicts[v]);
}

int metrics_write(struct control *ctl, char **out, size_t *len)
{
	struct backend_reports reports = {};
	struct status_report st = {};
	char *text = NULL;
	size_t text_len = 0;
	FILE *file;
	int err;

	err = read_backends(ctl, &reports);
	if (err < 0)
		return err;
	file = open_memstream(&text, &text_len);
	if (!file) {
		err = -ENOMEM;
		goto out;
	}
	control_status(ctl, &st);
	write_status(file, &st);
	write_families(file, &reports, families, COUNT(families), false);
	write_families(file, &reports, agent_families, COUNT(agent_families), true);
	if (ferror(file))
		err = -ENOMEM;
	if (fclose(file) != 0)
		err = -ENOMEM;
	if (err < 0) {
		free(text);
		goto out;
	}
	*out = text;
	*len = text_len;
out:
	free(reports.rows);
	return err;
}
