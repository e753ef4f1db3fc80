// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The check engine with its tcp kind, against sockets on 127.0.0.1 at ports that the kernel chooses, and the
 * counting of rise and fall by itself, without a clock. No privileges. Waiting is always for something to
 * happen, with a generous deadline.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include "../../loader/addr.h"
#include "../../loader/check.h"
#include "descriptors.h"
#include "event_loop.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

struct seen {
	struct checks *checks;
	int verdicts, id;
	enum backend_health health;
	char reason[POOL_TEXT_LEN];
	int remove_id;		/* in the verdict */
	bool close;
};

static void on_verdict(void *arg, int id, enum backend_health health, const char *reason)
{
	struct seen *seen = arg;

	seen->verdicts++;
	seen->id = id;
	seen->health = health;
	if (seen->remove_id)
		checks_remove(seen->checks, seen->remove_id);
	if (seen->close) {
		checks_close(seen->checks);
		seen->checks = NULL;
	}
	/* The text outlives the target. */
	strncpy(seen->reason, reason, sizeof(seen->reason) - 1);
}

static struct check_target target_at(__u16 port)
{
	struct check_target t = {
		.port = port,
		.conf = { .kind = CHECK_TCP, .interval_ms = 20, .timeout_ms = 5000, .rise = 2, .fall = 3 },
	};

	assert_int_equal(addr_parse("127.0.0.1", &t.address), 0);
	return t;
}

/* Sockets only: sd-event opens its own descriptors when it first needs them. */
static int open_sockets(void)
{
	return open_descriptors("socket:");
}

static int setup(void **state)
{
	static struct seen seen;

	memset(&seen, 0, sizeof(seen));
	if (sd_event_new(&event) < 0 || checks_open(event, on_verdict, &seen, &seen.checks))
		return -1;
	*state = &seen;
	return 0;
}

static int teardown(void **state)
{
	struct seen *seen = *state;

	checks_close(seen->checks);
	event = sd_event_unref(event);
	return 0;
}

/* --- counting -------------------------------------------------------------------------- */

/* results: one letter each, o ok, b busy, f refused, t time-out, u unscanned, i internal. verdicts: what each
 * leads to, U, B, D, or . for none. */
struct tally_case {
	const char *name;
	enum backend_health health;
	bool fresh;
	__u16 rise, fall;
	const char *results, *verdicts;
};

static const struct tally_case tally_cases[] = {
	{ "a fresh target: the first result decides", HEALTH_DOWN, true, 2, 3, "oooo", "U..." },
	{ "a fresh target that fails is down at once", HEALTH_DOWN, true, 2, 3, "ffff", "D..." },
	{ "our own trouble is no first result", HEALTH_DOWN, true, 2, 3, "iio", "..U" },
	{ "fall counts", HEALTH_UP, false, 2, 3, "fffff", "..D.." },
	{ "rise counts", HEALTH_DOWN, false, 2, 3, "oooo", ".U.." },
	{ "a good result starts the fall anew", HEALTH_UP, false, 2, 3, "ffoffof", "......." },
	{ "a bad result starts the rise anew", HEALTH_DOWN, false, 2, 3, "ofofoo", ".....U" },
	{ "our own trouble neither counts nor forgives", HEALTH_UP, false, 2, 3, "fififi", "....D." },
	{ "busy takes fall results", HEALTH_UP, false, 2, 3, "bbbb", "..B." },
	{ "a mixed fall goes as far as all agree", HEALTH_UP, false, 2, 3, "ffbfff", "..B..D" },
	{ "busy to down", HEALTH_BUSY, false, 2, 3, "ftf", "..D" },
	{ "busy to up", HEALTH_BUSY, false, 2, 3, "oo", ".U" },
	{ "a mixed rise goes as far as all agree", HEALTH_DOWN, false, 2, 3, "oboo", ".B.U" },
	{ "down to busy", HEALTH_DOWN, false, 2, 3, "bb", ".B" },
	{ "dead and failing stays dead", HEALTH_DEAD, false, 2, 3, "ffff", "...." },
	{ "dead rises", HEALTH_DEAD, false, 2, 3, "foo", "..U" },
	{ "rise and fall of 1", HEALTH_UP, false, 1, 1, "fof", "DUD" },
	{ "rise and fall of 0 are 1", HEALTH_UP, false, 0, 0, "fof", "DUD" },
	{ "mail that is not scanned is down at once, and said again", HEALTH_UP, false, 2, 3, "ouuoo", ".DD.U" },
	{ "the same for one that is busy", HEALTH_BUSY, false, 2, 3, "u", "D" },
	{ "and in the middle of a mixed fall", HEALTH_UP, false, 2, 3, "bu", ".D" },
	{ "what is down for other reasons is told apart", HEALTH_DOWN, false, 2, 3, "fu", ".D" },
	{ "dead stays dead", HEALTH_DEAD, false, 2, 3, "uu", ".." },
	{ "busy does not prove that mail is scanned again", HEALTH_UP, false, 1, 3, "ubbfbbobbb", "D.....U..B" },
};

static enum check_result result_of(char letter)
{
	switch (letter) {
	case 'o': return CHECK_OK;
	case 'b': return CHECK_BUSY;
	case 'f': return CHECK_REFUSED;
	case 't': return CHECK_TIMEOUT;
	case 'u': return CHECK_UNSCANNED;
	}
	return CHECK_INTERNAL;
}

static void rise_and_fall_are_counted(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tally_cases); i++) {
		const struct tally_case *c = &tally_cases[i];
		struct check_tally tally = { .health = c->health, .fresh = c->fresh };
		char got[32] = "";

		for (size_t j = 0; c->results[j]; j++)
			got[j] = check_tally_add(&tally, result_of(c->results[j]), c->rise, c->fall, 1) ?
				 "UBD!"[tally.health] : '.';
		if (strcmp(got, c->verdicts))
			fail_msg("%s: \"%s\" gives \"%s\", not \"%s\"", c->name, c->results, got, c->verdicts);
	}
}

static void every_result_but_internal_is_a_health(void **state)
{
	(void)state;
	for (int r = 0; r < CHECK_RESULT_MAX; r++) {
		struct check_tally tally = { .health = HEALTH_DEAD, .fresh = true };

		assert_string_not_equal(check_result_to_str(r), "?");
		assert_int_equal(check_tally_add(&tally, r, 1, 1, 1), r != CHECK_INTERNAL);
		if (r != CHECK_INTERNAL)
			assert_int_equal(tally.health, r == CHECK_OK ? HEALTH_UP :
					 r == CHECK_BUSY ? HEALTH_BUSY : HEALTH_DOWN);
	}
	assert_string_equal(check_result_to_str(CHECK_RESULT_MAX), "?");
}

/* --- the engine and tcp ------------------------------------------------------------------- */

static void a_fresh_target_that_listens_is_up_at_once(void **state)
{
	struct seen *seen = *state;
	struct check_target t;
	struct check_status status;
	__u16 port;
	int fd = loopback_listener(&port, 16);

	t = target_at(port);
	t.conf.rise = 5;
	t.conf.interval_ms = 3600000;
	assert_false(checks_status(seen->checks, 1, &status));
	assert_int_equal(checks_set(seen->checks, 1, &t, HEALTH_DOWN, true), 0);
	assert_true(checks_status(seen->checks, 1, &status));
	assert_int_equal(status.at_ns, 0);
	RUN_UNTIL(seen->verdicts);
	assert_int_equal(seen->id, 1);
	assert_int_equal(seen->health, HEALTH_UP);
	assert_string_equal(seen->reason, "tcp: connected");
	assert_true(checks_status(seen->checks, 1, &status));
	assert_int_equal(status.last, CHECK_OK);
	assert_true(status.at_ns > 0);
	close(fd);
}

static void a_fresh_target_that_refuses_is_down_at_once(void **state)
{
	struct seen *seen = *state;
	struct check_status status;
	struct check_target t;
	__u16 port;
	int fd = loopback_listener(&port, -1);

	t = target_at(port);
	t.conf.fall = 5;
	assert_int_equal(checks_set(seen->checks, 4095, &t, HEALTH_DOWN, true), 0);
	RUN_UNTIL(seen->verdicts);
	assert_int_equal(seen->id, 4095);
	assert_int_equal(seen->health, HEALTH_DOWN);
	assert_string_equal(seen->reason, "tcp: connection refused");
	assert_true(checks_status(seen->checks, 4095, &status));
	assert_int_equal(status.last, CHECK_REFUSED);
	close(fd);
}

/* A listener whose queue is full answers no SYN: silence, without any privilege. */
static int silent_listener(__u16 *port, int *filler)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = loopback_listener(port, 0);

	*filler = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	sa.sin_port = htons(*port);
	assert_int_equal(connect(*filler, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static void silence_is_down_after_the_timeout(void **state)
{
	struct seen *seen = *state;
	struct check_status status;
	struct check_target t;
	__u64 start = now_ms();
	__u16 port;
	int filler, fd = silent_listener(&port, &filler);

	t = target_at(port);
	t.conf.timeout_ms = 250;
	assert_int_equal(checks_set(seen->checks, 7, &t, HEALTH_DOWN, true), 0);
	RUN_UNTIL(seen->verdicts);
	assert_true(now_ms() - start >= 249);
	assert_int_equal(seen->health, HEALTH_DOWN);
	assert_string_equal(seen->reason, "tcp: no answer in 250ms");
	assert_true(checks_status(seen->checks, 7, &status));
	assert_int_equal(status.last, CHECK_TIMEOUT);
	assert_true(status.duration_us >= 249000);
	close(filler);
	close(fd);
}

static void an_address_without_a_route_is_down(void **state)
{
	struct seen *seen = *state;
	struct check_target t = target_at(25);

	/* Class E: connect() fails at once, within start(). */
	memset(t.address.bytes + 12, 0xff, 4);
	assert_int_equal(checks_set(seen->checks, 1, &t, HEALTH_DOWN, true), 0);
	RUN_UNTIL(seen->verdicts);
	assert_int_equal(seen->health, HEALTH_DOWN);
	assert_non_null(strstr(seen->reason, "tcp: "));
}

static void a_server_that_stops_falls_and_one_that_starts_rises(void **state)
{
	struct seen *seen = *state;
	struct check_target t;
	__u16 port;
	int fd = loopback_listener(&port, -1);

	t = target_at(port);
	assert_int_equal(checks_set(seen->checks, 3, &t, HEALTH_UP, false), 0);
	RUN_UNTIL(seen->verdicts == 1);
	assert_int_equal(seen->health, HEALTH_DOWN);
	assert_int_equal(listen(fd, 64), 0);
	RUN_UNTIL(seen->verdicts == 2);
	assert_int_equal(seen->health, HEALTH_UP);
	run_for(100);
	assert_int_equal(seen->verdicts, 2);
	close(fd);
}

/* Fall 3: the third failure comes after two halves of the interval (+-10 %), not after two whole ones. */
static void doubt_shrinks_the_interval(void **state)
{
	struct seen *seen = *state;
	__u64 start = now_ms();
	struct check_target t;
	__u16 port;
	int fd = loopback_listener(&port, -1);

	t = target_at(port);
	t.conf.interval_ms = 1000;
	assert_int_equal(checks_set(seen->checks, 3, &t, HEALTH_UP, false), 0);
	RUN_UNTIL(seen->verdicts == 1);
	assert_true(now_ms() - start >= 800);
	assert_true(now_ms() - start < 1700);
	close(fd);
}

static void a_running_check_can_be_removed(void **state)
{
	struct seen *seen = *state;
	struct check_status status;
	struct check_target t;
	__u16 port;
	int filler, fd = silent_listener(&port, &filler), sockets = open_sockets();

	t = target_at(port);
	t.conf.timeout_ms = 100;
	assert_int_equal(checks_set(seen->checks, 7, &t, HEALTH_UP, true), 0);
	RUN_UNTIL(open_sockets() > sockets);	/* it runs */
	checks_remove(seen->checks, 7);
	assert_int_equal(open_sockets(), sockets);
	assert_false(checks_status(seen->checks, 7, &status));
	checks_remove(seen->checks, 7);
	run_for(200);
	assert_int_equal(seen->verdicts, 0);
	close(filler);
	close(fd);
}

static void a_running_check_can_be_sent_elsewhere(void **state)
{
	struct seen *seen = *state;
	struct check_target t, other;
	__u16 port, other_port;
	int filler, fd = silent_listener(&port, &filler), other_fd = loopback_listener(&other_port, 16), sockets = open_sockets();

	t = target_at(port);
	other = target_at(other_port);
	assert_int_equal(checks_set(seen->checks, 7, &t, HEALTH_DOWN, true), 0);
	RUN_UNTIL(open_sockets() > sockets);
	/* Not fresh for the caller, but there was no result yet. */
	assert_int_equal(checks_set(seen->checks, 7, &other, HEALTH_DOWN, false), 0);
	assert_int_equal(open_sockets(), sockets);
	RUN_UNTIL(seen->verdicts);
	assert_int_equal(seen->health, HEALTH_UP);
	close(other_fd);
	close(filler);
	close(fd);
}

static void the_same_target_again_disturbs_nothing(void **state)
{
	struct seen *seen = *state;
	struct check_target t;
	__u16 port;
	int filler, fd = silent_listener(&port, &filler), sockets = open_sockets();

	t = target_at(port);
	t.conf.timeout_ms = 300;
	assert_int_equal(checks_set(seen->checks, 7, &t, HEALTH_DOWN, true), 0);
	RUN_UNTIL(open_sockets() > sockets);
	assert_int_equal(checks_set(seen->checks, 7, &t, HEALTH_DOWN, false), 0);
	assert_int_equal(checks_set(seen->checks, 7, &t, HEALTH_DOWN, true), 0);
	assert_int_equal(open_sockets(), sockets + 1);
	RUN_UNTIL(seen->verdicts);
	assert_string_equal(seen->reason, "tcp: no answer in 300ms");
	close(filler);
	close(fd);
}

/* It began while its SYN got no answer, and would fail although one would get an answer now. */
static void a_check_from_before_another_verdict_does_not_count(void **state)
{
	struct seen *seen = *state;
	struct check_status status = {};
	struct check_target t;
	__u16 port;
	int filler, fd = silent_listener(&port, &filler), sockets = open_sockets();

	t = target_at(port);
	t.conf.timeout_ms = 300;
	t.conf.fall = 1;
	assert_int_equal(checks_set(seen->checks, 7, &t, HEALTH_DOWN, false), 0);
	RUN_UNTIL(open_sockets() > sockets);
	close(accept(fd, NULL, NULL));
	assert_int_equal(checks_set(seen->checks, 7, &t, HEALTH_UP, false), 0);
	assert_int_equal(open_sockets(), sockets);
	RUN_UNTIL(checks_status(seen->checks, 7, &status) && status.at_ns);
	assert_int_equal(status.last, CHECK_OK);
	assert_int_equal(seen->verdicts, 0);
	close(filler);
	close(fd);
}

static void a_verdict_may_remove_its_target(void **state)
{
	struct seen *seen = *state;
	struct check_target t;
	__u16 port;
	int fd = loopback_listener(&port, 16), refusing = loopback_listener(&port, -1);

	for (int i = 0; i < 2; i++) {	/* refused within start(); then connected, from the event */
		struct sockaddr_in sa;
		socklen_t len = sizeof(sa);

		assert_int_equal(getsockname(i ? fd : refusing, (struct sockaddr *)&sa, &len), 0);
		t = target_at(ntohs(sa.sin_port));
		seen->verdicts = 0;
		seen->remove_id = 9;
		assert_int_equal(checks_set(seen->checks, 9, &t, HEALTH_DOWN, true), 0);
		RUN_UNTIL(seen->verdicts);
		run_for(60);
		assert_int_equal(seen->verdicts, 1);
		assert_string_equal(seen->reason, i ? "tcp: connected" : "tcp: connection refused");
	}
	close(refusing);
	close(fd);
}

static void a_verdict_may_close_the_engine(void **state)
{
	struct seen *seen = *state;
	struct check_target t;
	__u16 port;
	int fd = loopback_listener(&port, 16), sockets = open_sockets();

	t = target_at(port);
	seen->close = true;
	for (int id = 1; id < 50; id++)
		assert_int_equal(checks_set(seen->checks, id, &t, HEALTH_DOWN, true), 0);
	RUN_UNTIL(seen->verdicts);
	run_for(100);
	assert_int_equal(seen->verdicts, 1);
	assert_null(seen->checks);
	assert_int_equal(open_sockets(), sockets);
	close(fd);
}

static void a_thousand_targets_come_up_without_a_leak(void **state)
{
	struct seen *seen = *state;
	struct check_target t;
	__u16 port;
	int fd = loopback_listener(&port, 4096), sockets = open_sockets();

	t = target_at(port);
	t.conf.interval_ms = 60000;
	for (int id = 1; id <= 1000; id++)
		assert_int_equal(checks_set(seen->checks, id, &t, HEALTH_DOWN, true), 0);
	RUN_UNTIL(seen->verdicts == 1000);
	assert_int_equal(seen->health, HEALTH_UP);
	assert_int_equal(open_sockets(), sockets);
	close(fd);
}

static void what_cannot_be_checked_is_refused(void **state)
{
	struct seen *seen = *state;
	struct check_status status;
	struct check_target t = target_at(25);

	assert_int_equal(checks_set(seen->checks, 0, &t, HEALTH_UP, true), -EINVAL);
	assert_int_equal(checks_set(seen->checks, LB_MAX_BACKENDS, &t, HEALTH_UP, true), -EINVAL);
	assert_int_equal(checks_set(seen->checks, -1, &t, HEALTH_UP, true), -EINVAL);
	t.conf.kind = CHECK_KIND_MAX;
	assert_int_equal(checks_set(seen->checks, 1, &t, HEALTH_UP, true), -EINVAL);
	t = target_at(0);
	assert_int_equal(checks_set(seen->checks, 1, &t, HEALTH_UP, true), -EINVAL);
	assert_false(checks_status(seen->checks, 1, &status));
	assert_false(checks_status(seen->checks, -1, &status));
	assert_false(checks_status(seen->checks, LB_MAX_BACKENDS, &status));
	checks_remove(seen->checks, -1);
}

#define S 1000000000ULL

/* Down and up again as fast as may be, steps checks a second apart; returns the changes. */
static int flap(struct check_tally *tally, __u64 *now, int steps)
{
	int changes = 0;

	for (int i = 0; i < steps; i++, *now += S) {
		enum check_result r = tally->health == HEALTH_UP ? CHECK_REFUSED : CHECK_OK;

		changes += check_tally_add(tally, r, 2, 1, *now);
	}
	return changes;
}

static void what_flaps_must_be_good_for_longer(void **state)
{
	struct check_tally tally = { .health = HEALTH_UP };
	__u64 now = 1000 * S;

	(void)state;
	/* down, up (2), down, up (2), down: five changes are nobody's fault */
	assert_int_equal(flap(&tally, &now, 7), 5);
	assert_int_equal(check_tally_rise(&tally, 2, now), 2);
	/* up is the sixth */
	assert_int_equal(flap(&tally, &now, 2), 1);
	assert_int_equal(check_tally_rise(&tally, 2, now), 4);
	flap(&tally, &now, 1);
	assert_int_equal(check_tally_rise(&tally, 2, now), 8);
	flap(&tally, &now, 8);
	assert_int_equal(tally.health, HEALTH_UP);
	assert_int_equal(check_tally_rise(&tally, 2, now), 16);
	flap(&tally, &now, 1);
	assert_int_equal(check_tally_rise(&tally, 2, now), 16);
	assert_int_equal(flap(&tally, &now, 15), 0);
	assert_int_equal(flap(&tally, &now, 1), 1);
	/* another word from elsewhere does not wash it clean; five quiet minutes do */
	check_tally_reset(&tally, HEALTH_DEAD, false, now);
	assert_int_equal(check_tally_rise(&tally, 2, now + 290 * S), 16);
	assert_int_equal(check_tally_rise(&tally, 2, now + 300 * S), 2);
	assert_int_equal(check_tally_rise(&tally, 0, now + 300 * S), 1);
}

/* What the traffic finds out, and the checks are told. */
static void what_flaps_by_other_witnesses_flaps(void **state)
{
	struct check_tally tally = { .health = HEALTH_UP };
	__u64 now = 1000 * S;

	(void)state;
	for (int i = 0; i < 3; i++, now += S) {
		assert_int_equal(check_tally_rise(&tally, 1, now), 1);
		check_tally_reset(&tally, HEALTH_DOWN, false, now);
		check_tally_reset(&tally, HEALTH_DEAD, false, now);
		assert_true(check_tally_add(&tally, CHECK_OK, 1, 1, now));
	}
	/* three times down and up: the sixth change */
	assert_int_equal(check_tally_rise(&tally, 1, now), 2);
}

static void a_first_word_is_no_change(void **state)
{
	struct check_tally tally = { .health = HEALTH_DOWN, .fresh = true };

	(void)state;
	for (int i = 0; i < 20; i++) {
		check_tally_reset(&tally, HEALTH_UP, true, 1000 * S);
		check_tally_reset(&tally, HEALTH_DOWN, true, 1000 * S);
		check_tally_add(&tally, CHECK_OK, 1, 1, 1000 * S);
	}
	assert_int_equal(check_tally_rise(&tally, 1, 1000 * S), 1);
}

static void slow_changes_are_no_flapping(void **state)
{
	struct check_tally tally = { .health = HEALTH_UP };
	__u64 now = 1000 * S;

	(void)state;
	for (int i = 0; i < 40; i++, now += 15 * S)
		check_tally_add(&tally, tally.health == HEALTH_UP ? CHECK_REFUSED : CHECK_OK, 1, 1, now);
	assert_int_equal(check_tally_rise(&tally, 1, now), 1);
}

static __u64 checks_in(struct seen *seen, int ms, bool healthy)
{
	struct check_status status = {};
	__u64 last = 0, n = 0, end = now_ms() + ms;

	while (now_ms() < end) {
		assert_true(sd_event_run(event, 2000) >= 0);
		if (healthy)
			checks_evidence(seen->checks, 1, true);
		assert_true(checks_status(seen->checks, 1, &status));
		n += status.at_ns != last && last;
		last = status.at_ns;
	}
	return n;
}

struct pace {
	int quiet, good;	/* checks in 600 ms: without news of the traffic, with good news */
};

static struct pace pace_of(struct seen *seen, enum check_poison must_refuse)
{
	struct pace pace;
	__u16 port;
	int fd = loopback_listener(&port, 128);
	struct check_target t = target_at(port);

	t.conf.must_refuse = must_refuse;
	assert_int_equal(checks_set(seen->checks, 1, &t, HEALTH_UP, false), 0);
	pace.quiet = checks_in(seen, 600, false);	/* 30 at 20 ms, less what a busy machine eats */
	checks_in(seen, 300, true);
	pace.good = checks_in(seen, 600, true);		/* 6 at 100 ms, where it counts */
	close(fd);
	return pace;
}

static void good_traffic_stretches_the_interval(void **state)
{
	struct pace pace = pace_of(*state, POISON_NONE);

	if (pace.good * 2 > pace.quiet)
		fail_msg("%d checks without news, %d with good news", pace.quiet, pace.good);
}

/* It flows where nobody scans it, too. */
static void good_traffic_is_no_witness_of_a_scanner(void **state)
{
	struct pace pace = pace_of(*state, POISON_EICAR);

	if (pace.good * 2 < pace.quiet)
		fail_msg("%d checks without news, %d with good news", pace.quiet, pace.good);
}

static void doubt_checks_at_once(void **state)
{
	struct seen *seen = *state;
	__u16 port;
	int fd = loopback_listener(&port, 128);
	struct check_target t = target_at(port);
	struct check_status first, second;

	t.conf.interval_ms = 400;
	assert_int_equal(checks_set(seen->checks, 1, &t, HEALTH_UP, false), 0);
	RUN_UNTIL(checks_status(seen->checks, 1, &first) && first.at_ns);
	t.conf.interval_ms = 400;
	/* too soon: it has just been asked */
	checks_evidence(seen->checks, 1, false);
	run_for(50);
	assert_true(checks_status(seen->checks, 1, &second) && second.at_ns == first.at_ns);
	run_for(80);
	checks_evidence(seen->checks, 1, false);
	RUN_UNTIL(checks_status(seen->checks, 1, &second) && second.at_ns != first.at_ns);
	assert_true(second.at_ns - first.at_ns < 340000000);
	checks_evidence(seen->checks, 2, false);
	checks_evidence(seen->checks, -1, true);
	close(fd);
}

static void kind_none_stops_the_checks(void **state)
{
	struct seen *seen = *state;
	struct check_target t = target_at(25);
	struct check_status status;

	assert_int_equal(checks_set(seen->checks, 1, &t, HEALTH_DOWN, true), 0);
	t.conf.kind = CHECK_NONE;
	assert_int_equal(checks_set(seen->checks, 1, &t, HEALTH_DOWN, false), 0);
	assert_false(checks_status(seen->checks, 1, &status));
	run_for(50);
	assert_int_equal(seen->verdicts, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rise_and_fall_are_counted),
		cmocka_unit_test(every_result_but_internal_is_a_health),
		cmocka_unit_test(what_flaps_must_be_good_for_longer),
		cmocka_unit_test(what_flaps_by_other_witnesses_flaps),
		cmocka_unit_test(a_first_word_is_no_change),
		cmocka_unit_test(slow_changes_are_no_flapping),
		TEST(good_traffic_stretches_the_interval),
		TEST(good_traffic_is_no_witness_of_a_scanner),
		TEST(doubt_checks_at_once),
		TEST(a_fresh_target_that_listens_is_up_at_once),
		TEST(a_fresh_target_that_refuses_is_down_at_once),
		TEST(silence_is_down_after_the_timeout),
		TEST(an_address_without_a_route_is_down),
		TEST(a_server_that_stops_falls_and_one_that_starts_rises),
		TEST(doubt_shrinks_the_interval),
		TEST(a_running_check_can_be_removed),
		TEST(a_running_check_can_be_sent_elsewhere),
		TEST(the_same_target_again_disturbs_nothing),
		TEST(a_check_from_before_another_verdict_does_not_count),
		TEST(a_verdict_may_remove_its_target),
		TEST(a_verdict_may_close_the_engine),
		TEST(a_thousand_targets_come_up_without_a_leak),
		TEST(what_cannot_be_checked_is_refused),
		TEST(kind_none_stops_the_checks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
