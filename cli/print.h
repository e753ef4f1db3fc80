/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All that lbctl says: columns for people, JSON for programs, and words. Nothing else formats
 * output. What comes from the daemon is shown without control characters: some of it was written by
 * mail servers.
 */
#ifndef LBCTL_PRINT_H
#define LBCTL_PRINT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum print_color { PRINT_COLOR_AUTO = 0, PRINT_COLOR_ALWAYS, PRINT_COLOR_NEVER, PRINT_COLOR_MAX };
/* auto: a terminal on stdout that is not dumb, and NO_COLOR unset or empty. */
void print_set_color(enum print_color when);

/* Words. Each adds the newline. */
void print_done(const char *fmt, ...) __attribute__((format(printf, 1, 2)));	/* stdout: what changed */
void print_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));	/* stderr: progress, advice */
void print_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));	/* stderr: "lbctl: ..." */

void print_json(FILE *out, const json_t *doc);
void print_json_line(FILE *out, const json_t *doc);	/* one line: for streams of them */

/* Tables. A head that starts with '>' makes its column flush right. */
enum print_tint { PRINT_PLAIN = 0, PRINT_GREEN, PRINT_YELLOW, PRINT_RED };
struct print_table {
	const char *const *heads;
	size_t cols;
	struct print_cell { char *text; enum print_tint tint; } *cells;
	size_t n, room;
	bool failed;		/* out of memory: print_table_end says so */
};
/* Cells go in row by row. */
void print_cell(struct print_table *table, enum print_tint tint, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Writes the table and frees the cells. */
void print_table_end(struct print_table *table, FILE *out);

/* 12 -> "12s", 90 -> "1m30s", 7200 -> "2h00m", 200000 -> "2d07h". Returns buf. */
const char *print_seconds(int64_t s, char *buf, size_t len);
/* 340 -> "340ms", 16384 -> "16.4s", 131072 -> "2m11s"; below 0 -> "-". Returns buf. */
const char *print_ms(int64_t ms, char *buf, size_t len);

/* The daemon's documents (print_doc.c). */
void print_status(FILE *out, const json_t *doc);
void print_backends(FILE *out, const json_t *doc);
void print_services(FILE *out, const json_t *doc);
void print_flows(FILE *out, const json_t *doc);
void print_stats(FILE *out, const json_t *doc);
void print_events(const json_t *doc);	/* to stdout, a line each */
void print_versions(FILE *out, const json_t *doc);

#endif
