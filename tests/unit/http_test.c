// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The HTTP server on a real unix socket in a temporary folder, hit by libcurl and by clients that do
 * not behave. The handler is canned: it answers with what it was given. No privileges.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <curl/curl.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include "../../loader/api_names.h"
#include "descriptors.h"
#include "http_server.h"

static struct http_server server;
static struct http_peer peer;		/* who the server believes to be talking to */

static int fake_peer(int fd, struct http_peer *out)
{
	(void)fd;
	*out = peer;
	return 0;
}

static int no_peer(int fd, struct http_peer *out)
{
	(void)fd, (void)out;
	return -ENOTCONN;
}

static int handler(void *arg, const struct http_request *req, struct http_answer *out)
{
	const char *key = req->query(req, "key"), *flag = req->query(req, "flag");

	(void)arg;
	if (strcmp(req->path, "/fail") == 0)
		return -ENOMEM;
	out->status = req->may_change ? 200 : 403;
	out->type = "text/test";
	if (asprintf(&out->body, "%s %s key=%s flag=%s len=%zu big=%d body=%.20s", req->method, req->path,
		     key ? key : "(none)", flag ? flag : "(none)", req->body_len, req->body_too_big,
		     req->body) == -1)
		return -ENOMEM;
	out->len = strlen(out->body);
	return 0;
}

static void start(struct http_conf conf)
{
	conf.handler = handler;
	http_server_folder(&server);
	http_server_start(&server, &conf);
}

static void stop(void)
{
	http_server_stop(&server);
	http_server_clean(&server);
}

struct got {
	CURLcode rc;
	long status;
	char text[512];
};

static size_t on_data(char *data, size_t size, size_t n, void *arg)
{
	struct got *got = arg;
	size_t at = strlen(got->text), len = size * n;

	if (at + len < sizeof(got->text))
		memcpy(got->text + at, data, len);
	return len;
}

/* body NULL: none. */
static struct got request(const char *path, const char *method, const char *body, size_t len)
{
	struct got got = {};
	CURL *curl = curl_easy_init();
	char url[256];

	snprintf(url, sizeof(url), "http://x%s", path);
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, server.path);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &got);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, 10L);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	if (body) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)len);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
	}
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	got.rc = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &got.status);
	curl_easy_cleanup(curl);
	return got;
}

static int raw_connect(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	const struct timeval patience = { .tv_sec = 10 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(addr.sun_path, server.path);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	return fd;
}

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void a_request_reaches_the_handler_whole(void **state)
{
	struct got got;

	(void)state;
	start((struct http_conf){});
	got = request("/a/b%20c?key=%22v%22&flag", "GET", NULL, 0);
	assert_int_equal(got.rc, CURLE_OK);
	assert_int_equal(got.status, 200);
	assert_string_equal(got.text, "GET /a/b c key=\"v\" flag= len=0 big=0 body=");
	got = request("/x", "PATCH", "{\"a\":1}", 7);
	assert_string_equal(got.text, "PATCH /x key=(none) flag=(none) len=7 big=0 body={\"a\":1}");
	got = request("/x", "DELETE", NULL, 0);
	assert_string_equal(got.text, "DELETE /x key=(none) flag=(none) len=0 big=0 body=");
	stop();
}

static void a_body_up_to_the_limit_arrives_and_not_one_byte_more(void **state)
{
	char *body = malloc(API_MAX_BODY + 1);
	char want[128];
	struct got got;

	(void)state;
	memset(body, 'x', API_MAX_BODY + 1);
	start((struct http_conf){});
	got = request("/x", "POST", body, API_MAX_BODY);
	snprintf(want, sizeof(want), "POST /x key=(none) flag=(none) len=%d big=0 body=xxxxxxxxxxxxxxxxxxxx",
		 API_MAX_BODY);
	assert_string_equal(got.text, want);
	got = request("/x", "POST", body, API_MAX_BODY + 1);
	assert_string_equal(got.text, "POST /x key=(none) flag=(none) len=0 big=1 body=");
	stop();
	free(body);
}

static void an_endless_body_is_cut_off(void **state)
{
	static const char head[] = "POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
	char chunk[4096 + 8];
	size_t sent = 0;
	int fd;

	(void)state;
	memset(chunk, 'x', sizeof(chunk));
	memcpy(chunk, "1000\r\n", 6);
	memcpy(chunk + 4096 + 6, "\r\n", 2);
	start((struct http_conf){});
	fd = raw_connect();
	assert_int_equal(send(fd, head, strlen(head), MSG_NOSIGNAL), strlen(head));
	while (sent < 64 << 20) {
		ssize_t n = send(fd, chunk, sizeof(chunk), MSG_NOSIGNAL);

		if (n <= 0)
			break;
		assert_int_equal(n, sizeof(chunk));
		sent += n;
	}
	assert_true(sent < 4 << 20);
	close(fd);
	assert_int_equal(request("/x", "GET", NULL, 0).status, 200);
	stop();
}

static void a_long_header_is_refused(void **state)
{
	struct got got;
	char *head;
	int fd;
	ssize_t n;

	(void)state;
	start((struct http_conf){});
	assert_true(asprintf(&head, "GET / HTTP/1.1\r\nHost: x\r\nX: %065536d\r\n\r\n", 1) > 0);
	fd = raw_connect();
	send(fd, head, strlen(head), MSG_NOSIGNAL);
	n = recv(fd, got.text, sizeof(got.text) - 1, 0);
	if (n > 0) {
		got.text[n] = '\0';
		assert_non_null(strstr(got.text, " 431 "));
	}
	close(fd);
	free(head);
	assert_int_equal(request("/x", "GET", NULL, 0).status, 200);
	stop();
}

static void the_rule_of_who_may_change(void **state)
{
	gid_t groups[] = { 100, 200 };
	const struct {
		const char *who;
		struct http_peer peer;
		bool may;
	} cases[] = {
		{ "root", { 0, 5, NULL, 0 }, true },
		{ "the daemon's user", { 990, 5, NULL, 0 }, true },
		{ "a user of the group", { 1000, 200, NULL, 0 }, true },
		{ "a member of the group", { 1000, 5, groups, 2 }, true },
		{ "a member of another group", { 1000, 5, groups, 1 }, false },
		{ "anybody", { 1000, 5, NULL, 0 }, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (http_peer_may_change(&cases[i].peer, 990, 200) != cases[i].may)
			fail_msg("%s", cases[i].who);
}

static void the_peer_of_each_request_decides(void **state)
{
	(void)state;
	peer = (struct http_peer){ .uid = geteuid() + 1, .gid = getegid() + 1 };
	start((struct http_conf){ .peer = fake_peer });
	assert_int_equal(request("/x", "POST", "", 0).status, 403);
	peer.gid = getegid();		/* the group of the socket file */
	assert_int_equal(request("/x", "POST", "", 0).status, 200);
	peer = (struct http_peer){ .uid = geteuid(), .gid = getegid() + 1 };
	assert_int_equal(request("/x", "POST", "", 0).status, 200);
	/* Somebody put another file there: its group counts for nothing. */
	peer = (struct http_peer){ .uid = geteuid() + 1, .gid = getegid() };
	{
		char moved[128];

		snprintf(moved, sizeof(moved), "%s.moved", server.path);
		assert_int_equal(rename(server.path, moved), 0);
		assert_int_equal(symlink(moved, server.path), 0);
		assert_int_equal(request("/x", "POST", "", 0).status, 403);
		assert_int_equal(rename(moved, server.path), 0);
	}
	assert_int_equal(request("/x", "POST", "", 0).status, 200);
	stop();
	start((struct http_conf){ .peer = no_peer });
	assert_int_equal(request("/x", "POST", "", 0).status, 403);
	stop();
}

static void our_own_user_may_change(void **state)
{
	(void)state;
	start((struct http_conf){});
	assert_int_equal(request("/x", "POST", "", 0).status, 200);
	stop();
}

static void a_handler_that_fails_is_a_500(void **state)
{
	struct got got;

	(void)state;
	start((struct http_conf){});
	got = request("/fail", "GET", NULL, 0);
	assert_int_equal(got.rc, CURLE_OK);
	assert_int_equal(got.status, 500);
	assert_string_equal(got.text, "");
	stop();
}

static void the_socket_is_never_open_to_all(void **state)
{
	mode_t old = umask(0);
	struct stat st;

	(void)state;
	start((struct http_conf){});
	assert_int_equal(umask(old), 0);	/* and the umask is as it was */
	assert_int_equal(lstat(server.path, &st), 0);
	assert_int_equal(st.st_mode, S_IFSOCK | 0660);
	stop();
}

static int try_open(const char *path)
{
	struct http_conf conf = { .path = path, .handler = handler };
	struct http *http = NULL;
	sd_event *event = NULL;
	int err;

	assert_true(sd_event_new(&event) >= 0);
	err = http_open(event, &conf, &http);
	if (err < 0)
		assert_null(http);
	http_close(http);
	sd_event_unref(event);
	return err;
}

static void leave_dead_socket(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(addr.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 1), 0);
	close(fd);
}

static void a_dead_daemons_socket_is_replaced(void **state)
{
	(void)state;
	http_server_folder(&server);
	leave_dead_socket(server.path);
	assert_int_equal(try_open(server.path), 0);
	assert_int_equal(access(server.path, F_OK), -1);
	http_server_clean(&server);
}

static void a_live_daemon_keeps_its_socket(void **state)
{
	(void)state;
	start((struct http_conf){});
	assert_int_equal(try_open(server.path), -EADDRINUSE);
	assert_int_equal(request("/x", "GET", NULL, 0).status, 200);
	stop();
}

static void what_is_no_socket_is_left_alone(void **state)
{
	char target[128], link[128];
	FILE *file;

	(void)state;
	http_server_folder(&server);
	snprintf(target, sizeof(target), "%s/target", server.folder);
	snprintf(link, sizeof(link), "%s/link", server.folder);
	file = fopen(target, "w");
	assert_non_null(file);
	fclose(file);
	assert_int_equal(try_open(target), -EEXIST);
	assert_int_equal(symlink(target, link), 0);
	assert_int_equal(try_open(link), -EEXIST);
	assert_int_equal(unlink(target), 0);
	assert_int_equal(try_open(link), -EEXIST);	/* dangling */
	assert_int_equal(access(target, F_OK), -1);	/* and nothing was made through it */
	leave_dead_socket(target);
	assert_int_equal(try_open(link), -EEXIST);
	unlink(target);
	unlink(link);
	http_server_clean(&server);
}

static void a_missing_folder_is_made_and_a_long_path_refused(void **state)
{
	char path[160], folder[128], longest[200];

	(void)state;
	http_server_folder(&server);
	snprintf(folder, sizeof(folder), "%s/run", server.folder);
	snprintf(path, sizeof(path), "%s/lbd.sock", folder);
	assert_int_equal(try_open(path), 0);
	assert_int_equal(rmdir(folder), 0);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[0] = '/';
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(try_open(longest), -ENAMETOOLONG);
	http_server_clean(&server);
}

static void another_daemons_file_survives_our_end(void **state)
{
	(void)state;
	start((struct http_conf){});
	assert_int_equal(unlink(server.path), 0);
	leave_dead_socket(server.path);
	http_server_stop(&server);
	assert_int_equal(access(server.path, F_OK), 0);
	http_server_clean(&server);
}

static void nothing_is_left_open(void **state)
{
	int before, fd;

	(void)state;
	request("/x", "GET", NULL, 0);		/* whatever libcurl opens once */
	before = open_descriptors("");
	start((struct http_conf){});
	fd = raw_connect();
	assert_int_equal(request("/x", "GET", NULL, 0).status, 200);
	stop();
	close(fd);
	assert_int_equal(open_descriptors(""), before);
}

static void a_silent_client_is_cut_off(void **state)
{
	char byte;
	int fd;

	(void)state;
	start((struct http_conf){ .timeout_s = 1 });
	fd = raw_connect();
	assert_int_equal(send(fd, "GET /", 5, MSG_NOSIGNAL), 5);
	while (recv(fd, &byte, 1, 0) > 0)	/* perhaps a 408 first */
		;
	assert_int_not_equal(errno, EAGAIN);
	close(fd);
	stop();
}

/* With all places taken the next client waits, and is served as soon as one is free: long before
 * any time-out. */
static void a_full_house_opens_again(void **state)
{
	double begin = now_s();
	int first, second;
	struct got got;

	(void)state;
	start((struct http_conf){ .timeout_s = 60, .max_clients = 2 });
	for (int round = 0; round < 20; round++) {
		first = raw_connect();
		second = raw_connect();
		assert_int_equal(send(first, "GET /", 5, MSG_NOSIGNAL), 5);
		assert_int_equal(send(second, "GET /", 5, MSG_NOSIGNAL), 5);
		close(round % 2 ? first : second);
		got = request("/x", "GET", NULL, 0);
		assert_int_equal(got.rc, CURLE_OK);
		assert_int_equal(got.status, 200);
		close(round % 2 ? second : first);
	}
	assert_true(now_s() - begin < 10);
	stop();
}

static void a_waiting_client_is_served_when_another_leaves(void **state)
{
	static const char ask[] = "GET /x HTTP/1.1\r\nHost: x\r\n\r\n";
	int taken[2], waiting;
	char text[64];

	(void)state;
	start((struct http_conf){ .timeout_s = 60, .max_clients = 2 });
	for (int i = 0; i < 2; i++) {
		taken[i] = raw_connect();
		assert_int_equal(send(taken[i], ask, strlen(ask), MSG_NOSIGNAL), strlen(ask));
		assert_true(recv(taken[i], text, sizeof(text), 0) > 0);
	}
	waiting = raw_connect();
	assert_int_equal(send(waiting, ask, strlen(ask), MSG_NOSIGNAL), strlen(ask));
	close(taken[0]);
	assert_true(recv(waiting, text, sizeof(text), 0) > 0);
	close(taken[1]);
	close(waiting);
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_reaches_the_handler_whole),
		cmocka_unit_test(a_body_up_to_the_limit_arrives_and_not_one_byte_more),
		cmocka_unit_test(an_endless_body_is_cut_off),
		cmocka_unit_test(a_long_header_is_refused),
		cmocka_unit_test(the_rule_of_who_may_change),
		cmocka_unit_test(the_peer_of_each_request_decides),
		cmocka_unit_test(our_own_user_may_change),
		cmocka_unit_test(a_handler_that_fails_is_a_500),
		cmocka_unit_test(the_socket_is_never_open_to_all),
		cmocka_unit_test(a_dead_daemons_socket_is_replaced),
		cmocka_unit_test(a_live_daemon_keeps_its_socket),
		cmocka_unit_test(what_is_no_socket_is_left_alone),
		cmocka_unit_test(a_missing_folder_is_made_and_a_long_path_refused),
		cmocka_unit_test(another_daemons_file_survives_our_end),
		cmocka_unit_test(nothing_is_left_open),
		cmocka_unit_test(a_silent_client_is_cut_off),
		cmocka_unit_test(a_full_house_opens_again),
		cmocka_unit_test(a_waiting_client_is_served_when_another_leaves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
