// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Replies whole, in pieces, and in ruins. Every text is fed in one piece, byte by byte, and in pieces of all sizes;
 * then random bytes and mutated replies, whose outcome must not depend on the pieces either.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../../loader/smtp_reply.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

static char lines[REPLY_MAX_BYTES * 2];
static int lines_n;

static void on_line(void *arg, const char *text)
{
	assert_ptr_equal(arg, lines);
	assert_true(strlen(text) < REPLY_LINE_KEPT);
	if (strlen(lines) + strlen(text) + 2 < sizeof(lines))
		strcat(strcat(lines, text), "|");
	lines_n++;
}

/* Feeds all in pieces; returns how much was used. */
static size_t feed(struct reply *r, const char *text, size_t n, size_t piece)
{
	size_t at = 0;

	*lines = '\0';
	lines_n = 0;
	reply_init(r, on_line, lines);
	while (at < n && r->state == REPLY_MORE) {
		size_t len = n - at < piece ? n - at : piece;
		/* Exactly as long as the piece: reading on is seen. */
		char *copy = malloc(len);

		memcpy(copy, text + at, len);
		at += reply_feed(r, copy, len);
		free(copy);
	}
	return at;
}

static const struct {
	const char *bytes;
	enum reply_state state;
	int code;
	size_t left;		/* bytes of the next reply */
	const char *text, *lines;
} replies[] = {
	{ "220 mx ESMTP\r\n", REPLY_DONE, 220, 0, "220 mx ESMTP", "mx ESMTP|" },
	{ "220-mx\r\n220-no spam\r\n220 ok\r\n", REPLY_DONE, 220, 0, "220-mx", "mx|no spam|ok|" },
	{ "220\r\n", REPLY_DONE, 220, 0, "220", "|" },
	{ "220 \r\n", REPLY_DONE, 220, 0, "220 ", "|" },
	{ "220-\r\n220\r\n", REPLY_DONE, 220, 0, "220-", "||" },
	{ "220 bare\n", REPLY_DONE, 220, 0, "220 bare", "bare|" },
	{ "250 a\r\n421 b\r\n", REPLY_DONE, 250, 7, "250 a", "a|" },
	{ "512 odd but legal\r\n", REPLY_DONE, 512, 0, "512 odd but legal", "odd but legal|" },
	{ "220 caf\xc3\xa9 \xff\x1b[31m\r\n", REPLY_DONE, 220, 0, "220 caf\xc3\xa9 ??[31m", "caf\xc3\xa9 ??[31m|" },
	{ "220 a\rb\r\n", REPLY_DONE, 220, 0, "220 a?b", "a?b|" },
	{ "220 mx", REPLY_MORE, 0, 0, "", "" },
	{ "22", REPLY_MORE, 0, 0, "", "" },
	{ "220-mx\r\n", REPLY_MORE, 220, 0, "220-mx", "mx|" },
	{ "\r\n", REPLY_JUNK, 0, 1, NULL, "" },
	{ "SSH-2.0\r\n", REPLY_JUNK, 0, 8, NULL, "" },
	{ "120 no\r\n", REPLY_JUNK, 0, 7, NULL, "" },
	{ "620 no\r\n", REPLY_JUNK, 0, 7, NULL, "" },
	{ "2a0 no\r\n", REPLY_JUNK, 0, 6, NULL, "" },
	{ "2200 no\r\n", REPLY_JUNK, 0, 5, NULL, "" },
	{ "220_no\r\n", REPLY_JUNK, 0, 4, NULL, "" },
	{ "22\r\n", REPLY_JUNK, 0, 1, NULL, "" },
	{ "22\n", REPLY_JUNK, 0, 0, NULL, "" },
	{ "220\rx\r\n", REPLY_JUNK, 0, 2, NULL, "" },
	{ "250-a\r\n550 b\r\n", REPLY_JUNK, 250, 0, "550 b", "a|" },
	{ "250-a\r\nSIZE\r\n", REPLY_JUNK, 250, 5, NULL, "a|" },
};

static void replies_are_read_in_any_pieces(void **state)
{
	struct reply r;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(replies); i++) {
		size_t n = strlen(replies[i].bytes);

		for (size_t piece = 1; piece <= n; piece++) {
			size_t used = feed(&r, replies[i].bytes, n, piece);

			if (r.state != replies[i].state || r.code != replies[i].code || used != n - replies[i].left ||
			    strcmp(lines, replies[i].lines) || (replies[i].text && strcmp(r.text, replies[i].text)))
				fail_msg("\"%s\" in pieces of %zu: state %d code %d used %zu text \"%s\" lines \"%s\"",
					 replies[i].bytes, piece, r.state, r.code, used, r.text, lines);
			assert_true((r.state == REPLY_JUNK) == (r.why != NULL));
		}
	}
}

static void junk_shows_what_came(void **state)
{
	struct reply r;

	(void)state;
	feed(&r, "SSH-2.0-OpenSSH\r\n", 17, 17);
	assert_string_equal(r.text, "SSH-2.0-OpenSSH");
	feed(&r, "2x\xff\r\n", 5, 5);
	assert_string_equal(r.text, "2x?");
}

static void nothing_is_endless(void **state)
{
	static char big[1 << 20];
	struct reply r;
	size_t n = 0;

	(void)state;
	memset(big, 'x', sizeof(big));
	memcpy(big, "220 ", 4);
	assert_int_equal(feed(&r, big, sizeof(big), sizeof(big)), REPLY_MAX_LINE + 1);
	assert_int_equal(r.state, REPLY_JUNK);
	assert_string_equal(r.why, "a line without end");
	memcpy(big + REPLY_MAX_LINE, "\r\n", 2);	/* with the CR a byte too many */
	feed(&r, big, sizeof(big), 100);
	assert_int_equal(r.state, REPLY_JUNK);
	memcpy(big + REPLY_MAX_LINE - 1, "\r\n", 2);
	feed(&r, big, sizeof(big), 100);
	assert_int_equal(r.state, REPLY_DONE);
	assert_int_equal(strlen(r.text), POOL_TEXT_LEN - 1);
	for (int i = 0; i < 300; i++)
		n += sprintf(big + n, "250-%d\r\n", i);
	feed(&r, big, n, n);
	assert_int_equal(r.state, REPLY_JUNK);
	assert_string_equal(r.why, "a reply without end");
	assert_string_equal(r.text, "250-0");
	assert_int_equal(lines_n, REPLY_MAX_LINES);
	n = 0;
	for (int i = 0; i < 100; i++)
		n += sprintf(big + n, "250-%01000d\r\n", i);
	feed(&r, big, n, 4096);
	assert_int_equal(r.state, REPLY_JUNK);
	assert_true(r.bytes <= REPLY_MAX_BYTES + 1);
	/* and just enough is enough */
	n = 0;
	for (int i = 0; i < REPLY_MAX_LINES - 1; i++)
		n += sprintf(big + n, "250-%d\r\n", i);
	n += sprintf(big + n, "250 end\r\n");
	assert_int_equal(feed(&r, big, n, 7), n);
	assert_int_equal(r.state, REPLY_DONE);
}

/* Slow and obvious: is it UTF-8 that a terminal may see? */
static bool is_clean(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	while (*p) {
		int more = *p < 0x80 ? 0 : *p >= 0xc2 && *p < 0xe0 ? 1 : (*p & 0xf0) == 0xe0 ? 2 : *p >= 0xf0 && *p < 0xf5 ? 3 : -1;

		if (more < 0 || *p < 0x20 || *p == 0x7f || (*p == 0xc2 && p[1] < 0xa0))
			return false;
		for (p++; more; more--, p++)
			if ((*p & 0xc0) != 0x80)
				return false;
	}
	return true;
}

static void cleaning_never_cuts_a_character(void **state)
{
	static const struct { const char *in; size_t size; const char *out; } cases[] = {
		{ "abc", 4, "abc" }, { "abc", 3, "ab" }, { "abc", 1, "" },
		{ "\xe2\x82\xac\xe2\x82\xac", 6, "\xe2\x82\xac" }, { "\xc0\xaf", 9, "??" }, { "\xed\xa0\x80", 9, "???" },
		{ "\xf4\x90\x80\x80", 9, "????" }, { "\xc2\x9b[1m", 9, "?[1m" }, { "a\xe2\x80\xae" "b", 9, "a?b" },
		{ "\xe2\x82", 9, "??" }, { "\xf0\x9f\x93\xa7", 5, "\xf0\x9f\x93\xa7" },
	};
	char out[16];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(reply_clean(out, cases[i].size, cases[i].in, strlen(cases[i].in)), strlen(cases[i].out));
		assert_string_equal(out, cases[i].out);
	}
	assert_int_equal(reply_clean(out, sizeof(out), "a\0b", 3), 3);
	assert_string_equal(out, "a?b");
}

static void ruins_are_the_same_in_any_pieces(void **state)
{
	static const char seedling[] = "250-mx.example.com\r\n250-SIZE 1000\r\n250-\xc3\xa9\xe2\x82\xac\r\n250 OK\r\n";
	char bytes[512];
	struct reply whole, pieces;

	(void)state;
	srand(4711);
	for (int round = 0; round < 60000; round++) {
		size_t n = sizeof(seedling) - 1, used;

		memcpy(bytes, seedling, n);
		for (int i = rand() % 4; i >= 0; i--) {
			size_t at = rand() % n;

			if (rand() % 3)
				bytes[at] = "\r\n- 2509\0\xff\xc3"[rand() % 11];
			else if (rand() % 2)
				bytes[at] = rand();
			else
				memmove(bytes + at, bytes + at + 1, --n - at);
		}
		if (round % 10 == 0)
			for (size_t i = rand() % n; i < n; i++)
				bytes[i] = rand();
		used = feed(&whole, bytes, n, n);
		assert_int_equal(feed(&pieces, bytes, n, 1 + rand() % 9), used);
		assert_int_equal(whole.state, pieces.state);
		assert_int_equal(whole.code, pieces.code);
		assert_int_equal(whole.lines, pieces.lines);
		assert_true(is_clean(whole.text) && is_clean(pieces.text) && is_clean(lines));
		if (whole.state == REPLY_DONE)
			assert_string_equal(whole.text, pieces.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replies_are_read_in_any_pieces),
		cmocka_unit_test(junk_shows_what_came),
		cmocka_unit_test(nothing_is_endless),
		cmocka_unit_test(cleaning_never_cuts_a_character),
		cmocka_unit_test(ruins_are_the_same_in_any_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
