/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See smtp_reply.h. Whatever cannot become a reply any more is called junk at the first byte that shows it: a
 * server that speaks another protocol, and then waits for us, must not cost the whole time-out.
 */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include "smtp_reply.h"

void reply_init(struct reply *r, void (*on_line)(void *arg, const char *text), void *arg)
{
	memset(r, 0, sizeof(*r));
	r->on_line = on_line;
	r->arg = arg;
}

/* One character of UTF-8 (RFC 3629, 4); returns its length, 0 when it is none. */
static size_t utf8_decode(const unsigned char *p, size_t n, uint32_t *out)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len = p[0] < 0x80 ? 1 : (p[0] & 0xe0) == 0xc0 ? 2 : (p[0] & 0xf0) == 0xe0 ? 3 :
		     (p[0] & 0xf8) == 0xf0 ? 4 : 0;
	uint32_t c;

	if (!len || len > n)
		return 0;
	c = len == 1 ? p[0] : p[0] & (0xff >> (len + 1));
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*out = c;
	return len;
}

/* Controls of both kinds, line separators, and what turns the direction of writing around. */
static bool is_printable(uint32_t c)
{
	return c >= 0x20 && !(c >= 0x7f && c < 0xa0) && !(c >= 0x200b && c <= 0x200f) && !(c >= 0x2028 && c <= 0x202e) &&
	       !(c >= 0x2060 && c <= 0x2069) && c != 0xfeff && (c & 0xfffe) != 0xfffe;
}

size_t reply_clean(char *out, size_t size, const char *bytes, size_t n)
{
	const unsigned char *p = (const unsigned char *)bytes;
	size_t at = 0;

	for (size_t i = 0; i < n;) {
		uint32_t c = 0;
		size_t len = utf8_decode(p + i, n - i, &c);
		bool good = len && is_printable(c);

		if (at + (good ? len : 1) >= size)
			break;
		if (good)
			memcpy(out + at, p + i, len);
		else
			out[at] = '?';
		at += good ? len : 1;
		i += len ? len : 1;
	}
	out[at] = '\0';
	return at;
}

/* more: what has arrived behind the part of the line that is kept. */
static void junk(struct reply *r, const char *why, const char *more, size_t more_n)
{
	char seen[REPLY_LINE_KEPT];
	size_t n = r->line_len < sizeof(r->line) ? r->line_len : sizeof(r->line);
	const char *end = memchr(more, '\n', more_n);

	if (end)
		more_n = end - more;
	if (more_n > sizeof(seen) - n)
		more_n = sizeof(seen) - n;
	memcpy(seen, r->line, n);
	memcpy(seen + n, more, more_n);
	n += more_n;
	while (n && (seen[n - 1] == '\r' || seen[n - 1] == ' '))
		n--;
	if (n)	/* else the first line is all there is to show */
		reply_clean(r->text, sizeof(r->text), seen, n);
	r->why = why;
	r->state = REPLY_JUNK;
}

/* May c be the line's character number i, from 0? The code is %x32-35 %x30-39 %x30-39; a server that has nothing
 * to say may end the line behind it. */
static bool fits(size_t i, unsigned char c)
{
	if (i == 0)
		return c >= '2' && c <= '5';
	if (i < 3)
		return c >= '0' && c <= '9';
	return i > 3 || c == ' ' || c == '-' || c == '\r';
}

static void end_line(struct reply *r)
{
	size_t n = r->line_len < sizeof(r->line) ? r->line_len : sizeof(r->line);
	char text[REPLY_LINE_KEPT];
	int code;
	bool more;

	if (n == r->line_len && n && r->line[n - 1] == '\r')	/* a bare LF ends a line too */
		n--;
	if (n < 3) {
		junk(r, "a line without a code", "", 0);
		return;
	}
	code = (r->line[0] - '0') * 100 + (r->line[1] - '0') * 10 + r->line[2] - '0';
	if (r->lines && code != r->code) {	/* 4.2.1: the code of every line must be the same */
		junk(r, "the code changes within a reply", "", 0);
		return;
	}
	more = n > 3 && r->line[3] == '-';
	if (!r->lines++)
		reply_clean(r->text, sizeof(r->text), r->line, n);
	r->code = code;
	if (r->on_line) {
		reply_clean(text, sizeof(text), r->line + (n > 3 ? 4 : 3), n - (n > 3 ? 4 : 3));
		r->on_line(r->arg, text);
	}
	r->line_len = 0;
	if (!more)
		r->state = REPLY_DONE;
	else if (r->lines == REPLY_MAX_LINES)
		junk(r, "a reply without end", "", 0);
}

size_t reply_feed(struct reply *r, const char *bytes, size_t n)
{
	size_t i;

	for (i = 0; i < n && r->state == REPLY_MORE; i++) {
		unsigned char c = bytes[i];

		if (++r->bytes > REPLY_MAX_BYTES) {
			junk(r, "a reply without end", bytes + i, n - i);
		} else if (c == '\n') {
			end_line(r);
		} else if (!fits(r->line_len, c) || (r->line_len == 4 && r->line[3] == '\r')) {
			junk(r, "not a reply", bytes + i, n - i);
		} else if (r->line_len == REPLY_MAX_LINE) {
			junk(r, "a line without end", bytes + i, n - i);
		} else {
			if (r->line_len < sizeof(r->line))
				r->line[r->line_len] = c;
			r->line_len++;
		}
	}
	return i;
}
