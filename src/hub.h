/* SPDX-License-Identifier: ISC */
#ifndef HUB_H
#define HUB_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The hub: what the feed brings goes to the members of its room, and a member
 * that is behind is brought up to date from the ring or the log.  Every member
 * gets every event of its room exactly once, in the order of id.
 */

struct config;
struct entry;
struct event_base;
struct feed;
struct member;
struct session;

/* What the layer above must know of the rows that pass. */
struct hub_ops {
	/* A right ended; members that it concerns are out already. */
	void	(*revoked)(const char *room, const char *user);
	/* End this session of a user who was kicked; his rooms are gone. */
	void	(*kicked)(struct session *s);
	/* The rules changed. */
	void	(*config)(void);
};

/* The hub reads the log on a connection of its own.  All outlive the hub; no
 * session may be left at its end. */
void	 hub_init(struct event_base *base, const struct config *cfg,
	    struct feed *feed, const struct hub_ops *ops);
void	 hub_exit(void);
/* Whether that connection is there, and its process's id in the primary's
 * server or 0. */
bool	 hub_is_up(void);
int	 hub_backend(void);

/* From the feed. */
void	 hub_entry(struct entry *e);
/* A payload of the channel: push it if it is an ephemeral event. */
void	 hub_notify(const char *payload);

/*
 * Make the session a member, to be complete from since on (-1: from now), if
 * epoch is the present one or NULL.  Nothing is sent until hub_start, so that
 * the caller can announce the position first: the member's last.
 */
struct member *
	 hub_join(struct session *s, const char *room, int64_t since,
	    const char *epoch);
void	 hub_start(struct member *m);
void	 hub_leave(struct member *m);
/* Leave every room. */
void	 hub_leave_all(struct session *s);

/* The session's output has room again. */
void	 hub_drained(struct session *s);

/* All rooms of the session are complete up to this id. */
int64_t	 hub_at(struct session *s);

#endif
