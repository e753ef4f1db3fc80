/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lbctl: the table of commands, and the loop that finds one in the command line. All usage is
 * printed from this table. What a command does is in cmd_*.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../loader/api_names.h"
#include "cmd.h"
#include "print.h"

#define MAX_WORDS	8	/* more than any command takes */
#define BIT(option)	(1u << (option))
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

static const struct option_def {
	const char *name;
	const char *value;	/* NULL: a flag */
	const char *help;
} options[] = {
	[OPT_SOCKET]	= { "--socket", "PATH", "the daemon's socket, default $" API_SOCKET_ENV " or "
			    API_SOCKET_DEFAULT },
	[OPT_JSON]	= { "--json", NULL, "print the daemon's answer as JSON" },
	[OPT_COLOR]	= { "--color", "auto|always|never", "auto: on a terminal, unless NO_COLOR is set" },
	[OPT_HELP]	= { "--help", NULL, "this text; of one command: lbctl COMMAND --help" },
	[OPT_VERSION]	= { "--version", NULL, "the version of lbctl" },
	[OPT_MODE]	= { "--mode", "auto|native|generic", "where the program runs: in the driver (native), "
			    "behind it (generic), or there where it can (auto, the default)" },
	[OPT_VIP]	= { "--vip", "ADDR[,ADDR6]", "the addresses that clients connect to, one of a family" },
	[OPT_PORT]	= { "--port", "PORT[,PORT...]", "the ports, for instance 25,465,587" },
	[OPT_FORWARD]	= { "--mode", "nat|dsr", "nat (default): replies come back through this host; dsr: "
			    "they bypass it" },
	[OPT_SCHEDULER]	= { "--scheduler", "S", "least-inflight (default), least-conn, maglev, round-robin "
			    "or random" },
	[OPT_REFUSE]	= { "--refuse", "R", "what clients get while no backend is up: reset (default), drop "
			    "or reply" },
	[OPT_CHECK]	= { "--check", "KIND", "how backends are checked: tcp (default), none, greeting, "
			    "ehlo ..." },
	[OPT_AGENT]	= { "--agent", "PORT", "ask the mail servers themselves, at this port, what they can take: "
			    "9707; nobody is asked by default" },
	[OPT_SERVICE]	= { "--service", "S", "the service; may be left out while there is only one" },
	[OPT_WEIGHT]	= { "--weight", "W", "share of new sessions, 1 to 65535" },
	[OPT_MAX_CONNS]	= { "--max-conns", "N", "cap on open sessions; 0: none" },
	[OPT_WAIT]	= { "--wait", NULL, "return when the backend has no sessions left" },
	[OPT_DEADLINE]	= { "--deadline", "TIME", "after this time (30s, 10m, 2h) the rest is reset" },
	[OPT_NOW]	= { "--now", NULL, "reset its sessions instead of letting them end" },
	[OPT_BACKEND]	= { "--backend", "NAME", "only the flows of this backend" },
	[OPT_LIMIT]	= { "--limit", "N", "at most so many" },
	[OPT_FOLLOW]	= { "--follow", NULL, "go on with what happens from now on, until interrupted" },
};
_Static_assert(ARRAY_SIZE(options) == OPT_MAX, "a row for each option");

static const struct command {
	const char *name, *args;	/* args: "NAME ADDRESS", one word each */
	const char *help;
	cmd_run *run;
	unsigned int options, needed;	/* bits of enum cmd_option */
} commands[] = {
	{ "status", "", "the daemon at a glance (also without a command)", cmd_status, 0, 0 },
	{ "list", "", "the backends, their state and load", cmd_list, 0, 0 },
	{ "flows", "", "the open connections", cmd_flows, BIT(OPT_BACKEND) | BIT(OPT_LIMIT), 0 },
	{ "events", "", "what has happened lately", cmd_events, BIT(OPT_FOLLOW), 0 },
	{ "stats", "", "packets by how they ended, totals of the backends", cmd_stats, 0, 0 },
	{ "add", "NAME ADDRESS", "add a backend", cmd_add,
	  BIT(OPT_SERVICE) | BIT(OPT_WEIGHT) | BIT(OPT_MAX_CONNS), 0 },
	{ "set", "NAME", "change weight or cap of a backend", cmd_set, BIT(OPT_WEIGHT) | BIT(OPT_MAX_CONNS), 0 },
	{ "drain", "NAME", "give a backend no new sessions", cmd_drain, BIT(OPT_WAIT) | BIT(OPT_DEADLINE), 0 },
	{ "enable", "NAME", "give it new sessions again", cmd_enable, 0, 0 },
	{ "remove", "NAME", "drain a backend, and forget it when it is empty", cmd_remove, BIT(OPT_NOW), 0 },
	{ "check", "NAME", "check a backend now, and show what was said", cmd_check, 0, 0 },
	{ "service add", "NAME", "serve a VIP", cmd_service_add,
	  BIT(OPT_VIP) | BIT(OPT_PORT) | BIT(OPT_FORWARD) | BIT(OPT_SCHEDULER) | BIT(OPT_REFUSE) | BIT(OPT_CHECK) |
		  BIT(OPT_AGENT),
	  BIT(OPT_VIP) | BIT(OPT_PORT) },
	{ "service remove", "NAME", "stop serving it", cmd_service_remove, 0, 0 },
	{ "service list", "", "the services", cmd_service_list, 0, 0 },
	{ "attach", "IFACE", "put the program on an interface", cmd_attach, BIT(OPT_MODE), 0 },
	{ "detach", "IFACE", "take it off: nothing is balanced any more", cmd_detach, 0, 0 },
	{ "reload", "", "read the configuration file again", cmd_reload, 0, 0 },
	{ "save", "", "write the running state to the configuration file", cmd_save, 0, 0 },
	{ "version", "", "versions of lbctl and of the daemon", cmd_version, 0, 0 },
};

/* The command line, taken apart: words and options in their order, bound to nothing yet. */
struct raw {
	const char *words[MAX_WORDS];
	size_t words_n;
	struct raw_option { const char *name, *value; } options[2 * OPT_MAX];
	size_t options_n;
};

static const struct option_def *find_option(const char *name, size_t len)
{
	for (size_t i = 0; i < OPT_MAX; i++)
		if (strlen(options[i].name) == len && memcmp(options[i].name, name, len) == 0)
			return &options[i];
	return NULL;
}

/* Edits that turn a into b: for typing errors, not for prose. */
static size_t distance(const char *a, const char *b)
{
	size_t row[64], n = strlen(b);

	if (n >= ARRAY_SIZE(row))
		return n;
	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 0; a[i]; i++) {
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 0; j < n; j++) {
			size_t best = diagonal + (a[i] != b[j]);

			diagonal = row[j + 1];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j + 1] + 1 < best)
				best = row[j + 1] + 1;
			row[j + 1] = best;
		}
	}
	return row[n];
}

static void complain_of_option(const char *arg, size_t len)
{
	const char *nearest = NULL;
	char text[64];
	size_t best = 3;

	snprintf(text, sizeof(text), "%.*s", (int)len, arg);
	for (size_t i = 0; i < OPT_MAX; i++) {
		size_t d = distance(text, options[i].name);

		if (d < best) {
			best = d;
			nearest = options[i].name;
		}
	}
	if (nearest)
		print_fail("unknown option \"%s\": did you mean %s?", text, nearest);
	else
		print_fail("unknown option \"%s\": see \"lbctl --help\"", text);
}

/* Takes argv[*at], and the next one when that is its value. */
static int read_option(char **argv, int *at, struct raw *out)
{
	const char *arg = strcmp(argv[*at], "-h") == 0 ? "--help" : argv[*at];
	size_t len = strcspn(arg, "=");
	const struct option_def *def = find_option(arg, len);
	const char *value = arg[len] == '=' ? arg + len + 1 : NULL;

	if (!def) {
		complain_of_option(arg, len);
		return -EINVAL;
	}
	if (!def->value && value) {
		print_fail("%s takes no value", def->name);
		return -EINVAL;
	}
	if (def->value && !value) {
		value = argv[*at + 1];
		if (!value) {
			print_fail("%s needs a value: %s %s", def->name, def->name, def->value);
			return -EINVAL;
		}
		++*at;
	}
	if (out->options_n == ARRAY_SIZE(out->options)) {
		print_fail("too many options");
		return -EINVAL;
	}
	out->options[out->options_n++] = (struct raw_option){ def->name, value ? value : "" };
	return 0;
}

static int read_args(char **argv, struct raw *out)
{
	bool only_words = false;

	for (int i = 1; argv[i]; i++) {
		if (!only_words && strcmp(argv[i], "--") == 0) {
			only_words = true;
		} else if (!only_words && argv[i][0] == '-' && argv[i][1]) {
			if (read_option(argv, &i, out) < 0)
				return -EINVAL;
		} else if (out->words_n == MAX_WORDS) {
			print_fail("too many arguments, from \"%s\" on", argv[i]);
			return -EINVAL;
		} else {
			out->words[out->words_n++] = argv[i];
		}
	}
	return 0;
}

static void complain_of_words(const struct raw *raw)
{
	const char *first = raw->words[0], *second = raw->words_n > 1 ? raw->words[1] : NULL;
	const struct command *nearest = NULL;
	size_t best = 3;		/* farther than 2 edits is no typing error */
	char text[128];

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		bool two = strchr(commands[i].name, ' ');
		size_t d;

		if (two && !second)
			continue;
		snprintf(text, sizeof(text), "%s%s%s", first, two ? " " : "", two ? second : "");
		d = distance(text, commands[i].name);
		if (d < best) {
			best = d;
			nearest = &commands[i];
		}
	}
	if (nearest)
		print_fail("unknown command \"%s%s%s\": did you mean \"%s\"?", first,
			    strchr(nearest->name, ' ') ? " " : "", strchr(nearest->name, ' ') ? second : "",
			    nearest->name);
	else if (strcmp(first, "service") == 0)
		print_fail("service: add, remove or list? See \"lbctl --help\"");
	else
		print_fail("unknown command \"%s\": see \"lbctl --help\"", first);
}

/* How many words its name has; 0: these words are not that command. */
static size_t match_command(const struct command *cmd, const struct raw *raw)
{
	const char *space = strchr(cmd->name, ' ');

	if (!space)
		return raw->words_n >= 1 && strcmp(raw->words[0], cmd->name) == 0;
	if (raw->words_n < 2 || strlen(raw->words[0]) != (size_t)(space - cmd->name) ||
	    strncmp(raw->words[0], cmd->name, space - cmd->name) != 0)
		return 0;
	return strcmp(raw->words[1], space + 1) == 0 ? 2 : 0;
}

static void print_options(unsigned int mask)
{
	for (size_t i = 0; i < OPT_MAX; i++) {
		char left[64];

		if (!(mask & BIT(i)))
			continue;
		snprintf(left, sizeof(left), "%s%s%s", options[i].name, options[i].value ? " " : "",
			 options[i].value ? options[i].value : "");
		printf("  %-28s %s\n", left, options[i].help);
	}
}

static void print_help(void)
{
	printf("usage: lbctl [OPTION]... [COMMAND [ARGUMENT]...]\n\n"
	       "Shows and changes what lbd balances: SMTP connections to a VIP over the mail servers\n"
	       "(backends) of a service. Without a command: status.\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		char left[64];

		snprintf(left, sizeof(left), "%s %s", commands[i].name, commands[i].args);
		printf("  %-28s %s\n", left, commands[i].help);
	}
	printf("\n");
	print_options(BIT(OPT_GLOBAL_MAX) - 1);
	printf("\nExit status: 0 done, 1 failed, 2 usage, 3 daemon not running, 4 not permitted, 5 not found,\n"
	       "6 conflict, 7 time-out. The manual: lbctl(8).\n");
}

static void print_command_help(const struct command *cmd)
{
	int at = printf("usage: lbctl %s%s%s", cmd->name, *cmd->args ? " " : "", cmd->args);

	for (size_t i = OPT_GLOBAL_MAX; i < OPT_MAX; i++) {
		bool needed = cmd->needed & BIT(i);
		char text[64];
		int len;

		if (!(cmd->options & BIT(i)))
			continue;
		len = snprintf(text, sizeof(text), "%s%s%s%s%s", needed ? "" : "[", options[i].name,
			       options[i].value ? " " : "", options[i].value ? options[i].value : "",
			       needed ? "" : "]");
		if (at + 1 + len > 80)
			at = printf("\n             ") - 1;
		at += printf(" %s", text);
	}
	printf("\n\nlbctl %s: %s.\n", cmd->name, cmd->help);
	if (cmd->options) {
		printf("\n");
		print_options(cmd->options);
	}
	printf("\nand, as with every command:\n");
	print_options(BIT(OPT_SOCKET) | BIT(OPT_JSON) | BIT(OPT_COLOR));
}

/* cmd NULL: only the options of every command are possible. */
static int bind_options(const struct raw *raw, const struct command *cmd, struct cmd_line *line)
{
	unsigned int possible = (BIT(OPT_GLOBAL_MAX) - 1) | (cmd ? cmd->options : 0);

	for (size_t i = 0; i < raw->options_n; i++) {
		const char *name = raw->options[i].name;
		size_t o = 0;

		while (o < OPT_MAX && !((possible & BIT(o)) && strcmp(options[o].name, name) == 0))
			o++;
		if (o == OPT_MAX) {
			print_fail("\"lbctl %s\" takes no %s: see \"lbctl %s --help\"", cmd ? cmd->name : "",
				    name, cmd ? cmd->name : "");
			return -EINVAL;
		}
		if (line->option[o] && options[o].value) {
			print_fail("%s is there twice", name);
			return -EINVAL;
		}
		line->option[o] = raw->options[i].value;
	}
	return 0;
}

static int bind_words(const struct command *cmd, const char *const *words, size_t n, struct cmd_line *line)
{
	size_t wanted = !*cmd->args ? 0 : strchr(cmd->args, ' ') ? 2 : 1;

	if (n != wanted) {
		print_fail("\"lbctl %s\" takes %s%s: see \"lbctl %s --help\"", cmd->name,
			    wanted ? cmd->args : "no arguments", n > wanted && wanted ? " and no more" : "",
			    cmd->name);
		return -EINVAL;
	}
	for (size_t i = 0; i < n; i++) {
		if (!*words[i]) {
			print_fail("\"lbctl %s\": %s is empty", cmd->name, cmd->args);
			return -EINVAL;
		}
	}
	for (size_t i = OPT_GLOBAL_MAX; i < OPT_MAX; i++) {
		if ((cmd->needed & BIT(i)) && !line->option[i]) {
			print_fail("\"lbctl %s\" needs %s %s: see \"lbctl %s --help\"", cmd->name,
				    options[i].name, options[i].value, cmd->name);
			return -EINVAL;
		}
	}
	line->name = n > 0 ? words[0] : NULL;
	line->address = n > 1 ? words[1] : NULL;
	return 0;
}

static int set_globals(struct cmd_line *line)
{
	static const char *const names[] = { "auto", "always", "never" };
	const char *color = line->option[OPT_COLOR] ? line->option[OPT_COLOR] : "auto";
	const char *from_env = getenv(API_SOCKET_ENV);
	int when = 0;

	_Static_assert(ARRAY_SIZE(names) == PRINT_COLOR_MAX, "a name for each");
	while (when < PRINT_COLOR_MAX && strcmp(names[when], color) != 0)
		when++;
	if (when == PRINT_COLOR_MAX) {
		print_fail("--color \"%s\" is none of auto, always, never", color);
		return -EINVAL;
	}
	print_set_color(when);
	line->json = line->option[OPT_JSON];
	line->client.socket = line->option[OPT_SOCKET] ? line->option[OPT_SOCKET] :
			      from_env && *from_env ? from_env : API_SOCKET_DEFAULT;
	return 0;
}

static enum lb_exit run(char **argv)
{
	const struct command *cmd = NULL;
	struct cmd_line line = {};
	struct raw raw = {};
	size_t used = 0;

	if (read_args(argv, &raw) < 0)
		return LB_EXIT_USAGE;
	for (size_t i = 0; i < ARRAY_SIZE(commands) && !used; i++) {
		used = match_command(&commands[i], &raw);
		if (used)
			cmd = &commands[i];
	}
	if (!cmd && raw.words_n > 0) {
		complain_of_words(&raw);
		return LB_EXIT_USAGE;
	}
	if (!cmd)
		cmd = &commands[0];
	if (bind_options(&raw, cmd, &line) < 0)
		return LB_EXIT_USAGE;
	if (line.option[OPT_HELP]) {
		if (used)
			print_command_help(cmd);
		else
			print_help();
		return LB_EXIT_OK;
	}
	if (line.option[OPT_VERSION]) {
		print_done("lbctl %s", MAILXDP_VERSION);
		return LB_EXIT_OK;
	}
	if (set_globals(&line) < 0 || bind_words(cmd, raw.words + used, raw.words_n - used, &line) < 0)
		return LB_EXIT_USAGE;
	return cmd->run(&line);
}

int main(int argc, char **argv)
{
	enum lb_exit rc;

	(void)argc;
	rc = run(argv);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		print_fail("cannot write the output: %s", strerror(errno));
		return rc == LB_EXIT_OK ? LB_EXIT_FAILED : rc;
	}
	return rc;
}
