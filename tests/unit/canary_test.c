// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The canary's messages: the plain one, and those whose test string a scanner looks for. The strings are held against
 * their published checksums, so that this file does not contain them either.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>
#include "../../loader/canary.h"

static struct check_conf conf_of(void)
{
	struct check_conf conf = check_conf_default;

	strcpy(conf.ehlo, "probe.example.net");
	strcpy(conf.to, "sink@example.com");
	return conf;
}

static void sha256_of(const char *text, size_t n, char hex[65])
{
	unsigned char sum[SHA256_DIGEST_LENGTH];

	SHA256((const unsigned char *)text, n, sum);
	for (size_t i = 0; i < sizeof(sum); i++)
		snprintf(hex + 2 * i, 3, "%02x", sum[i]);
}

/* The line that begins so; its length in n. */
static const char *line_of(const char *message, const char *begin, size_t *n)
{
	const char *at = strstr(message, begin);

	assert_non_null(at);
	assert_int_equal(at[-1], '\n');
	*n = strcspn(at, "\r");
	return at;
}

static void the_strings_are_the_published_ones(void **state)
{
	static const struct { enum check_poison which; const char *begin, *sha256; } strings[] = {
		{ POISON_EICAR, "X5O", "275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f" },
		{ POISON_GTUBE, "XJS", "4418994365912e23b756ec7f14960f1a89230e44e6acb74de055db7c092f8b9c" },
	};
	struct check_conf conf = conf_of();
	char message[CANARY_MAX], hex[65];
	const char *line;
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
		canary_write(&conf, strings[i].which, 1700000000, 7, message);
		line = line_of(message, strings[i].begin, &n);
		assert_int_equal(n, 68);
		sha256_of(line, n, hex);
		assert_string_equal(hex, strings[i].sha256);
	}
}

static void a_virus_is_a_file_of_its_own(void **state)
{
	struct check_conf conf = conf_of();
	char message[CANARY_MAX];

	(void)state;
	canary_write(&conf, POISON_EICAR, 1700000000, 7, message);
	/* nothing before it in its part: scanners look for it at a file's beginning */
	assert_non_null(strstr(message, "filename=\"eicar.com\"\r\n\r\nX5O"));
	assert_non_null(strstr(message, "H+H*\r\n--=_mailxdp_canary--\r\n.\r\n"));
}

static void the_plain_one_has_nothing_in_it(void **state)
{
	struct check_conf conf = conf_of();
	char message[CANARY_MAX];
	size_t n = canary_write(&conf, POISON_NONE, 1700000000, 7, message);

	(void)state;
	assert_int_equal(n, strlen(message));
	assert_string_equal(message,
			    "Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n"
			    "From: <mailxdp@probe.example.net>\r\n"
			    "To: <sink@example.com>\r\n"
			    "Subject: mailxdp canary\r\n"
			    "Message-ID: <canary.6553f100.7.0@probe.example.net>\r\n"
			    "Auto-Submitted: auto-generated\r\n"
			    "\r\n"
			    "A balancer's health check: this message may be discarded.\r\n"
			    ".\r\n");
}

/* One dot alone, at the end; CRLF everywhere; no line that a server might call too long. */
static void every_message_is_good_smtp(void **state)
{
	struct check_conf conf = conf_of();
	char message[CANARY_MAX];

	(void)state;
	memset(conf.ehlo, 'e', sizeof(conf.ehlo) - 1);
	memset(conf.from, 'f', sizeof(conf.from) - 1);
	memset(conf.to, 't', sizeof(conf.to) - 1);
	for (enum check_poison p = POISON_NONE; p < POISON_MAX; p++) {
		size_t n = canary_write(&conf, p, 1700000000, UINT64_MAX, message);
		int dots = 0;

		assert_true(n < CANARY_MAX && message[n] == '\0');
		for (size_t at = 0, len; at < n; at += len + 2) {
			len = strcspn(message + at, "\r\n");
			assert_memory_equal(message + at + len, "\r\n", 2);
			assert_true(len < 998);
			dots += message[at] == '.';
		}
		assert_int_equal(dots, 1);
		assert_string_equal(message + n - 5, "\r\n.\r\n");
		assert_string_not_equal(canary_poison_name(p), "?");
	}
	assert_string_equal(canary_poison_name(POISON_MAX), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_strings_are_the_published_ones),
		cmocka_unit_test(a_virus_is_a_file_of_its_own),
		cmocka_unit_test(the_plain_one_has_nothing_in_it),
		cmocka_unit_test(every_message_is_good_smtp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
