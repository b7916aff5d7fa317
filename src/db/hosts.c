/* SPDX-License-Identifier: ISC */

/*
 * A host that is neither an address nor a socket directory is resolved with
 * evdns, one after the other.
 */

#include <sys/socket.h>
#include <arpa/inet.h>
#include <netdb.h>
#include <event2/dns.h>
#include <event2/util.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/xmalloc.h"
#include "db/conninfo.h"
#include "db/hosts.h"

struct hosts {
	struct event_base	*base;		/* outlives us */
	struct evdns_base	*dns;		/* NULL until needed */
	struct evdns_getaddrinfo_request *request;
	hosts_done		 done;
	void			*arg;
	char			**names;	/* being resolved */
	char			**addrs;	/* their addresses so far */
	size_t			 n;
	size_t			 next;
	unsigned int		 attempt;
};

static void	hosts_go_on(struct hosts *h);

static void
hosts_forget(struct hosts *h)
{
	size_t	i;

	for (i = 0; i < h->n; i++) {
		free(h->names[i]);
		free(h->addrs[i]);
	}
	free(h->names);
	free(h->addrs);
	h->names = h->addrs = NULL;
	h->n = h->next = 0;
}

struct hosts *
hosts_new(struct event_base *base, hosts_done done, void *arg)
{
	struct hosts	*h = xcalloc(1, sizeof(*h));

	h->base = base;
	h->done = done;
	h->arg = arg;
	return h;
}

void
hosts_cancel(struct hosts *h)
{
	if (h->request != NULL)
		evdns_getaddrinfo_cancel(h->request);
	h->request = NULL;
}

void
hosts_free(struct hosts *h)
{
	if (h == NULL)
		return;
	hosts_cancel(h);
	if (h->dns != NULL)
		evdns_base_free(h->dns, 0);
	hosts_forget(h);
	free(h);
}

static bool
is_name(const char *host)
{
	unsigned char	addr[sizeof(struct in6_addr)];

	return host[0] != '\0' && host[0] != '/' && host[0] != '@' &&
	    inet_pton(AF_INET, host, addr) != 1 &&
	    inet_pton(AF_INET6, host, addr) != 1;
}

/* The hosts to resolve, one string with commas, or NULL. */
static char *
hosts_of(const char *conninfo)
{
	char	*names = conninfo_get(conninfo, "host", "PGHOST");
	char	*addrs = conninfo_get(conninfo, "hostaddr", "PGHOSTADDR");

	if (addrs != NULL) {
		free(names);
		names = NULL;
	}
	free(addrs);
	return names;
}

/* All names have addresses: join them. */
static void
hosts_finish(struct hosts *h)
{
	char	*list = xstrdup(h->addrs[0]), *longer;
	size_t	 i;

	for (i = 1; i < h->n; i++) {
		longer = xasprintf("%s,%s", list, h->addrs[i]);
		free(list);
		list = longer;
	}
	hosts_forget(h);
	h->done(h->arg, list, NULL);
	free(list);
}

/* Of several addresses each attempt takes the next: one may not work. */
static const struct evutil_addrinfo *
pick_address(const struct evutil_addrinfo *first, unsigned int attempt)
{
	const struct evutil_addrinfo	*ai;
	unsigned int			 n = 0;

	for (ai = first; ai != NULL; ai = ai->ai_next)
		n++;
	ai = first;
	for (n = n == 0 ? 0 : attempt % n; n > 0; n--)
		ai = ai->ai_next;
	return ai;
}

static void
hosts_on_address(int result, struct evutil_addrinfo *ai, void *arg)
{
	struct hosts			*h = arg;
	const struct evutil_addrinfo	*one;
	char				 addr[NI_MAXHOST] = "";

	if (result == EVUTIL_EAI_CANCEL)
		return;
	h->request = NULL;
	one = pick_address(ai, h->attempt);
	if (result == 0 && one != NULL)
		(void)getnameinfo(one->ai_addr, one->ai_addrlen, addr,
		    sizeof(addr), NULL, 0, NI_NUMERICHOST);
	if (ai != NULL)
		evutil_freeaddrinfo(ai);
	if (addr[0] == '\0') {
		h->done(h->arg, NULL, h->names[h->next]);
		return;
	}
	h->addrs[h->next++] = xstrdup(addr);
	hosts_go_on(h);
}

static void
hosts_go_on(struct hosts *h)
{
	struct evdns_getaddrinfo_request	*req;
	struct evutil_addrinfo			 hints;
	const char				*name = NULL;

	while (h->next < h->n) {
		name = h->names[h->next];
		if (is_name(name))
			break;
		/* An empty address means: take the host, a directory. */
		h->addrs[h->next++] = xstrdup(name[0] == '/' ||
		    name[0] == '@' ? "" : name);
	}
	if (h->next == h->n) {
		hosts_finish(h);
		return;
	}
	memset(&hints, 0, sizeof(hints));
	hints.ai_family = AF_UNSPEC;
	hints.ai_socktype = SOCK_STREAM;
	req = evdns_getaddrinfo(h->dns, name, NULL, &hints, hosts_on_address,
	    h);
	/* NULL: it was answered at once, and the next may be under way. */
	if (req != NULL)
		h->request = req;
}

static void
hosts_split(struct hosts *h, const char *list)
{
	const char	*p = list;
	size_t		 len;

	hosts_forget(h);
	for (;;) {
		len = strcspn(p, ",");
		h->names = xrealloc(h->names, (h->n + 1) * sizeof(*h->names));
		h->names[h->n++] = xmemdup(p, len);
		if (p[len] == '\0')
			break;
		p += len + 1;
	}
	h->addrs = xcalloc(h->n, sizeof(*h->addrs));
}

static bool
hosts_have_name(const struct hosts *h)
{
	size_t	i;

	for (i = 0; i < h->n; i++)
		if (is_name(h->names[i]))
			return true;
	return false;
}

int
hosts_resolve(struct hosts *h, const char *conninfo, unsigned int attempt)
{
	char	*list = hosts_of(conninfo);

	hosts_forget(h);
	if (list != NULL)
		hosts_split(h, list);
	free(list);
	if (!hosts_have_name(h)) {
		hosts_forget(h);
		return 1;
	}
	if (h->dns == NULL)
		h->dns = evdns_base_new(h->base,
		    EVDNS_BASE_INITIALIZE_NAMESERVERS |
		    EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	h->attempt = attempt;
	if (h->dns == NULL)
		h->done(h->arg, NULL, "no name servers");
	else
		hosts_go_on(h);
	return 0;
}
