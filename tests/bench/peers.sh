# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The contenders: mailxdp and what else an administrator could put in its place, each in the same lab, fresh
# every time. Sourced by contest.sh, after the lab. Configurations are what their manuals suggest for plain TCP and are
# kept next to the results.
#
#   mailxdp-nat mailxdp-dsr   this program
#   direct                    nothing in between: client and mail server on one wire (wires.sh)
#   redirect                  an XDP program that changes two MAC addresses and redirects: what veth itself costs
#   nft                       nftables: DNAT with connection tracking, and masquerading
#   nft-stateless             nftables: addresses set packet by packet, no tracking (one mail server only)
#   ipvs                      the kernel's own balancer: masquerading (addresses of mail servers only), least connections
#   haproxy nginx             TCP proxies, least connections
# What this machine lacks is left out, with the reason: peer_available.

BENCH_OUT=${BENCH_OUT:-$BUILD/bench}
BENCH_BIN=$BUILD/bench
# shellcheck disable=SC2034 # for those who source this
TARGET=		# what clients connect to

# Who a contender is: a peer, or one of its ways to work, by name.
peer_of() # CONTENDER
{
	case $1 in
	round-robin | maglev | least-conn | least-inflight | random | drain-mailxdp) echo mailxdp-nat ;;
	drain-haproxy) echo haproxy ;;
	*) echo "$1" ;;
	esac
}

# Is there a balancer of this kind on this machine? The reason goes to WHY.
peer_available() # PEER
{
	WHY=
	case $1 in
	haproxy | nginx | nft) command -v "$1" >/dev/null || WHY="$1 is not installed" ;;
	nft-stateless) command -v nft >/dev/null || WHY="nft is not installed" ;;
	ipvs)
		command -v ipvsadm >/dev/null || WHY="ipvsadm is not installed"
		# a module, as a rule, and nobody else asks for it
		[ -n "$WHY" ] || [ -e /proc/net/ip_vs ] || modprobe -q ip_vs 2>/dev/null || WHY="this kernel has no ip_vs"
		;;
	esac
	[ -z "$WHY" ]
}

peer_keep() # FILE
{
	mkdir -p "$BENCH_OUT/conf"
	cp "$1" "$BENCH_OUT/conf/"
}

# A proxy or a router is given what a NIC's driver gives it: received segments merged into few large ones, and large
# ones to send, cut up as late as can be.
peer_offloads()
{
	local iface
	for iface in "${LB_IFACES[@]}"; do
		in_ns lb ethtool -K "$iface" gro on gso on >/dev/null 2>&1 || die "ethtool -K $iface failed"
	done
}

vip_on_lb()
{
	addr_add lb front "$VIP4/32"
}

peer_mailxdp() # MODE SCHEDULER
{
	local i iface
	# shellcheck disable=SC2119
	lbd_start
	for iface in "${LB_IFACES[@]}"; do
		lbctl attach "$iface" --mode native >/dev/null
	done
	lbctl service add smtp --vip "$VIP4" --port 25 --mode "$1" --scheduler "$2" --check "${PEER_CHECK:-tcp}" >/dev/null
	for ((i = 1; i <= LAB_SERVERS; i++)); do
		lbctl add "mailx$i" "$(server_addr "$i")" >/dev/null
	done
	wait_for 15 all_up || die "the mail servers do not come up"
}


peer_redirect()
{
	in_ns lb "$BENCH_BIN/redirect_tool" front back \
		"$(ip -n "${P}m1" -j link show eth0 | jq -r '.[0].address')" \
		"$(ip -n "${P}c1" -j link show eth0 | jq -r '.[0].address')" || die "cannot attach the redirecting program"
}

server_map()
{
	local i map=
	for ((i = 1; i <= LAB_SERVERS; i++)); do
		map+="${map:+, }$((i - 1)) : $(server_addr "$i")"
	done
	echo "$map"
}

peer_nft()
{
	local conf=$LAB_DIR/etc/nft.conf
	vip_on_lb
	cat >"$conf" <<-END
		table ip lb {
			chain pre {
				type nat hook prerouting priority dstnat;
				ip daddr $VIP4 tcp dport 25 dnat to numgen inc mod $LAB_SERVERS map { $(server_map) }
			}
			chain post {
				type nat hook postrouting priority srcnat;
				${PEER_MASQUERADE-oifname "back" masquerade}
			}
		}
	END
	peer_keep "$conf"
	in_ns lb nft -f "$conf" || die "nft refuses its rules"
}

peer_nft_stateless()
{
	local conf=$LAB_DIR/etc/nft-stateless.conf
	vip_on_lb
	cat >"$conf" <<-END
		table ip lb {
			chain pre {
				type filter hook prerouting priority raw;
				ip daddr $VIP4 tcp dport 25 notrack ip daddr set $(server_addr 1)
				ip saddr $(server_addr 1) tcp sport 25 notrack
			}
			# not sooner: a packet that comes in with one of our own addresses is a martian
			chain post {
				type filter hook postrouting priority srcnat;
				ip saddr $(server_addr 1) tcp sport 25 ip saddr set $VIP4
			}
		}
	END
	peer_keep "$conf"
	in_ns lb nft -f "$conf" || die "nft refuses its rules"
}

# The VIP has to be an address of this host, for IPVS takes its packets on their way in; the answers come back through
# here because the mail servers' default route does.
peer_ipvs()
{
	local conf=$LAB_DIR/etc/ipvs.rules i
	vip_on_lb
	echo "-A -t $VIP4:25 -s lc" >"$conf"
	for ((i = 1; i <= LAB_SERVERS; i++)); do
		echo "-a -t $VIP4:25 -r $(server_addr "$i"):25 -m"
	done >>"$conf"
	peer_keep "$conf"
	in_ns lb ipvsadm -R <"$conf" || die "ipvsadm refuses its rules"
}

# A proxy opens a connection of its own for each one, from one address: without this it is out of ports, which stay in
# TIME_WAIT for a minute, after a few seconds at its best.
proxy_ports()
{
	in_ns lb sysctl -qw net.ipv4.tcp_tw_reuse=1
}

HAPROXY_SOCKET=
peer_haproxy()
{
	local conf=$LAB_DIR/etc/haproxy.cfg i
	vip_on_lb
	proxy_ports
	HAPROXY_SOCKET=$LAB_DIR/run/haproxy.sock
	cat >"$conf" <<-END
		global
			maxconn 9000
			stats socket $HAPROXY_SOCKET level admin
		defaults
			mode tcp
			balance leastconn
			timeout connect 10s
			timeout client 10m
			timeout server 10m
		listen smtp
			bind $VIP4:25
			$(for ((i = 1; i <= LAB_SERVERS; i++)); do echo "server mailx$i $(server_addr "$i"):25"; done)
	END
	peer_keep "$conf"
	spawn lb haproxy -db -f "$conf"
}

peer_nginx()
{
	local conf=$LAB_DIR/etc/nginx.conf i
	vip_on_lb
	proxy_ports
	cat >"$conf" <<-END
		load_module /usr/lib/nginx/modules/ngx_stream_module.so;
		daemon off;
		user nobody nogroup;
		worker_processes auto;
		worker_rlimit_nofile 20000;
		pid $LAB_DIR/run/nginx.pid;
		error_log $LAB_DIR/log/nginx-error.log;
		events { worker_connections 9000; }
		stream {
			upstream mail {
				least_conn;
				zone mail 64k;
				$(for ((i = 1; i <= LAB_SERVERS; i++)); do echo "server $(server_addr "$i"):25;"; done)
			}
			server {
				listen $VIP4:25 backlog=4096;
				proxy_pass mail;
				proxy_timeout 10m;
			}
		}
	END
	peer_keep "$conf"
	spawn lb nginx -e "$LAB_DIR/log/nginx-error.log" -c "$conf"
}

lb_listens()
{
	[ -n "$(in_ns lb ss -Hltn "src $VIP4" "sport = :25")" ]
}

server_listens() # N
{
	[ -n "$(in_ns "m$1" ss -Hltn "sport = :25")" ]
}

# peer_start PEER [SCHEDULER]: after the mail servers. Sets TARGET.
# shellcheck disable=SC2034
peer_start()
{
	local i
	for ((i = 1; i <= LAB_SERVERS; i++)); do
		wait_for 10 server_listens "$i" || die "no mail server listens in m$i"
	done
	TARGET=$VIP4
	case $1 in
	direct) TARGET=192.0.2.11 ;;
	redirect)
		TARGET=$(server_addr 1)
		peer_redirect
		;;
	mailxdp-nat) peer_mailxdp nat "${2:-least-inflight}" ;;
	mailxdp-dsr) peer_mailxdp dsr "${2:-least-inflight}" ;;
	nft) peer_offloads && peer_nft ;;
	nft-stateless) peer_offloads && peer_nft_stateless ;;
	ipvs) peer_offloads && peer_ipvs ;;
	haproxy) peer_offloads && peer_haproxy ;;
	nginx) peer_offloads && peer_nginx ;;
	*) die "no contender \"$1\"" ;;
	esac
	case $1 in
	haproxy | nginx) wait_for 10 lb_listens || die "$1 does not listen" ;;
	esac
}
