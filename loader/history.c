/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See history.h. Entry number seq lies at seq modulo the size: no more than that is to be kept in step. */
#include <stdio.h>
#include <string.h>

#include "history.h"

static struct history_entry *add(struct history *history, __u64 at_ms, const char *text)
{
	__u64 seq = history_next(history);
	struct history_entry *entry = &history->entries[seq % HISTORY_MAX];

	*entry = (struct history_entry) { .seq = seq, .at_ms = at_ms };
	snprintf(entry->text, sizeof(entry->text), "%s", text);
	history->count++;
	return entry;
}

void history_add_change(struct history *history, __u64 at_ms, const char *backend, const char *from, const char *to,
			const char *reason)
{
	struct history_entry *entry = add(history, at_ms, reason);

	snprintf(entry->backend, sizeof(entry->backend), "%s", backend);
	entry->from = from;
	entry->to = to;
}

void history_add_line(struct history *history, __u64 at_ms, const char *text)
{
	add(history, at_ms, text);
}

const struct history_entry *history_from(const struct history *history, __u64 seq)
{
	__u64 next = history_next(history), oldest = next > HISTORY_MAX ? next - HISTORY_MAX : 1;

	if (seq < oldest)
		seq = oldest;
	return seq < next ? &history->entries[seq % HISTORY_MAX] : NULL;
}

__u64 history_next(const struct history *history)
{
	return history->count + 1;
}
