/* SPDX-License-Identifier: ISC */
#ifndef REPLY_H
#define REPLY_H

/*
 * Where the reply to a command goes: into the output of its session, or to
 * something else that waits for it, such as the request that brought it.  The
 * dialect fills it in, gets it again when it makes the reply's text, and finds
 * in it the reference by which the client tells its replies apart.
 */

struct frame;
struct session;

/* What waits for a reply. */
struct reply_ops {
	/* This is it; takes the reference.  Called once at most. */
	void	(*answer)(void *arg, struct frame *text);
	/*
	 * There will be none, or no other: arg is not used any more.  Called
	 * once, last.  If the session was closed before there was a reply:
	 * with the close code, else 0, and the reason.
	 */
	void	(*drop)(void *arg, int code, const char *reason);
};

struct reply_to {
	char			*ref;	/* owned; the dialect's, NULL: none */
	const struct reply_ops	*ops;	/* NULL: the session's output */
	void			*arg;	/* of ops */
};

/* Send the reply where it goes; takes the reference.  NULL: there is none. */
void	 reply_send(struct session *s, struct reply_to *to,
	    struct frame *text);

/* Nobody will reply any more; frees what it holds, and makes it all zero. */
void	 reply_drop(struct reply_to *to, int code, const char *reason);

#endif
