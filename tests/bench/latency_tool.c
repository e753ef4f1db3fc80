// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How long from SYN to 220: opens connections, waits for the greeting, and ends each with a RST, so that no TIME_WAIT
 * is left to run into. With a rate they come at random moments, whatever happens to those before; without one
 * there are always so many, which finds how many a second are possible. Prints one object of JSON.
 *
 * Usage: latency_tool --connect ADDR [--port N] --seconds N [--rate PER_SECOND | --parallel N] [--seed N]
 */
#include <sys/timerfd.h>
#include <unistd.h>

#include "clockwork.h"
#include "sockets.h"

#define MAX_OPEN 8192
#define GRACE_US 2000000

static const char *opt_connect;
static int opt_port = 25, opt_parallel = 32;
static double opt_seconds = 2, opt_rate;
static uint64_t opt_seed = 1;

static struct sockaddr_in target;
static int epoll_fd, open_n;
static uint64_t began[65536];	/* by descriptor */
static uint32_t *took;		/* microseconds */
static size_t took_n, took_room;
static uint64_t failed, shed;

static void begin(void)
{
	struct linger hard = { .l_onoff = 1 };
	int fd;

	if (open_n >= MAX_OPEN) {
		shed++;
		return;
	}
	fd = tcp_socket();
	if (fd >= 65536)
		die("too many sockets");
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	began[fd] = now_us();
	loop_connect(epoll_fd, fd, &target, EPOLLIN, (epoll_data_t){ .fd = fd });
	open_n++;
}

static void heard(int fd)
{
	char greeting[512];
	ssize_t n = recv(fd, greeting, sizeof(greeting), 0);

	if (n == -1 && errno == EAGAIN)
		return;
	if (n >= 3 && memcmp(greeting, "220", 3) == 0) {
		if (took_n == took_room) {
			took_room = took_room ? took_room * 2 : 65536;
			took = realloc(took, took_room * sizeof(*took));
			if (!took)
				die("memory: %m");
		}
		took[took_n++] = now_us() - began[fd];
	} else {
		failed++;
	}
	close(fd);
	open_n--;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static uint32_t quantile(double q)
{
	return took_n ? took[(size_t)(q * (took_n - 1))] : 0;
}

static void wake_at(int timer, uint64_t us)
{
	struct itimerspec its = { .it_value = { us / 1000000, us % 1000000 * 1000 } };

	if (timerfd_settime(timer, TFD_TIMER_ABSTIME, &its, NULL))
		die("timer: %m");
}

static void run(void)
{
	struct epoll_event events[256];
	uint64_t start = now_us(), stop = start + opt_seconds * 1e6, now, random = opt_seed, ticks;
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK), n;
	double next = start;

	if (timer < 0)
		die("timer: %m");
	loop_add(epoll_fd, timer, EPOLLIN, (epoll_data_t){ .fd = -1 });
	while ((now = now_us()) < stop || (open_n && now < stop + GRACE_US)) {
		if (opt_rate > 0) {
			for (; next <= now && now < stop; next += random_exponential(&random, 1e6 / opt_rate))
				begin();
			wake_at(timer, now < stop ? next : now + 100000);
		} else {
			while (open_n < opt_parallel && now < stop)
				begin();
			wake_at(timer, now + 100000);
		}
		n = epoll_wait(epoll_fd, events, 256, -1);
		for (int i = 0; i < n; i++) {
			if (events[i].data.fd == -1)
				(void)!read(timer, &ticks, sizeof(ticks));
			else
				heard(events[i].data.fd);
		}
	}
	failed += open_n;
}

int main(int argc, char **argv)
{
	const struct setting settings[] = {
		SETTING("connect", &opt_connect), SETTING("port", &opt_port),         SETTING("seconds", &opt_seconds),
		SETTING("rate", &opt_rate),       SETTING("parallel", &opt_parallel), SETTING("seed", &opt_seed), {},
	};

	settings_read(argc, argv, settings);
	target = ipv4_address(opt_connect, opt_port);
	epoll_fd = loop_open();
	run();
	qsort(took, took_n, sizeof(*took), compare);
	printf("{\"offered_per_s\": %.0f, \"greeted\": %zu, \"per_s\": %.0f, \"failed\": %llu, \"shed\": %llu, "
	       "\"p50_us\": %u, \"p99_us\": %u, \"p999_us\": %u, \"max_us\": %u}\n",
	       opt_rate, took_n, took_n / opt_seconds, (unsigned long long)failed, (unsigned long long)shed, quantile(0.5),
	       quantile(0.99), quantile(0.999), quantile(1));
	return 0;
}
