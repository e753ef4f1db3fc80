/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one place that knows how an IPv4 address sits inside a struct lb_addr. It
 * must not know what an address is used for: that is the pool's business.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include "addr.h"

static const __u8 v4_prefix[12] = { [10] = 0xff, [11] = 0xff };	/* RFC 4291, 2.5.5.2 */

int addr_parse(const char *text, struct lb_addr *out)
{
	struct lb_addr addr = {};

	if (inet_pton(AF_INET, text, addr.bytes + 12) == 1) {
		memcpy(addr.bytes, v4_prefix, sizeof(v4_prefix));
	} else if (inet_pton(AF_INET6, text, addr.bytes) != 1 || addr_is_v4(&addr)) {
		/* Mapped text is the same address by another name: two spellings would dodge the checks
		 * for duplicates. */
		return -EINVAL;
	}
	*out = addr;
	return 0;
}

const char *addr_to_str(const struct lb_addr *addr, char buf[static ADDR_STRLEN])
{
	if (addr_is_v4(addr))
		inet_ntop(AF_INET, addr->bytes + 12, buf, ADDR_STRLEN);
	else
		inet_ntop(AF_INET6, addr->bytes, buf, ADDR_STRLEN);
	return buf;
}

bool addr_is_v4(const struct lb_addr *addr)
{
	return !memcmp(addr->bytes, v4_prefix, sizeof(v4_prefix));
}

bool addr_equal(const struct lb_addr *a, const struct lb_addr *b)
{
	return !memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

static bool is_usable_v4(const __u8 *b)
{
	return b[0] != 0 &&				/* "this network", RFC 1122, 3.2.1.3 */
	       b[0] != 127 &&
	       !(b[0] == 169 && b[1] == 254) &&		/* link-local, RFC 3927 */
	       (b[0] & 0xf0) != 224 &&
	       !(b[0] == 255 && b[1] == 255 && b[2] == 255 && b[3] == 255);
}

bool addr_is_usable(const struct lb_addr *addr)
{
	const __u8 *b = addr->bytes;
	struct in6_addr in6;

	if (addr_is_v4(addr))
		return is_usable_v4(b + 12);
	memcpy(&in6, b, sizeof(in6));
	return !IN6_IS_ADDR_UNSPECIFIED(&in6) && !IN6_IS_ADDR_LOOPBACK(&in6) && !IN6_IS_ADDR_MULTICAST(&in6) &&
	       !IN6_IS_ADDR_LINKLOCAL(&in6);
}

socklen_t addr_to_sockaddr(const struct lb_addr *addr, __u16 port, struct sockaddr_storage *out)
{
	memset(out, 0, sizeof(*out));
	if (addr_is_v4(addr)) {
		struct sockaddr_in *sin = (struct sockaddr_in *)out;

		sin->sin_family = AF_INET;
		sin->sin_port = htons(port);
		memcpy(&sin->sin_addr, addr->bytes + 12, 4);
		return sizeof(*sin);
	} else {
		struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)out;

		sin6->sin6_family = AF_INET6;
		sin6->sin6_port = htons(port);
		memcpy(&sin6->sin6_addr, addr->bytes, 16);
		return sizeof(*sin6);
	}
}

const __u8 *addr_wire(const struct lb_addr *addr, unsigned int *len)
{
	*len = addr_is_v4(addr) ? 4 : 16;
	return addr->bytes + 16 - *len;
}

void addr_from_wire(int family, const void *bytes, struct lb_addr *out)
{
	if (family == AF_INET) {
		memcpy(out->bytes, v4_prefix, sizeof(v4_prefix));
		memcpy(out->bytes + 12, bytes, 4);
	} else {
		memcpy(out->bytes, bytes, 16);
	}
}

void addr_from_sockaddr(const struct sockaddr_storage *ss, struct lb_addr *out, __u16 *port)
{
	const struct sockaddr_in *sin = (const struct sockaddr_in *)ss;
	const struct sockaddr_in6 *sin6 = (const struct sockaddr_in6 *)ss;
	bool v4 = ss->ss_family == AF_INET;

	addr_from_wire(ss->ss_family, v4 ? (const void *)&sin->sin_addr : &sin6->sin6_addr, out);
	if (port)
		*port = ntohs(v4 ? sin->sin_port : sin6->sin6_port);
}
