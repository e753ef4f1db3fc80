# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A real Postfix as a mail server of the lab: it takes mail from clients and checks and throws it away. Its log is
# log/postfix-mN.log. Sourced after lab.sh. It knows nothing of the balancer.

smtp_answers() # N
{
	[ -n "$(in_ns "m$1" ss -Hltn 'sport = :25')" ]
}

# postfix_start N [MAIN_CF_LINE...]: false when it does not start here. Its pid is SPAWNED.
postfix_start()
{
	local n=$1 dir=$LAB_DIR/run/postfix$1
	shift
	command -v postfix >/dev/null || return 1
	mkdir -p "$dir/queue" "$dir/data"
	chown postfix "$dir/data"
	cat >"$dir/main.cf" <<-CF
		compatibility_level = 3.6
		queue_directory = $dir/queue
		data_directory = $dir/data
		command_directory = /usr/sbin
		daemon_directory = /usr/lib/postfix/sbin
		mail_owner = postfix
		setgid_group = postdrop
		maillog_file = /dev/stdout
		myhostname = mailx$n.example.com
		mydestination =
		mynetworks = 10.0.0.0/24 192.0.2.0/24
		inet_interfaces = all
		default_transport = discard:
		smtpd_recipient_restrictions = permit_mynetworks, reject
		alias_maps =
		local_recipient_maps =
		smtpd_peername_lookup = no
		$(printf '%s\n' "$@")
	CF
	cat >"$dir/master.cf" <<-CF
		smtp      inet  n - n - -  smtpd
		cleanup   unix  n - n - 0  cleanup
		qmgr      unix  n - n 300 1 qmgr
		rewrite   unix  - - n - -  trivial-rewrite
		discard   unix  - - n - -  discard
		bounce    unix  - - n - 0  bounce
		defer     unix  - - n - 0  bounce
		error     unix  - - n - -  error
		anvil     unix  - - n - 1  anvil
		proxymap  unix  - - n - -  proxymap
		tlsmgr    unix  - - n 1000? 1 tlsmgr
		postlog   unix-dgram n - n - 1 postlogd
	CF
	SPAWN_LOG=postfix-m$n spawn "m$n" postfix -c "$dir" start-fg
	wait_for 20 smtp_answers "$n"
}
