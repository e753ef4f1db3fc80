/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kinds that speak SMTP: greeting, ehlo, starttls, tls, rcpt, canary. They differ in how far they go, which is the
 * checker process's affair; here requests go out to it and answers come back. No byte of a mail server is read
 * in this process.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "checker.h"

/* Fixed, so that an administrator can filter it out of a log; the domain stays out of it, it may change. */
static void default_ehlo(char *out, size_t size)
{
	char host[65] = "";

	if (gethostname(host, sizeof(host) - 1) == -1 || !*host)
		strcpy(host, "localhost");
	snprintf(out, size, "mailxdp-probe.%s", host);
}

static void on_answer(void *arg, const struct checker_answer *answer, const char *transcript)
{
	struct check_run *run = arg;

	check_run_facts(run, answer->code, answer->tls_days);
	if (check_run_wants_transcript(run))
		check_run_transcript(run, transcript);
	check_done(run, answer->result, answer->text);
}

static int check_start(struct check_run *run)
{
	const struct check_target *what = check_run_target(run);
	struct checker_request req = {
		.address = what->address, .port = what->port, .conf = what->conf,
		.transcript = check_run_wants_transcript(run), .connect_ms = check_run_connect_ms(run),
	};
	struct checker *checker = NULL;
	__s64 serial;
	int err;

	if (!*req.conf.ehlo)
		default_ehlo(req.conf.ehlo, sizeof(req.conf.ehlo));
	if (!*req.conf.to && req.conf.kind == CHECK_CANARY) {
		check_done(run, CHECK_INTERNAL, "a canary needs an address to go to: see \"to\" in mailxdp.yaml(5)");
		return 0;
	}
	if (!*req.conf.to)	/* the one address that every mail server takes: RFC 5321, 4.5.1 */
		strcpy(req.conf.to, "postmaster");
	err = check_run_checker(run, &checker);
	if (err)
		return err;
	serial = checker_ask(checker, &req, on_answer, run);
	if (serial == -EAGAIN) {
		check_done(run, CHECK_INTERNAL, "the checker process is being started again");
		return 0;
	}
	if (serial < 0)
		return serial;
	check_run_set_data(run, (void *)(uintptr_t)serial);
	return 0;
}

static void check_cancel(struct check_run *run)
{
	struct checker *checker = NULL;

	if (!check_run_checker(run, &checker))
		checker_cancel(checker, (uintptr_t)check_run_data(run));
}

const struct check_kind_ops check_smtp_ops = {
	.name = "smtp",
	.start = check_start,
	.cancel = check_cancel,
	.keeps_deadline = true,
};
