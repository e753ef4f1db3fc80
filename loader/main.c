/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lbd: arguments, the order of start and stop, signals. No logic: what the daemon does is behind
 * control.h, how it is asked is behind api.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "api.h"
#include "api_names.h"
#include "checker_wire.h"
#include "control.h"
#include "http.h"
#include "log.h"
#include "privilege.h"

struct options {
	struct control_paths paths;
	const char *socket, *user;
	bool check;
};

enum { OPT_CONFIG = 256, OPT_SOCKET, OPT_BPFFS, OPT_STATE, OPT_USER, OPT_NO_VIP, OPT_DISCARD, OPT_CHECK, OPT_DEBUG,
       OPT_VERSION, OPT_HELP };

static const struct option long_options[] = {
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "socket", required_argument, NULL, OPT_SOCKET },
	{ "bpffs", required_argument, NULL, OPT_BPFFS },
	{ "state-dir", required_argument, NULL, OPT_STATE },
	{ "user", required_argument, NULL, OPT_USER },
	{ "no-vip-address", no_argument, NULL, OPT_NO_VIP },
	{ "discard-state", no_argument, NULL, OPT_DISCARD },
	{ "check", no_argument, NULL, OPT_CHECK },
	{ "debug", no_argument, NULL, OPT_DEBUG },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, OPT_HELP },
	{},
};

static void usage(FILE *to)
{
	fprintf(to,
		"usage: lbd [options]\n"
		"Balances SMTP connections in the kernel. lbctl talks to it.\n"
		"\n"
		"  --config FILE      what to serve (" API_CONFIG_DEFAULT "); without one it starts empty\n"
		"  --check            read the config, say what is wrong with it, and exit\n"
		"  --socket PATH      where lbctl asks (" API_SOCKET_DEFAULT ")\n"
		"  --bpffs DIR        where maps and links are pinned (" API_BPFFS_DEFAULT ")\n"
		"  --state-dir DIR    what survives a restart (" API_STATE_DEFAULT ")\n"
		"  --user NAME        who to become when started as root (mailxdp)\n"
		"  --no-vip-address   keepalived or a routing daemon owns the VIPs: leave addresses alone\n"
		"  --discard-state    throw the pinned maps away and start afresh: every flow ends\n"
		"  --debug            say more\n"
		"  --version, --help\n"
		"\n"
		"SIGHUP reads the config again. Stopping lbd stops nothing else: packets are forwarded on;\n"
		"\"lbctl detach\" ends that. Exit: 0 done, 1 failed, 2 usage or bad config, 4 not permitted.\n");
}

/* 0 to go on, or the exit code plus one. */
static int parse_options(int argc, char **argv, struct options *opt)
{
	int c;

	*opt = (struct options) {
		.paths = { .config = API_CONFIG_DEFAULT, .state_dir = API_STATE_DEFAULT, .bpffs = API_BPFFS_DEFAULT,
			   .manage_vips = true },
		.socket = getenv(API_SOCKET_ENV) ? getenv(API_SOCKET_ENV) : API_SOCKET_DEFAULT,
		.user = "mailxdp",
	};
	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		switch (c) {
		case OPT_CONFIG: opt->paths.config = optarg; break;
		case OPT_SOCKET: opt->socket = optarg; break;
		case OPT_BPFFS: opt->paths.bpffs = optarg; break;
		case OPT_STATE: opt->paths.state_dir = optarg; break;
		case OPT_USER: opt->user = optarg; break;
		case OPT_NO_VIP: opt->paths.manage_vips = false; break;
		case OPT_DISCARD: opt->paths.discard_state = true; break;
		case OPT_CHECK: opt->check = true; break;
		case OPT_DEBUG: log_set_level(LOG_LEVEL_DEBUG); break;
		case OPT_VERSION: printf("lbd %s\n", MAILXDP_VERSION); return LB_EXIT_OK + 1;
		case OPT_HELP: usage(stdout); return LB_EXIT_OK + 1;
		default: usage(stderr); return LB_EXIT_USAGE + 1;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "lbd: unexpected argument \"%s\"\n", argv[optind]);
		return LB_EXIT_USAGE + 1;
	}
	return 0;
}

static void warn_line(const char *text)
{
	fprintf(stderr, "lbd: warning: %s\n", text);
}

static int check_config(const char *path)
{
	struct config *config;
	struct lb_error err;

	if (config_read(path, &config, warn_line, &err)) {
		fprintf(stderr, "lbd: %s\n", err.text);
		return err.code == LB_EXIT_USAGE ? LB_EXIT_USAGE : (int)err.code;
	}
	config_free(config);
	printf("%s: good\n", path);
	return LB_EXIT_OK;
}

/* One daemon per state folder. The lock lives as long as the process. */
static int lock_state(const char *dir, struct lb_error *err)
{
	char path[PATH_MAX], pid[16] = "?";
	int fd, n;

	snprintf(path, sizeof(path), "%s/lbd.lock", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd == -1)
		return lb_error(err, LB_EXIT_FAILED, "%s: %s", path, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) == -1) {
		if (read(fd, pid, sizeof(pid) - 1) <= 0)
			strcpy(pid, "?");
		close(fd);
		return lb_error(err, LB_EXIT_CONFLICT, "another lbd runs already (pid %s) with %s", strtok(pid, "\n"), dir);
	}
	n = snprintf(pid, sizeof(pid), "%d\n", getpid());
	if (ftruncate(fd, 0) == -1 || pwrite(fd, pid, n, 0) != n)
		log_warn("%s: cannot write the pid: %s", path, strerror(errno));
	return 0;
}

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *info, void *arg)
{
	struct control_say say;
	struct lb_error err;

	(void)source;
	(void)info;
	sd_notify(0, "RELOADING=1");
	if (control_reload(arg, &say, &err))
		log_err("reload: %s; everything stays as it was", err.text);
	sd_notify(0, "READY=1");
	return 0;
}

static int add_signals(sd_event *event, struct control *ctl)
{
	sigset_t set;
	int ret;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) == -1)
		return -errno;
	signal(SIGPIPE, SIG_IGN);
	ret = sd_event_add_signal(event, NULL, SIGTERM, NULL, NULL);
	ret = ret < 0 ? ret : sd_event_add_signal(event, NULL, SIGINT, NULL, NULL);
	return ret < 0 ? ret : sd_event_add_signal(event, NULL, SIGHUP, on_reload, ctl);
}

static int run(const struct options *opt, struct lb_error *err)
{
	struct http_conf conf = { .path = opt->socket, .handler = api_handle };
	struct control *ctl = NULL;
	struct http *http = NULL;
	sd_event *event = NULL;
	int ret = sd_event_default(&event);

	if (ret < 0)
		return lb_error(err, LB_EXIT_FAILED, "cannot start the event loop: %s", strerror(-ret));
	ret = control_open(event, &opt->paths, &ctl, err);
	if (ret)
		goto out;
	privilege_drop_loading();
	conf.arg = ctl;
	ret = http_open(event, &conf, &http);
	ret = ret ? ret : add_signals(event, ctl);
	if (ret < 0) {
		ret = lb_error(err, LB_EXIT_FAILED, "%s: cannot serve: %s", opt->socket, strerror(-ret));
		goto out;
	}
	sd_event_set_watchdog(event, true);
	sd_notify(0, "READY=1\nSTATUS=serving");
	log_info("lbd %s is ready: %s", MAILXDP_VERSION, opt->socket);
	ret = sd_event_loop(event);
	sd_notify(0, "STOPPING=1");
	log_info("lbd stops; packets are forwarded on");
	ret = ret < 0 ? lb_error(err, LB_EXIT_FAILED, "event loop: %s", strerror(-ret)) : 0;
out:
	http_close(http);
	control_close(ctl);
	sd_event_unref(event);
	return ret;
}

int main(int argc, char **argv)
{
	struct options opt;
	struct privilege_paths folders;
	char socket_copy[PATH_MAX];
	struct lb_error err = {};
	int ret;

	if (argc == 3 && !strcmp(argv[1], CHECKER_OPTION))	/* not a user's: checker.c runs us so */
		return checker_main(CHECKER_FD);
	ret = parse_options(argc, argv, &opt);
	if (ret)
		return ret - 1;
	if (opt.check)
		return check_config(opt.paths.config);
	snprintf(socket_copy, sizeof(socket_copy), "%s", opt.socket);
	folders = (struct privilege_paths) {
		.bpffs = opt.paths.bpffs, .state_dir = opt.paths.state_dir, .socket_dir = dirname(socket_copy),
	};
	ret = privilege_prepare(opt.user, &folders, &err);
	ret = ret ? ret : privilege_drop(opt.user, &err);
	ret = ret ? ret : lock_state(opt.paths.state_dir, &err);
	ret = ret ? ret : run(&opt, &err);
	if (ret) {
		log_err("%s", err.text);
		return err.code;
	}
	return LB_EXIT_OK;
}
