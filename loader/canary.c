/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See canary.h. The test strings are harmless and public: EICAR's (eicar.org, "Anti-Malware Testfile"), which is the
 * content of a file of its own, so it goes as an attachment; and GTUBE (spamassassin.apache.org), which stands in a
 * body. Both are kept in halves: neither this file nor the program may look like what they are made to find.
 */
#include <assert.h>
#include <stdio.h>
#include "canary.h"

#define BOUNDARY	"=_mailxdp_canary"

static const struct poison {
	const char *name, *head, *halves[2], *tail;
} poisons[] = {
	[POISON_NONE] = {
		"nothing", "\r\nA balancer's health check: this message may be discarded.\r\n", { "", "" }, "",
	},
	[POISON_EICAR] = {
		"the EICAR test virus",
		"MIME-Version: 1.0\r\n"
		"Content-Type: multipart/mixed; boundary=\"" BOUNDARY "\"\r\n"
		"\r\n"
		"--" BOUNDARY "\r\n"
		"Content-Type: text/plain; charset=us-ascii\r\n"
		"\r\n"
		"A balancer's health check: the virus scanner must refuse this message.\r\n"
		"Its attachment is the harmless EICAR test file.\r\n"
		"--" BOUNDARY "\r\n"
		"Content-Type: text/plain; charset=us-ascii; name=\"eicar.com\"\r\n"
		"Content-Transfer-Encoding: 7bit\r\n"
		"Content-Disposition: attachment; filename=\"eicar.com\"\r\n"
		"\r\n",
		{ "X5O!P%@AP[4\\PZX54(P^)7CC)7}", "$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*" },
		"\r\n--" BOUNDARY "--\r\n",
	},
	[POISON_GTUBE] = {
		"the GTUBE test spam",
		"\r\n"
		"A balancer's health check: the spam filter must refuse this message.\r\n"
		"\r\n",
		{ "XJS*C4JDBQADN1.NSBN3*2IDNEN*", "GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X" },
		"\r\n",
	},
};
static_assert(sizeof(poisons) / sizeof(poisons[0]) == POISON_MAX, "a text for every test string");

const char *canary_poison_name(enum check_poison carried)
{
	return (unsigned int)carried < POISON_MAX ? poisons[carried].name : "?";
}

size_t canary_write(const struct check_conf *conf, enum check_poison carried, time_t now, __u64 serial,
		    char out[static CANARY_MAX])
{
	const struct poison *p = &poisons[(unsigned int)carried < POISON_MAX ? carried : POISON_NONE];
	char date[64];
	struct tm tm;
	int n;

	gmtime_r(&now, &tm);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S +0000", &tm);
	n = snprintf(out, CANARY_MAX,
		     "Date: %s\r\n"
		     "From: <%s%s>\r\n"
		     "To: <%s>\r\n"
		     "Subject: mailxdp canary%s%s\r\n"
		     "Message-ID: <canary.%llx.%llu.%d@%s>\r\n"
		     "Auto-Submitted: auto-generated\r\n"
		     "%s%s%s%s"
		     ".\r\n",
		     date, *conf->from ? conf->from : "mailxdp@", *conf->from ? "" : conf->ehlo, conf->to,
		     carried ? ": " : "", carried ? p->name : "", (unsigned long long)now, (unsigned long long)serial,
		     carried, conf->ehlo, p->head, p->halves[0], p->halves[1], p->tail);
	assert(n > 0 && n < CANARY_MAX);
	return n;
}
