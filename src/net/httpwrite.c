/* SPDX-License-Identifier: ISC */

/*
 * RFC 9110 and RFC 9112.  The date is made anew when the second is another.
 */

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/xmalloc.h"
#include "net/httpwrite.h"
#include "net/http.h"
#include "net/ws.h"

static const char *
date(void)
{
	static char	text[HTTP_DATE_LEN + 1];
	static time_t	made;
	time_t		now = time(NULL);

	if (now != made)
		http_date(text, now);
	made = now;
	return text;
}

/* The Connection line; 426 must name its Upgrade there, section 7.8. */
static const char *
connection(const struct http_answer *a)
{
	if (!a->keep_alive)
		return a->status == 426 ? "Connection: close, Upgrade\r\n" :
		    "Connection: close\r\n";
	if (a->status == 426)
		return "Connection: Upgrade\r\n";
	return a->is_old ? "Connection: keep-alive\r\n" : "";
}

/* What the body is.  204 has none, and says no length (section 15.3.5). */
static char *
content(const struct http_answer *a)
{
	if (a->status == 204)
		return xstrdup("");
	if (a->len == HTTPWRITE_ENDLESS)
		return xasprintf("Content-Type: %s\r\n"
		    "X-Accel-Buffering: no\r\n", a->type);
	return xasprintf("Content-Type: %s\r\nContent-Length: %zu\r\n",
	    a->type, a->len);
}

char *
httpwrite_head(const struct http_answer *a)
{
	char	*about = content(a), *head;

	head = xasprintf("HTTP/1.1 %d %s\r\nDate: %s\r\n%s"
	    "Cache-Control: no-store\r\n%s%s%s\r\n", a->status,
	    http_reason(a->status), date(), about, connection(a),
	    a->headers == NULL ? "" : a->headers,
	    a->more_headers == NULL ? "" : a->more_headers);
	free(about);
	return head;
}

char *
httpwrite_upgrade(const struct http_request *req, const char *protocol)
{
	const struct http_slice	*key;
	char			 accept[WS_ACCEPT_LEN + 1];

	key = http_header_find(req, "Sec-WebSocket-Key");
	ws_accept_key(accept, key->p, key->len);
	return xasprintf("HTTP/1.1 101 Switching Protocols\r\nDate: %s\r\n"
	    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Accept: %s\r\n%s%s%s\r\n", date(), accept,
	    protocol == NULL ? "" : "Sec-WebSocket-Protocol: ",
	    protocol == NULL ? "" : protocol, protocol == NULL ? "" : "\r\n");
}
