/* SPDX-License-Identifier: ISC */

/*
 * Numbers only: a name would have to be resolved, and that blocks.
 */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <event2/util.h>
#include <stdio.h>

#include "base/addr.h"

int
addr_parse(const char *text, struct sockaddr_storage *ss, socklen_t *len)
{
	int	n = sizeof(*ss);

	if (evutil_parse_sockaddr_port(text, (struct sockaddr *)ss, &n) == -1)
		return -1;
	*len = (socklen_t)n;
	/* The port is at the same place in both kinds. */
	return ((struct sockaddr_in *)ss)->sin_port == 0 ? -1 : 0;
}

void
addr_name(const struct sockaddr *sa, char out[ADDR_MAX])
{
	char				 ip[INET6_ADDRSTRLEN] = "?";
	const struct sockaddr_in	*in;
	const struct sockaddr_in6	*in6;

	switch (sa->sa_family) {
	case AF_INET:
		in = (const struct sockaddr_in *)(const void *)sa;
		(void)inet_ntop(AF_INET, &in->sin_addr, ip, sizeof(ip));
		(void)snprintf(out, ADDR_MAX, "%s:%u", ip,
		    ntohs(in->sin_port));
		break;
	case AF_INET6:
		in6 = (const struct sockaddr_in6 *)(const void *)sa;
		(void)inet_ntop(AF_INET6, &in6->sin6_addr, ip, sizeof(ip));
		(void)snprintf(out, ADDR_MAX, "[%s]:%u", ip,
		    ntohs(in6->sin6_port));
		break;
	default:
		(void)snprintf(out, ADDR_MAX, "unix");
		break;
	}
}
