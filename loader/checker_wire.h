/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The contract between lbd and its checker process: messages of fixed size on a SOCK_SEQPACKET pair. Both ends are
 * the same program, so there are no versions; but the checker reads what strangers send, so lbd believes
 * nothing of what comes back without a look at it.
 */
#ifndef LB_CHECKER_WIRE_H
#define LB_CHECKER_WIRE_H

#include "check.h"

#define CHECKER_MAGIC		0x4d584331	/* "MXC1" */
#define CHECKER_OPTION		"--checker"	/* of lbd, with the descriptor; for nobody's use but lbd's own */
#define CHECKER_FD		3
#define CHECKER_MAX_RUNS	1024		/* at a time; lbd keeps the rest waiting */
#define CHECKER_TRANSCRIPT_MAX	8192
#define CHECKER_CHUNK		2048
#define CHECKER_LINGER_MS	1000		/* for the goodbye, after the answer is known */

enum checker_type { CHECKER_REQUEST = 1, CHECKER_CANCEL, CHECKER_ANSWER, CHECKER_TRANSCRIPT, CHECKER_TYPE_MAX };

/* How far a check came: in words, "(greeting)" in its text. */
enum checker_stage {
	STAGE_CONNECT = 0, STAGE_TLS, STAGE_GREETING, STAGE_EHLO, STAGE_STARTTLS, STAGE_MAIL, STAGE_RCPT, STAGE_RSET,
	STAGE_DATA, STAGE_MESSAGE, STAGE_SCAN, STAGE_AGENT, STAGE_QUIT, STAGE_MAX,
};

/* Why the process ended by itself, for those who see lbd's status and not its log. */
enum checker_exit { CHECKER_EXIT_LOOP = 1, CHECKER_EXIT_START, CHECKER_EXIT_SANDBOX, CHECKER_EXIT_MAX };

struct checker_head {
	__u32 magic;
	__u16 type;
	__u16 size;		/* of the whole message */
	__u64 serial;		/* lbd's, unique while it lives */
};

struct checker_request {
	struct checker_head head;
	struct lb_addr address;
	__u16 port;
	__u8 agent;		/* read one line of an agent; conf.kind does not matter */
	__u8 transcript;	/* wanted: sent before the answer, which then waits for the goodbye */
	__u32 connect_ms;	/* not 0: a probe: all that is asked is whether it connects within so long */
	struct check_conf conf;	/* with every text filled in that the kind needs */
	char send[CHECK_WORDS_LEN];	/* to an agent, as a line; "": nothing */
};

struct checker_cancel {
	struct checker_head head;
};

struct checker_answer {
	struct checker_head head;
	__u32 result;		/* enum check_result */
	__u32 stage;
	__u32 duration_us;	/* until the verdict, without the goodbye */
	__s32 tls_days;		/* -1: no certificate was seen */
	__u16 code;		/* of the last reply; 0: none */
	__u16 reserved[3];
	char text[POOL_TEXT_LEN];
};

struct checker_transcript {
	struct checker_head head;
	__u32 len;
	char text[CHECKER_CHUNK];
};

union checker_message {
	struct checker_head head;
	struct checker_request request;
	struct checker_cancel cancel;
	struct checker_answer answer;
	struct checker_transcript transcript;
};

/* The process: never returns but to exit with. checker_main() first gives up whatever a check does not need. */
int checker_main(int fd);
int checker_serve(int fd);

#endif
