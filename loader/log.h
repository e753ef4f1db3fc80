/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon's voice: one line per event, to the journal under systemd, else to
 * stderr. It knows nothing of what it reports.
 *
 * Messages: lower case, no full stop, noun first, the bad value in quotes, the
 * next step if there is one.
 */
#ifndef LB_LOG_H
#define LB_LOG_H

enum log_level { LOG_LEVEL_ERR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_set_level(enum log_level level);
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_err(...)	log_line(LOG_LEVEL_ERR, __VA_ARGS__)	/* someone must act */
#define log_warn(...)	log_line(LOG_LEVEL_WARN, __VA_ARGS__)	/* we coped */
#define log_info(...)	log_line(LOG_LEVEL_INFO, __VA_ARGS__)	/* a state changed */
#define log_debug(...)	log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)	/* the rest */

/* Log the message with strerror(-err) behind it, return err (a -errno). */
int log_ret(int err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
