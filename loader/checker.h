/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lbd's side of the checker process: starts it, watches it, starts it again, hands requests out and
 * answers back. The protocols are spoken on the other side of a socket pair, by a process that has no
 * privilege left, because it reads what strangers send. It knows nothing of backends and verdicts.
 */
#ifndef LB_CHECKER_H
#define LB_CHECKER_H

#include <sys/types.h>
#include "checker_wire.h"

struct checker;

/* The process starts with the first request. */
int checker_open(sd_event *event, struct checker **out);
/* Ends the process; requests in flight are forgotten without a word. NULL is fine. */
void checker_close(struct checker *checker);
/* One check. req->head is filled in here. done is called once, from the event loop and never from within this
 * call, unless the request is cancelled; the process's death, or its silence, is CHECK_INTERNAL. The answer's
 * text is clean. transcript: "" when none was asked for. done may call anything here. Returns the serial, > 0, or
 * -ENOMEM, -EAGAIN (it died, and is not yet started again), or why it cannot start. */
__s64 checker_ask(struct checker *checker, const struct checker_request *req,
		  void (*done)(void *arg, const struct checker_answer *answer, const char *transcript), void *arg);
void checker_cancel(struct checker *checker, __u64 serial);
pid_t checker_pid(const struct checker *checker);	/* 0: does not run */
/* All but "wanted". A process that is there proves nothing: it may be about to end as the one before did. */
void checker_status(const struct checker *checker, struct checker_status *out);

#endif
