/* SPDX-License-Identifier: ISC */

/* Socket.IO packets, row by row. */

#include "tap.h"
#include "dialect/packet.h"

#define NSP200	"/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
	"aaaaaaaaaaaaaaaaa"

struct row {
	const char	*what;
	const char	*text;
	int		 result;
	enum packet_type type;
	unsigned	 attachments;
	const char	*nsp;
	int64_t		 ack;
	const char	*data;
};

static const struct row rows[] = {
	{ "connect", "0", 0, PACKET_CONNECT, 0, "/", -1, "" },
	{ "connect with auth", "0{\"token\":\"x\"}", 0, PACKET_CONNECT, 0,
	    "/", -1, "{\"token\":\"x\"}" },
	{ "connect to a namespace", "0/admin,{\"a\":1}", 0, PACKET_CONNECT, 0,
	    "/admin", -1, "{\"a\":1}" },
	{ "connect, namespace without a comma", "0/admin", 0, PACKET_CONNECT,
	    0, "/admin", -1, "" },
	{ "disconnect", "1", 0, PACKET_DISCONNECT, 0, "/", -1, "" },
	{ "disconnect from a namespace", "1/admin,", 0, PACKET_DISCONNECT, 0,
	    "/admin", -1, "" },
	{ "event", "2[\"a\",1]", 0, PACKET_EVENT, 0, "/", -1, "[\"a\",1]" },
	{ "event with an ack", "212[\"a\"]", 0, PACKET_EVENT, 0, "/", 12,
	    "[\"a\"]" },
	{ "event of a namespace with an ack", "2/b,3[\"a\"]", 0, PACKET_EVENT,
	    0, "/b", 3, "[\"a\"]" },
	{ "ack", "30[]", 0, PACKET_ACK, 0, "/", 0, "[]" },
	{ "ack id, 15 digits", "3999999999999999[]", 0, PACKET_ACK, 0, "/",
	    999999999999999, "[]" },
	{ "connect error", "4{\"message\":\"no\"}", 0, PACKET_CONNECT_ERROR,
	    0, "/", -1, "{\"message\":\"no\"}" },
	{ "binary event", "51-[\"a\",{\"_placeholder\":true,\"num\":0}]", 0,
	    PACKET_BINARY_EVENT, 1, "/", -1,
	    "[\"a\",{\"_placeholder\":true,\"num\":0}]" },
	{ "binary event, everything", "510-/b,7[\"a\"]", 0,
	    PACKET_BINARY_EVENT, 10, "/b", 7, "[\"a\"]" },
	{ "binary event without attachments", "50-[\"a\"]", 0,
	    PACKET_BINARY_EVENT, 0, "/", -1, "[\"a\"]" },
	{ "binary ack", "61-2[1]", 0, PACKET_BINARY_ACK, 1, "/", 2, "[1]" },
	{ "a namespace with a query", "0/b?t=1,{}", 0, PACKET_CONNECT, 0,
	    "/b?t=1", -1, "{}" },
	{ "a namespace of 200 bytes", "0" NSP200, 0, PACKET_CONNECT, 0,
	    NSP200, -1, "" },

	{ "nothing", "", -1, 0, 0, NULL, 0, NULL },
	{ "type 7", "7", -1, 0, 0, NULL, 0, NULL },
	{ "a letter", "a", -1, 0, 0, NULL, 0, NULL },
	{ "connect with an array", "0[]", -1, 0, 0, NULL, 0, NULL },
	{ "connect with a string", "0\"x\"", -1, 0, 0, NULL, 0, NULL },
	{ "disconnect with data", "1{}", -1, 0, 0, NULL, 0, NULL },
	{ "event without data", "2", -1, 0, 0, NULL, 0, NULL },
	{ "event with an object", "2{}", -1, 0, 0, NULL, 0, NULL },
	{ "event, ack id alone", "212", -1, 0, 0, NULL, 0, NULL },
	{ "event with a space before", "2 [\"a\"]", -1, 0, 0, NULL, 0, NULL },
	{ "ack without data", "31", -1, 0, 0, NULL, 0, NULL },
	{ "ack id, 16 digits", "31000000000000000[]", -1, 0, 0, NULL, 0,
	    NULL },
	{ "negative ack id", "3-1[]", -1, 0, 0, NULL, 0, NULL },
	{ "11 attachments", "511-[\"a\"]", -1, 0, 0, NULL, 0, NULL },
	{ "999 attachments", "5999-[\"a\"]", -1, 0, 0, NULL, 0, NULL },
	{ "no number of attachments", "5-[\"a\"]", -1, 0, 0, NULL, 0, NULL },
	{ "no dash", "51[\"a\"]", -1, 0, 0, NULL, 0, NULL },
	{ "attachments and no more", "51", -1, 0, 0, NULL, 0, NULL },
	{ "a namespace of 201 bytes", "0" NSP200 "a", -1, 0, 0, NULL, 0,
	    NULL },
	{ "a namespace without a slash", "2a,[\"a\"]", -1, 0, 0, NULL, 0,
	    NULL },
};

static bool
same(const struct http_slice *s, const char *text)
{
	return s->len == strlen(text) && memcmp(s->p, text, s->len) == 0;
}

static void
test_row(const struct row *r)
{
	struct packet	 pkt;
	size_t		 len = strlen(r->text);
	char		*copy = tap_copy(r->text, len);
	int		 result;

	result = packet_parse(&pkt, copy, len);
	ok(result == r->result && (result == -1 || (pkt.type == r->type &&
	    pkt.attachments == r->attachments && same(&pkt.nsp, r->nsp) &&
	    pkt.ack == r->ack && same(&pkt.data, r->data))), "%s", r->what);
	free(copy);
}

int
main(void)
{
	size_t	i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		test_row(&rows[i]);
	ok(packet_is_reserved("connect") && packet_is_reserved("disconnect") &&
	    packet_is_reserved("connect_error") &&
	    packet_is_reserved("disconnecting") &&
	    packet_is_reserved("newListener") &&
	    packet_is_reserved("removeListener"), "six names are reserved");
	ok(!packet_is_reserved("") && !packet_is_reserved("connected") &&
	    !packet_is_reserved("Connect"), "others are not");
	return tap_done();
}
