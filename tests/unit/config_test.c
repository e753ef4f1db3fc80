/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file and the model: good files and what they mean, bad files and the exact line, column and words of
 * the answer, rubbish of several kinds, and that what is written is read back as the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "../../loader/addr.h"
#include "../../loader/config.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static char folder[] = "/tmp/config_test.XXXXXX";
static char file[64];	/* c.yaml in it */
static struct lb_error err;
static char warning[512];

static int setup(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(file, sizeof(file), "%s/c.yaml", folder);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(file);
	return rmdir(folder);
}

static void note_warning(const char *text)
{
	snprintf(warning, sizeof(warning), "%s", text);
}

static void write_bytes(const char *text, size_t len)
{
	FILE *f = fopen(file, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static int read_bytes(const char *text, size_t len, struct config **out)
{
	warning[0] = '\0';
	write_bytes(text, len);
	return config_read(file, out, note_warning, &err);
}

static struct config *read_good(const char *text)
{
	struct config *config = NULL;

	if (read_bytes(text, strlen(text), &config))
		fail_msg("%s", err.text);
	return config;
}

/* The error's text behind "<folder>/c.yaml". */
static const char *complaint(void)
{
	size_t len = strlen(file);

	if (strncmp(err.text, file, len))
		fail_msg("no file name first: %s", err.text);
	return err.text + len;
}

static void seven_lines_are_a_config(void **state)
{
	struct config *config = read_good("interface: eth0\n"
					  "services:\n"
					  "  - name: mx\n"
					  "    vip: 192.0.2.25\n"
					  "    ports: [25, 587, 465]\n"
					  "    backends:\n"
					  "      - 10.0.0.11\n");
	const struct service *svc = &config->pool->services[0];
	const struct backend *be = &config->pool->backends[1];

	(void)state;
	assert_int_equal(config->interfaces_n, 1);
	assert_string_equal(config->interfaces[0].name, "eth0");
	assert_int_equal(config->interfaces[0].mode, XDP_MODE_AUTO);
	assert_int_equal(config->flows, LB_DEFAULT_FLOWS);
	assert_int_equal(config->idle_ms, 900000);
	assert_int_equal(config->fin_ms, 120000);
	assert_int_equal(config->rst_ms, 10000);
	assert_int_equal(config->half_open_ms, 30000);
	assert_int_equal(config->drain_idle_ms, 5000);
	assert_int_equal(config->slow_start_ms, 30000);
	assert_int_equal(config->rebalance_ms, 0);
	assert_int_equal(config->hash_seed, 0);
	assert_true(config->manage_vips);
	assert_string_equal(config->based_on, "");
	assert_true(svc->used);
	assert_int_equal(svc->ports_n, 3);
	assert_int_equal(svc->check.kind, CHECK_TCP);
	assert_true(be->used);
	assert_string_equal(be->name, "10.0.0.11");
	assert_int_equal(be->admin, ADMIN_ENABLED);
	assert_string_equal(warning, "");
	config_free(config);
}

static const char full[] =
	"# everything there is\n"
	"interfaces: [eth0, {name: eth1, mode: native}, {name: \"br-lan.7\", mode: generic}]\n"
	"flows: 64k\n"
	"timers: {idle: 20m, fin: 1m, rst: 5, half-open: 10s, drain-idle: 0, slow-start: 1m, rebalance: 10m}\n"
	"hash-seed: 18446744073709551615\n"
	"manage-vips: false\n"
	"based-on: \"0123456789abcdef\"\n"
	"services:\n"
	"  - backends:\n"
	"      - {weight: 5, address: 10.0.0.12, name: mailx2, state: drain, max-conns: 200}\n"
	"      - {address: fd00::12, state: disabled}\n"
	"      - name: \"true\"\n"
	"        address: 'fd00::13'\n"
	"        state: enabled\n"
	"    name: mx\n"
	"    mode: dsr\n"
	"    scheduler: maglev\n"
	"    refuse: drop\n"
	"    vip: [192.0.2.25, \"2001:db8::25\"]\n"
	"    ports: [587, 25]\n"
	"    check: {kind: ehlo, interval: 500ms, timeout: 3, rise: 1, fall: 10, port: 2525}\n"
	"  - {name: bulk, vip: \"2001:db8::26\", ports: 25, check: none}\n";

static void every_key_is_understood_in_any_order(void **state)
{
	struct config *config = read_good(full);
	const struct service *svc = &config->pool->services[0];
	const struct backend *be = config->pool->backends;

	(void)state;
	assert_int_equal(config->interfaces_n, 3);
	assert_int_equal(config->interfaces[1].mode, XDP_MODE_NATIVE);
	assert_string_equal(config->interfaces[2].name, "br-lan.7");
	assert_int_equal(config->interfaces[2].mode, XDP_MODE_GENERIC);
	assert_int_equal(config->flows, 65536);
	assert_int_equal(config->idle_ms, 1200000);
	assert_int_equal(config->rst_ms, 5000);
	assert_int_equal(config->drain_idle_ms, 0);
	assert_int_equal(config->slow_start_ms, 60000);
	assert_int_equal(config->rebalance_ms, 600000);
	assert_int_equal(config->hash_seed, UINT64_MAX);
	assert_false(config->manage_vips);
	assert_string_equal(config->based_on, "0123456789abcdef");
	assert_int_equal(svc->mode, LB_MODE_DSR);
	assert_int_equal(svc->scheduler, LB_SCHED_MAGLEV);
	assert_int_equal(svc->refuse, LB_REFUSE_DROP);
	assert_true(svc->has_vip[0] && svc->has_vip[1]);
	assert_int_equal(svc->check.kind, CHECK_EHLO);
	assert_int_equal(svc->check.interval_ms, 500);
	assert_int_equal(svc->check.timeout_ms, 3000);
	assert_int_equal(svc->check.rise, 1);
	assert_int_equal(svc->check.fall, 10);
	assert_int_equal(svc->check.port, 2525);
	assert_string_equal(be[1].name, "mailx2");
	assert_int_equal(be[1].weight, 5);
	assert_int_equal(be[1].max_flows, 200);
	assert_int_equal(be[1].admin, ADMIN_DRAIN);
	assert_string_equal(be[2].name, "fd00--12");
	assert_int_equal(be[2].admin, ADMIN_DISABLED);
	assert_string_equal(be[3].name, "true");
	assert_int_equal(config->pool->services[1].check.kind, CHECK_NONE);
	config_free(config);
}

static void a_file_of_nothing_is_an_empty_config(void **state)
{
	static const char *const texts[] = { "", "\n\n", "# only words\n", "---\n", "--- \n...\n", "services:\n",
					     "services: []\ninterfaces:\n", "\xef\xbb\xbf# from Windows\r\n" };

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct config *config = read_good(texts[i]);

		assert_int_equal(config->interfaces_n, 0);
		assert_false(config->pool->services[0].used);
		config_free(config);
	}
}

#define SVC "services:\n  - name: mx\n    vip: 192.0.2.25\n    ports: 25\n"	/* lines 1 to 4 */

static const struct { const char *text, *complaint; } bad[] = {
	/* not YAML */
	{ "services: [\n", ":2:1: not YAML: did not find expected node content (while parsing a flow node from line 2): check the "
			   "indentation, brackets and quotes" },
	{ "a: b: c\n", ":1:5: not YAML: mapping values are not allowed in this context: check the indentation, brackets and "
		       "quotes" },
	{ "interface: \"eth0\n", ":2:1: not YAML: found unexpected end of stream (while scanning a quoted scalar from line 1): "
				 "check the indentation, brackets and quotes" },
	{ "services:\n\t- name: mx\n", ":2:1: a tab: indent with spaces" },
	{ "services:\n  - name: mx\n   vip: 192.0.2.25\n",
	  ":3:4: not YAML: did not find expected '-' indicator (while parsing a block collection from line 2): check the "
	  "indentation, brackets and quotes" },
	{ "interface: eth\x01\n", ":1:15: control characters are not allowed (byte 0x01): save the file as plain UTF-8 text" },
	{ "# \xc3\xa4\ninterface: \xc3\xa4\xff\n",
	  ":2:13: invalid leading UTF-8 octet (byte 0xff): save the file as plain UTF-8 text" },
	/* YAML, but more of it than we want */
	{ "flows: &f 64k\nhash-seed: *f\n", ":2:12: aliases are not understood: write the value out" },
	{ "flows: 64k\n---\nflows: 64k\n", ":2:1: a second document: keep one, and no line \"---\" after it" },
	{ "flows: !!int 64\n", ":1:8: tags (\"!...\") are not understood: leave it out, or put the value in quotes" },
	{ "[[[[[[[[[[[[[[[[[[[[\n", ":1:17: nested too deep: check the brackets" },
	/* keys */
	{ "hello\n", ":1:1: the file: expected \"key: value\" pairs, found text: start with \"interface: \"" },
	{ "- interface\n", ":1:1: the file: expected \"key: value\" pairs, found a list: start with \"interface: \"" },
	{ "interfce: eth0\n", ":1:1: unknown key \"interfce\" in the file: did you mean \"interface\"?" },
	{ "colour: red\n", ":1:1: unknown key \"colour\" in the file: there are interface, interfaces, flows, timers, hash-seed, "
			   "manage-vips, services, based-on" },
	{ SVC "    backends:\n      - {address: 10.0.0.11, wieght: 5}\n",
	  ":6:30: unknown key \"wieght\" in backend: did you mean \"weight\"?" },
	{ SVC "    port: 25\n", ":5:5: unknown key \"port\" in service: did you mean \"ports\"?" },
	{ SVC "    vip: 192.0.2.26\n",
	  ":5:5: duplicate key \"vip\" in service: its first value is at line 3, leave one out" },
	{ "timers: {idle: 15m, idle: 15m}\n",
	  ":1:21: duplicate key \"idle\" in timers: its first value is at line 1, leave one out" },
	{ "? [a]\n: b\n", ":1:3: a key: expected one value, found a list" },
	{ "interface: eth0\ninterfaces: [eth1]\n", ":2:13: both interface and interfaces: leave one out" },
	/* types */
	{ "flows: [64k]\n", ":1:8: flows: expected one value, found a list" },
	{ "flows:\n", ":1:7: flows has no value: give one, or leave it out" },
	{ "flows: \"6\\0\"\n", ":1:8: flows has a NUL byte in its value: leave it out" },
	{ "timers: 15m\n", ":1:9: timers: expected \"key: value\" pairs, found text: start with \"idle: \"" },
	{ "services: mx\n", ":1:11: service: expected \"key: value\" pairs, found text: start with \"name: \"" },
	{ SVC "    mode: [nat]\n", ":5:11: mode: expected one value, found a list" },
	{ "services:\n  - name: mx\n    vip: {v4: 192.0.2.25}\n", ":3:10: vip: expected one value, found a mapping" },
	{ SVC "    check: [tcp]\n", ":5:12: check: expected \"key: value\" pairs, found a list: start with \"kind: \"" },
	/* values */
	{ "interface: eth0/1\n", ":1:12: interface \"eth0/1\" is not a name of a network interface: see \"ip link\"" },
	{ "interface: a-name-too-long-for-linux\n",
	  ":1:12: interface \"a-name-too-long-for-linux\" is not a name of a network interface: see \"ip link\"" },
	{ "interfaces: [{name: eth0, mode: fast}]\n",
	  ":1:33: interface \"eth0\": mode \"fast\" is not one of auto, native, generic" },
	{ "interfaces: [{mode: native}]\n", ":1:14: interface has no name: give one, such as eth0" },
	{ "interfaces: [eth0, eth0]\n", ":1:20: interface \"eth0\" is given twice: leave one out" },
	{ "interfaces: [a, b, c, d, e, f, g, h, i]\n", ":1:38: more than 8 interfaces: leave the rest out" },
	{ "flows: 128kb\n", ":1:8: flows \"128kb\" is not a number of 16 to 64m, such as 128k" },
	{ "flows: -3\n", ":1:8: flows \"-3\" is not a number of 16 to 64m, such as 128k" },
	{ "flows: 15\n", ":1:8: flows \"15\" is not a number of 16 to 64m, such as 128k" },
	{ "timers: {fin: 2 m}\n", ":1:15: fin \"2 m\" is not a time of 100ms to 720h, such as 250ms, 30s, 15m or 2h" },
	{ "timers:\n  rst: 0\n", ":2:8: rst \"0\" is not a time of 100ms to 720h, such as 250ms, 30s, 15m or 2h" },
	{ "hash-seed: 0x10\n", ":1:12: hash-seed \"0x10\" is not 0-18446744073709551615" },
	{ "manage-vips: yes\n", ":1:14: manage-vips \"yes\" is not true or false" },
	{ "based-on: xyz\n", ":1:11: based-on \"xyz\" is not a fingerprint: leave it out, lbd writes it" },
	{ SVC "    check: smtp\n",
	  ":5:12: check \"smtp\" is not one of none, tcp, greeting, ehlo, starttls, tls, rcpt, canary" },
	{ SVC "    check: {kind: tcp, rise: 0}\n", ":5:30: rise \"0\" is not 1-100" },
	{ SVC "    check: {interval: 2x}\n",
	  ":5:23: interval \"2x\" is not a time of 100ms to 1h, such as 250ms, 30s, 15m or 2h" },
	{ SVC "    check: {kind: canary}\n",
	  ":5:12: check canary sends real mail: name a sink for it, such as \"to: sink@example.com\"" },
	{ SVC "    check: {kind: canary, to: sink@example.com, must-refuse: virus}\n",
	  ":5:62: must-refuse \"virus\" is not one of none, eicar, gtube" },
	{ SVC "    check: {kind: rcpt, to: sink@example.com, must-refuse: eicar}\n",
	  ":5:60: must-refuse is for a check that sends messages: add \"kind: canary\", or remove it" },
	{ SVC "    check: {kind: tcp, probe-vip: maybe}\n", ":5:35: probe-vip \"maybe\" is not true or false" },
	{ SVC "    check: {kind: tls, verify: name}\n", ":5:32: verify name: which one? add \"name: mx.example.com\"" },
	{ SVC "    check: {kind: tls, verify: all}\n", ":5:32: verify \"all\" is not one of none, chain, name" },
	{ SVC "    check: {kind: ehlo, proxy: v3}\n", ":5:32: proxy \"v3\" is not one of none, v1, v2" },
	{ SVC "    check: {kind: ehlo, source: eth0}\n", ":5:33: source \"eth0\" is not an address of this host" },
	{ SVC "    check: {kind: ehlo, panic: 101%}\n", ":5:32: panic \"101%\" is not 0%-100%" },
	{ SVC "    check: {kind: ehlo, cert-days: x}\n", ":5:36: cert-days \"x\" is not 0-3650" },
	{ SVC "    check: {kind: rcpt, to: \"a@b\\r\\nDATA\"}\n",
	  ":5:29: to \"a@b??DATA\" has a character that cannot be sent there: use printable ASCII without spaces" },
	{ SVC "    check: {kind: rcpt, from: <a@b>}\n",
	  ":5:31: from \"<a@b>\" has a character that cannot be sent there: use printable ASCII without spaces" },
	{ SVC "    agent: {interval: 5s}\n",
	  ":5:12: agent has no port: give the one that it listens on, such as \"port: 9707\"" },
	{ SVC "    agent: yes\n", ":5:12: port \"yes\" is not 1-65535" },
	{ SVC "    agent: {port: 65536}\n", ":5:19: port \"65536\" is not 1-65535" },
	{ SVC "    agent: {port: 9707, interval: 50ms}\n",
	  ":5:35: interval \"50ms\" is not a time of 100ms to 1h, such as 250ms, 30s, 15m or 2h" },
	{ SVC "    agent: {port: 9707, timeout: 2h}\n",
	  ":5:34: timeout \"2h\" is not a time of 100ms to 1h, such as 250ms, 30s, 15m or 2h" },
	{ SVC "    agent: {port: 9707, send: \"a\\nb\"}\n",
	  ":5:31: send \"a?b\" has a character that cannot be sent there: use printable ASCII" },
	{ SVC "    agent: {prot: 9707}\n", ":5:13: unknown key \"prot\" in agent: did you mean \"port\"?" },
	{ SVC "    check: {kind: ehlo, ehlo: a b}\n",
	  ":5:31: ehlo \"a b\" has a character that cannot be sent there: use printable ASCII without spaces" },
	/* meaning: what the pool says, where it is said about */
	{ "services:\n  - vip: 192.0.2.25\n    ports: 25\n", ":2:5: service has no name: give one" },
	{ "services:\n  - name: m x\n    vip: 192.0.2.25\n    ports: 25\n",
	  ":2:11: service \"m x\": the name is not 1-63 of A-Z a-z 0-9 . _ - (no \"-\" first): choose another" },
	{ "services:\n  - name: mx\n    ports: 25\n", ":2:5: service \"mx\" has no VIP: give it an address" },
	{ "services:\n  - name: mx\n    vip: [192.0.2.25,\n          192.0.2.256]\n    ports: 25\n",
	  ":4:11: service \"mx\": VIP \"192.0.2.256\" is not an IPv4 or IPv6 address" },
	{ "services:\n  - name: mx\n    vip: [192.0.2.25, \"fd00::1\", 192.0.2.26]\n    ports: 25\n",
	  ":3:34: service \"mx\" has more than two VIPs: give one IPv4 and one IPv6 address at most" },
	{ "services:\n  - name: mx\n    vip: 192.0.2.25\n    ports: [25, 587, 25x]\n",
	  ":4:22: service \"mx\": port \"25x\" is not 1-65535" },
	{ "services:\n  - name: mx\n    vip: 192.0.2.25\n    ports: [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]\n",
	  ":4:52: service \"mx\" has more than 16 ports: make two services of it" },
	{ SVC "    mode: natt\n", ":5:11: service \"mx\": mode \"natt\" is not one of nat, dsr" },
	{ SVC SVC, ":5:1: duplicate key \"services\" in the file: its first value is at line 2, leave one out" },
	{ SVC "  - name: mx\n    vip: 192.0.2.26\n    ports: 25\n",
	  ":5:11: service \"mx\" exists already: choose another name" },
	{ SVC "  - name: two\n    vip: 192.0.2.25\n    ports: 25\n",
	  ":6:10: service \"two\": 192.0.2.25 port 25 is served by service \"mx\" already: choose another VIP or port" },
	{ SVC "    backends: [10.0.0.11, 10.0.0.300]\n",
	  ":5:27: backend: address \"10.0.0.300\" is not an IPv4 or IPv6 address" },
	{ SVC "    backends: [{name: mx1}]\n", ":5:16: backend has no address: give one" },
	{ SVC "    backends: [10.0.0.11, 10.0.0.11]\n",
	  ":5:27: backend \"10.0.0.11\" exists already at 10.0.0.11: choose another name, or \"lbctl set 10.0.0.11\"" },
	{ SVC "    backends:\n      - {name: mx3, address: 10.0.0.13,\n         weight: 70000}\n",
	  ":7:18: backend \"mx3\": weight \"70000\" is not 1-65535" },
	{ SVC "    backends: [{address: 10.0.0.13, weight: 10x}]\n",
	  ":5:45: backend \"10.0.0.13\": weight \"10x\" is not 1-65535" },
	{ SVC "    backends: [{address: 10.0.0.13, state: off}]\n",
	  ":5:44: state \"off\" is not one of enabled, drain, disabled" },
	{ SVC "    backends: [\"fd00::11\"]\n",
	  ":5:16: service \"mx\" has no IPv6 VIP for fd00::11: add a backend with an IPv4 address, or a service with an IPv6 "
	  "VIP" },
	{ SVC "    backends: [{name: b, address: 192.0.2.25}]\n",
	  ":5:35: backend \"b\": 192.0.2.25 is the VIP of service \"mx\": give the mail server's own address" },
};

static void a_bad_file_is_answered_with_line_column_and_advice(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct config *config = NULL;
		int got = read_bytes(bad[i].text, strlen(bad[i].text), &config);

		if (got != -EINVAL || err.code != LB_EXIT_USAGE || strcmp(complaint(), bad[i].complaint))
			fail_msg("%zu: %s\n%d, code %d: %s\nwanted: %s", i, bad[i].text, got, err.code, err.text, bad[i].complaint);
		assert_null(config);
	}
}

static void a_short_idle_time_is_taken_with_a_warning(void **state)
{
	struct config *config = read_good("timers:\n  idle: 659s\n");

	(void)state;
	assert_int_equal(config->idle_ms, 659000);
	assert_string_equal(warning + strlen(file), ":2:9: idle \"659s\" is under 11m: a client may wait 10 minutes for the reply "
						    "to its data (RFC 5321, 4.5.3.2.6), and its session would be cut off");
	config_free(config);
	config_free(read_good("timers:\n  idle: 660s\n"));
	assert_string_equal(warning, "");
	assert_int_equal(config_read(file, &config, NULL, &err), 0);
	config_free(config);
}

static void a_long_path_leaves_room_for_the_message(void **state)
{
	char path[600];
	struct config *config = NULL;
	size_t at = strlen(folder);

	(void)state;
	write_bytes("flows: x\n", 9);
	memcpy(path, folder, at);
	while (at < 500) {
		path[at++] = '/';
		path[at++] = '.';
	}
	strcpy(path + at, "/c.yaml");
	assert_int_equal(config_read(path, &config, NULL, &err), -EINVAL);
	assert_non_null(strstr(err.text, "/./c.yaml:1:8: flows \"x\" is not a number of 16 to 64m, such as 128k"));
}

static void files_that_cannot_be_read_say_so(void **state)
{
	struct config *config = NULL;

	(void)state;
	assert_int_equal(config_read("/nonexistent/c.yaml", &config, NULL, &err), -ENOENT);
	assert_int_equal(err.code, LB_EXIT_NOT_FOUND);
	assert_string_equal(err.text, "/nonexistent/c.yaml: no such file: write one, see mailxdp.yaml(5)");
	assert_int_equal(config_read("/", &config, NULL, &err), -EINVAL);
	assert_string_equal(err.text, "/: this is a folder: name the file in it");
	if (geteuid()) {
		write_bytes("", 0);
		assert_int_equal(chmod(file, 0), 0);
		assert_int_equal(config_read(file, &config, NULL, &err), -EPERM);
		assert_int_equal(err.code, LB_EXIT_NOT_PERMITTED);
		unlink(file);
	}
	assert_null(config);
}

static void a_file_over_a_mebibyte_is_refused_and_one_byte_less_is_not(void **state)
{
	size_t len = 1 << 20;
	char *text = malloc(len + 1);
	struct config *config = NULL;

	(void)state;
	memset(text, '#', len + 1);
	for (size_t i = 79; i < len; i += 80)
		text[i] = '\n';
	assert_int_equal(read_bytes(text, len + 1, &config), -EINVAL);
	assert_string_equal(complaint(), ": over 1 MiB: this is not a config");
	assert_int_equal(read_bytes(text, len, &config), 0);
	config_free(config);
	free(text);
}

static void nul_bytes_are_refused_where_they_stand(void **state)
{
	static const char text[] = "flows: 64k\nhash-seed: 1\0 2\n";
	struct config *config = NULL;

	(void)state;
	assert_int_equal(read_bytes(text, sizeof(text) - 1, &config), -EINVAL);
	assert_string_equal(complaint(), ":2:13: control characters are not allowed (byte 0x00): save the file as plain UTF-8 text");
	assert_int_equal(read_bytes("\0", 1, &config), -EINVAL);
	assert_null(config);
}

static void depth_and_width_cost_little(void **state)
{
	static const char *const pieces[] = { "[", "{", "- ", "? ", "a: ", "\"", "'", "a,", "!", "&a ", "|\n", "- a\n", "%", "\t",
					      "{a: [", "? - ", ": " };
	size_t len = 1 << 20;
	char *text = malloc(len + 1);

	(void)state;
	for (size_t i = 0; i < COUNT(pieces); i++) {
		size_t piece = strlen(pieces[i]), n = len / piece * piece;
		struct config *config = NULL;

		for (size_t at = 0; at < n; at += piece)
			memcpy(text + at, pieces[i], piece);
		assert_int_equal(read_bytes(text, n, &config), -EINVAL);
		complaint();
	}
	free(text);
}

/* xorshift: the same rubbish in every run */
static uint32_t dice(void)
{
	static uint32_t x = 2463534242;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return x;
}

static void rubbish_never_does_worse_than_an_error(void **state)
{
	char text[sizeof(full)];

	(void)state;
	for (int trial = 0; trial < 4000; trial++) {
		struct config *config = NULL;
		size_t len = sizeof(full) - 1;

		memcpy(text, full, sizeof(full));
		if (trial % 2)
			len = dice() % len + 1;	/* cut off */
		for (uint32_t n = dice() % 4; n; n--) {
			size_t at = dice() % len, from = dice() % len;

			switch (dice() % 3) {
			case 0:
				text[at] = dice();
				break;
			case 1:
				text[at] = full[from];
				break;
			default:
				memmove(text + at, text + from, len - (at > from ? at : from));
			}
		}
		if (read_bytes(text, len, &config))
			assert_null(config);
		else
			config_free(config);
	}
}

/* --- writing --- */

static void assert_same_pool(const struct pool *a, const struct pool *b)
{
	int j = 0;

	for (int i = 0; i < POOL_MAX_SERVICES; i++) {
		const struct service *x = &a->services[i], *y = &b->services[i];

		assert_int_equal(x->used, y->used);
		if (!x->used)
			continue;
		assert_string_equal(x->name, y->name);
		assert_int_equal(x->mode, y->mode);
		assert_int_equal(x->scheduler, y->scheduler);
		assert_int_equal(x->refuse, y->refuse);
		assert_memory_equal(x->vip, y->vip, sizeof(x->vip));
		assert_memory_equal(x->has_vip, y->has_vip, sizeof(x->has_vip));
		assert_int_equal(x->ports_n, y->ports_n);
		assert_memory_equal(x->ports, y->ports, sizeof(x->ports));
		assert_memory_equal(&x->check, &y->check, sizeof(x->check));
		assert_memory_equal(&x->agent, &y->agent, sizeof(x->agent));
	}
	for (int i = 1; i < LB_MAX_BACKENDS; i++) {
		const struct backend *x = &a->backends[i], *y;

		if (!x->used || x->admin == ADMIN_REMOVED)
			continue;
		j = pool_backend_find(b, x->name);
		assert_true(j > 0);
		y = &b->backends[j];
		assert_int_equal(x->service, y->service);
		assert_true(addr_equal(&x->address, &y->address));
		assert_int_equal(x->weight, y->weight);
		assert_int_equal(x->max_flows, y->max_flows);
		assert_int_equal(x->admin, y->admin);
	}
	for (int i = 1; i < LB_MAX_BACKENDS; i++)
		if (b->backends[i].used)
			assert_true(pool_backend_find(a, b->backends[i].name) > 0);
}

static void assert_same(const struct config *a, const struct config *b)
{
	assert_int_equal(a->interfaces_n, b->interfaces_n);
	assert_memory_equal(a->interfaces, b->interfaces, sizeof(a->interfaces));
	assert_int_equal(a->flows, b->flows);
	assert_int_equal(a->idle_ms, b->idle_ms);
	assert_int_equal(a->fin_ms, b->fin_ms);
	assert_int_equal(a->rst_ms, b->rst_ms);
	assert_int_equal(a->half_open_ms, b->half_open_ms);
	assert_int_equal(a->drain_idle_ms, b->drain_idle_ms);
	assert_int_equal(a->slow_start_ms, b->slow_start_ms);
	assert_int_equal(a->rebalance_ms, b->rebalance_ms);
	assert_int_equal(a->hash_seed, b->hash_seed);
	assert_int_equal(a->manage_vips, b->manage_vips);
	assert_string_equal(a->based_on, b->based_on);
	assert_same_pool(a->pool, b->pool);
}

/* The file's text, in a buffer of the test. */
static const char *text_of_file(void)
{
	static char text[1 << 20];
	FILE *f = fopen(file, "r");
	size_t len;

	assert_non_null(f);
	len = fread(text, 1, sizeof(text) - 1, f);
	text[len] = '\0';
	fclose(f);
	return text;
}

static struct config *read_back(const struct config *config, const char *header)
{
	struct config *back = NULL;

	if (config_write(file, config, header, &err) || config_read(file, &back, NULL, &err))
		fail_msg("%s\n%s", err.text, text_of_file());
	return back;
}

static void what_is_written_is_read_back_as_the_same(void **state)
{
	static const char *const texts[] = {
		full, "", "interface: eth0\n", SVC,
		"interface: {name: \"1\", mode: generic}\nservices:\n  - {name: 007, vip: 10.1.1.1, ports: 1, check: {kind: none, "
		"timeout: 1500ms}}\n",
		"interface: \"\\\"#\\\\,]\"\nhash-seed: 0\nservices:\n  - {name: no, vip: 192.0.2.1, ports: 65535, backends: "
		"[{name: null, address: 10.0.0.1}, {name: 1e3, address: 10.0.0.2}, {name: 1.2.3.4, address: 10.0.0.3}, {name: "
		"_.-, address: 10.0.0.4}, {name: Y, address: 10.0.0.5}]}\n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct config *config = read_good(texts[i]), *back = read_back(config, "written by a test\nin two lines");

		assert_same(config, back);
		config_free(back);
		config_free(config);
	}
}

static void the_written_file_reads_well(void **state)
{
	struct config *config = read_good(full);

	(void)state;
	assert_int_equal(config_write(file, config, "State of lbd.\nDo not edit.\n", &err), 0);
	assert_string_equal(text_of_file(),
			    "# State of lbd.\n"
			    "# Do not edit.\n"
			    "based-on: \"0123456789abcdef\"\n"
			    "interfaces:\n"
			    "  - {name: eth0}\n"
			    "  - {name: eth1, mode: native}\n"
			    "  - {name: br-lan.7, mode: generic}\n"
			    "flows: 65536\n"
			    "timers:\n"
			    "  idle: 20m\n"
			    "  fin: 1m\n"
			    "  rst: 5s\n"
			    "  half-open: 10s\n"
			    "  drain-idle: 0s\n"
			    "  slow-start: 1m\n"
			    "  rebalance: 10m\n"
			    "hash-seed: 18446744073709551615\n"
			    "manage-vips: false\n"
			    "services:\n"
			    "  - name: mx\n"
			    "    vip: [192.0.2.25, \"2001:db8::25\"]\n"
			    "    ports: [25, 587]\n"
			    "    mode: dsr\n"
			    "    scheduler: maglev\n"
			    "    refuse: drop\n"
			    "    check: {kind: ehlo, interval: 500ms, timeout: 3s, rise: 1, fall: 10, port: 2525}\n"
			    "    backends:\n"
			    "      - {name: mailx2, address: 10.0.0.12, weight: 5, max-conns: 200, state: drain}\n"
			    "      - {name: fd00--12, address: \"fd00::12\", state: disabled}\n"
			    "      - {name: \"true\", address: \"fd00::13\"}\n"
			    "  - name: bulk\n"
			    "    vip: [\"2001:db8::26\"]\n"
			    "    ports: [25]\n"
			    "    mode: nat\n"
			    "    scheduler: least-inflight\n"
			    "    refuse: reset\n"
			    "    check: {kind: none}\n");
	config_free(config);
}

static void a_check_with_everything_comes_back(void **state)
{
	static const char *const checks[] = {
		"{kind: rcpt, ehlo: probe.example.net, keywords: \"SIZE 8BITMIME\", from: a@example.net, to: b@example.com, "
		"source: 192.0.2.9, proxy: v2, panic: 70%}",
		"{kind: canary, to: sink@example.com}",
		"{kind: canary, to: sink@example.com, interval: 2s, timeout: 5s}",
		"{kind: canary, to: sink@example.com, must-refuse: eicar}",
		"{kind: canary, to: sink@example.com, must-refuse: gtube}",
		"{kind: ehlo, probe-vip: false}",
		"{kind: tls, port: 465, name: mx.example.com, cert-days: 30, panic: 0}",
		"{kind: tls, name: mx.example.com, verify: chain}",
		"{kind: starttls, verify: chain, from: <>}",
	};
	char text[1024];

	(void)state;
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		struct config *config, *back;

		snprintf(text, sizeof(text), SVC "    check: %s\n", checks[i]);
		config = read_good(text);
		back = read_back(config, NULL);
		assert_same(config, back);
		config_free(back);
		config_free(config);
	}
}

static void an_agent_comes_back(void **state)
{
	static const char *const agents[] = {
		"9707", "{port: 9707, interval: 500ms, timeout: 1s, send: \"hello there: you\"}", "{port: 1, interval: 1h}",
	};
	char text[1024];

	(void)state;
	for (size_t i = 0; i < COUNT(agents); i++) {
		struct config *config, *back;

		snprintf(text, sizeof(text), SVC "    agent: %s\n", agents[i]);
		config = read_good(text);
		assert_int_not_equal(config->pool->services[0].agent.port, 0);
		back = read_back(config, NULL);
		assert_same(config, back);
		config_free(back);
		config_free(config);
	}
}

static void an_agent_has_defaults(void **state)
{
	struct config *config = read_good(SVC "    agent: {port: 9707}\n");
	const struct agent_conf *agent = &config->pool->services[0].agent;

	(void)state;
	assert_int_equal(agent->port, 9707);
	assert_int_equal(agent->interval_ms, 5000);
	assert_int_equal(agent->timeout_ms, 2000);
	assert_string_equal(agent->send, "");
	config_free(config);
}

static void checks_have_their_own_defaults(void **state)
{
	struct config *config = read_good(SVC "    check: {kind: canary, to: sink@example.com}\n");
	const struct check_conf *check = &config->pool->services[0].check;

	(void)state;
	assert_int_equal(check->interval_ms, 300000);
	assert_int_equal(check->timeout_ms, 60000);
	assert_int_equal(check->panic, 50);
	assert_int_equal(check->cert_days, 14);
	config_free(config);
	config = read_good(SVC "    check: {kind: tls, name: mx.example.com}\n");
	check = &config->pool->services[0].check;
	assert_int_equal(check->verify, VERIFY_NAME);
	assert_int_equal(check->interval_ms, 2000);
	config_free(config);
}

static void removed_backends_are_not_written(void **state)
{
	struct config *config = read_good(full), *back;

	(void)state;
	assert_true(pool_backend_admin(config->pool, "mailx2", ADMIN_REMOVED, 1, "by lbctl", &err) > 0);
	back = read_back(config, NULL);
	assert_int_equal(pool_backend_find(back->pool, "mailx2"), -ENOENT);
	assert_same(config, back);
	config_free(back);
	config_free(config);
}

static void a_full_pool_comes_back(void **state)
{
	struct config *config = NULL, *back;
	char name[64], address[ADDR_STRLEN];

	(void)state;
	assert_int_equal(config_new(&config), 0);
	for (int i = 0; i < 4; i++) {
		const struct service_spec spec = { .name = name, .vips = { address, "2001:db8::25" }, .vips_n = 2,
						   .ports = { (const char *[]){ "25", "26", "27", "28" }[i] }, .ports_n = 1 };

		snprintf(name, sizeof(name), "s%d", i);
		snprintf(address, sizeof(address), "192.0.2.%d", i + 1);
		assert_int_equal(pool_service_add(config->pool, &spec, &err), i);
	}
	for (int i = 1; i < LB_MAX_BACKENDS; i++) {
		const char *service = (const char *[]){ "s0", "s1", "s2", "s3" }[i % 4];
		const struct backend_spec spec = { .name = name, .address = address, .service = service,
						   .weight = "65535", .max_conns = "4294967295", .admin = i % 3 };

		snprintf(name, sizeof(name), "%053d-backend", i);	/* as long as names get, nearly */
		snprintf(address, sizeof(address), "2001:db8:aaaa:bbbb:cccc:dddd:eeee:%x", i);
		assert_int_equal(pool_backend_add(config->pool, &spec, 0, &err), i);
	}
	back = read_back(config, NULL);
	assert_same(config, back);
	config_free(back);
	config_free(config);
}

static void a_header_cannot_break_out_of_its_comment(void **state)
{
	struct config *config = read_good(""), *back;

	(void)state;
	back = read_back(config, "one\rflows: 64k\nflows: 64k\n\nthree");
	assert_string_equal(text_of_file(), "# one flows: 64k\n# flows: 64k\n# \n# three\n");
	assert_same(config, back);
	config_free(back);
	config_free(config);
}

static void writing_keeps_the_mode_and_goes_through_links(void **state)
{
	struct config *config = read_good("interface: eth0\n");
	char link[80];
	struct stat st;

	(void)state;
	snprintf(link, sizeof(link), "%s/link.yaml", folder);
	assert_int_equal(symlink("c.yaml", link), 0);
	assert_int_equal(chmod(file, 0640), 0);
	strcpy(config->interfaces[0].name, "eth7");
	assert_int_equal(config_write(link, config, NULL, &err), 0);
	assert_int_equal(lstat(link, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	assert_string_equal(text_of_file(), "interface: eth7\n");
	unlink(link);
	unlink(file);
	assert_int_equal(config_write(file, config, NULL, &err), 0);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
	config_free(config);
}

static void a_place_that_cannot_be_written_to_is_an_error_and_leaves_nothing_behind(void **state)
{
	struct config *config = NULL;
	char path[80];

	(void)state;
	assert_int_equal(config_new(&config), 0);
	assert_int_equal(config_write("/nonexistent/c.yaml", config, NULL, &err), -ENOENT);
	assert_int_equal(err.code, LB_EXIT_NOT_FOUND);
	assert_string_equal(err.text, "/nonexistent/c.yaml: cannot write: there is no such folder: make it first");
	snprintf(path, sizeof(path), "%s/sub", folder);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(config_write(path, config, NULL, &err), -EIO);	/* a folder is in the way */
	assert_int_equal(rmdir(path), 0);
	config_free(config);	/* teardown's rmdir() proves that no temporary file is left */
}

static void the_fingerprint_is_of_the_bytes(void **state)
{
	char a[65], b[65];

	(void)state;
	write_bytes("interface: eth0\n", 16);
	config_fingerprint(file, a);
	assert_int_equal(strlen(a), 32);
	assert_int_equal(strspn(a, "0123456789abcdef"), 32);
	config_fingerprint(file, b);
	assert_string_equal(a, b);
	write_bytes("interface: eth1\n", 16);
	config_fingerprint(file, b);
	assert_string_not_equal(a, b);
	unlink(file);
	config_fingerprint(file, b);
	assert_string_equal(b, "");
}

static void xdp_modes_lead_there_and_back(void **state)
{
	(void)state;
	for (int m = 0; m < XDP_MODE_MAX; m++)
		assert_int_equal(xdp_mode_from_str(xdp_mode_to_str(m)), m);
	assert_int_equal(xdp_mode_from_str("skb"), -EINVAL);
	assert_string_equal(xdp_mode_to_str(XDP_MODE_MAX), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(seven_lines_are_a_config),
		cmocka_unit_test(every_key_is_understood_in_any_order),
		cmocka_unit_test(a_file_of_nothing_is_an_empty_config),
		cmocka_unit_test(a_bad_file_is_answered_with_line_column_and_advice),
		cmocka_unit_test(a_short_idle_time_is_taken_with_a_warning),
		cmocka_unit_test(a_long_path_leaves_room_for_the_message),
		cmocka_unit_test(files_that_cannot_be_read_say_so),
		cmocka_unit_test(a_file_over_a_mebibyte_is_refused_and_one_byte_less_is_not),
		cmocka_unit_test(nul_bytes_are_refused_where_they_stand),
		cmocka_unit_test(depth_and_width_cost_little),
		cmocka_unit_test(rubbish_never_does_worse_than_an_error),
		cmocka_unit_test(what_is_written_is_read_back_as_the_same),
		cmocka_unit_test(the_written_file_reads_well),
		cmocka_unit_test(a_check_with_everything_comes_back),
		cmocka_unit_test(an_agent_comes_back),
		cmocka_unit_test(an_agent_has_defaults),
		cmocka_unit_test(checks_have_their_own_defaults),
		cmocka_unit_test(removed_backends_are_not_written),
		cmocka_unit_test(a_full_pool_comes_back),
		cmocka_unit_test(a_header_cannot_break_out_of_its_comment),
		cmocka_unit_test(writing_keeps_the_mode_and_goes_through_links),
		cmocka_unit_test(a_place_that_cannot_be_written_to_is_an_error_and_leaves_nothing_behind),
		cmocka_unit_test(the_fingerprint_is_of_the_bytes),
		cmocka_unit_test(xdp_modes_lead_there_and_back),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
