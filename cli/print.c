/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Words, JSON and the table: the ways in which lbctl speaks. It does not know what it prints; the
 * documents are in print_doc.c.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "print.h"

static bool colored;

void print_set_color(enum print_color when)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	colored = when == PRINT_COLOR_ALWAYS ||
		  (when == PRINT_COLOR_AUTO && isatty(STDOUT_FILENO) && !(no_color && *no_color) &&
		   term && strcmp(term, "dumb") != 0);
}

/* A banner must not move the cursor or change the title of the reader's terminal. Bytes from 0x80 on
 * go too: they hold the C1 controls, and tables count one column for a byte. */
static void make_harmless(char *text)
{
	for (unsigned char *c = (unsigned char *)text; *c; c++)
		if (*c < 0x20 || *c >= 0x7f)
			*c = '?';
}

static void say(FILE *out, const char *before, const char *fmt, va_list args)
{
	char *text = NULL;

	if (vasprintf(&text, fmt, args) == -1) {
		fputs("lbctl: out of memory\n", stderr);
		return;
	}
	make_harmless(text);
	fprintf(out, "%s%s\n", before, text);
	free(text);
}

void print_done(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(stdout, "", fmt, args);
	va_end(args);
	fflush(stdout);
}

void print_note(const char *fmt, ...)
{
	va_list args;

	fflush(stdout);
	va_start(args, fmt);
	say(stderr, "", fmt, args);
	va_end(args);
}

void print_fail(const char *fmt, ...)
{
	va_list args;

	fflush(stdout);
	va_start(args, fmt);
	say(stderr, "lbctl: ", fmt, args);
	va_end(args);
}

void print_json(FILE *out, const json_t *doc)
{
	json_dumpf(doc, out, JSON_INDENT(2));
	fputc('\n', out);
	fflush(out);
}

void print_json_line(FILE *out, const json_t *doc)
{
	json_dumpf(doc, out, JSON_COMPACT);
	fputc('\n', out);
	fflush(out);
}

void print_cell(struct print_table *table, enum print_tint tint, const char *fmt, ...)
{
	char *text = NULL;
	va_list args;

	if (table->n == table->room) {
		size_t room = table->room ? 2 * table->room : 8 * table->cols;
		void *grown = reallocarray(table->cells, room, sizeof(*table->cells));

		if (!grown) {
			table->failed = true;
			return;
		}
		table->cells = grown;
		table->room = room;
	}
	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) == -1)
		table->failed = true;
	else
		table->cells[table->n++] = (struct print_cell){ .text = text, .tint = tint };
	va_end(args);
	if (!table->failed)
		make_harmless(text);
}

static const char *head_text(const struct print_table *table, size_t col)
{
	return table->heads[col] + (*table->heads[col] == '>');
}

/* The last column is not filled up: no trailing blanks. */
static void put_cell(const struct print_table *table, size_t col, size_t width, const char *text,
		     enum print_tint tint, FILE *out)
{
	static const char *const tints[] = { "", "\033[32m", "\033[33m", "\033[31m" };
	int fill = width - strlen(text);
	bool last = col == table->cols - 1, right = *table->heads[col] == '>';

	if (col)
		fputs("  ", out);
	if (right)
		fprintf(out, "%*s", fill, "");
	if (tint != PRINT_PLAIN && colored)
		fprintf(out, "%s%s\033[0m", tints[tint], text);
	else
		fputs(text, out);
	if (!right && !last)
		fprintf(out, "%*s", fill, "");
	if (last)
		fputc('\n', out);
}

static void put_table(const struct print_table *table, FILE *out)
{
	size_t widths[32];

	for (size_t col = 0; col < table->cols; col++) {
		widths[col] = strlen(head_text(table, col));
		for (size_t i = col; i < table->n; i += table->cols)
			if (strlen(table->cells[i].text) > widths[col])
				widths[col] = strlen(table->cells[i].text);
	}
	for (size_t col = 0; col < table->cols; col++)
		put_cell(table, col, widths[col], head_text(table, col), PRINT_PLAIN, out);
	for (size_t i = 0; i < table->n; i++)
		put_cell(table, i % table->cols, widths[i % table->cols], table->cells[i].text,
			 table->cells[i].tint, out);
}

void print_table_end(struct print_table *table, FILE *out)
{
	if (table->failed)
		print_fail("out of memory");
	else
		put_table(table, out);
	for (size_t i = 0; i < table->n; i++)
		free(table->cells[i].text);
	free(table->cells);
	table->cells = NULL;
	table->n = table->room = 0;
}

const char *print_seconds(int64_t s, char *buf, size_t len)
{
	long long n = s;

	if (n < 60)
		snprintf(buf, len, "%llds", n);
	else if (n < 3600)
		snprintf(buf, len, "%lldm%02llds", n / 60, n % 60);
	else if (n < 86400)
		snprintf(buf, len, "%lldh%02lldm", n / 3600, n / 60 % 60);
	else
		snprintf(buf, len, "%lldd%02lldh", n / 86400, n / 3600 % 24);
	return buf;
}

const char *print_ms(int64_t ms, char *buf, size_t len)
{
	if (ms < 0)
		snprintf(buf, len, "-");
	else if (ms < 1000)
		snprintf(buf, len, "%lldms", (long long)ms);
	else if (ms < 60000)
		snprintf(buf, len, "%.1fs", ms / 1000.0);
	else
		print_seconds(ms / 1000, buf, len);
	return buf;
}
