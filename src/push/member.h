/* SPDX-License-Identifier: ISC */
#ifndef MEMBER_H
#define MEMBER_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Members on their way: each gets every event of its room exactly once, in the
 * order of id, live or brought up to date from the ring or the log.
 */

struct config;
struct entry;
struct event_base;
struct feed;
struct member;
struct room;
struct run;
struct session;

/* The log is read on a connection of its own.  cfg and feed outlive the
 * module; no session may be left at its end. */
void	 member_init(struct event_base *base, const struct config *cfg,
	    struct feed *feed);
void	 member_exit(void);
/* Whether that connection is there, and its process's id in the primary's
 * server or 0. */
bool	 member_is_up(void);
int	 member_backend(void);

/*
 * Make the session a member, to be complete from since on (-1: from now), if
 * epoch is the present one or NULL.  Nothing is sent until member_start, so
 * that the caller can announce the position first: the member's last.
 */
struct member *
	 member_join(struct session *s, const char *room, int64_t since,
	    const char *epoch);
void	 member_start(struct member *m);
void	 member_leave(struct member *m);
/* Leave every room. */
void	 member_leave_all(struct session *s);

/* The session's output has room again. */
void	 member_drained(struct session *s);

/* The session's rooms as a JSON array; the caller frees. */
char	*member_rooms(struct session *s) __attribute__((warn_unused_result));

/* Whether it is behind in one of its rooms. */
bool	 member_is_behind(struct session *s);

/* All rooms of the session are complete up to this id. */
int64_t	 member_at(struct session *s);

/* The room of an entry, or NULL if nobody is in it. */
struct room *
	 member_room(struct entry *e);

/*
 * Hand a logged event to a member: it has heard it then, or must not.  False
 * if it cannot take it now, and is behind.
 */
bool	 member_give(struct member *m, struct entry *e);

/* The same for a run, to a member that is live and misses what it must. */
void	 member_give_run(struct member *m, struct run *run);

/* Send it, but not to whom it came from, nor one happening twice. */
void	 member_send(struct member *m, struct entry *e);

/* Tell the session that each of its rooms begins anew at the position. */
void	 member_reset_all(struct session *s);
/* The newest id there is, see feed.h: a room that came with a later position
 * is reset. */
void	 member_newest(int64_t newest, uint64_t asked);
/* Another term: tell its tag, and reset rooms that are beyond its first id. */
void	 member_begin_term(struct session *s, int64_t first);
/* Tell the session its position and the tag that belongs to it. */
void	 member_tell_at(struct session *s);
/* Before all are reset: what is being read of the log is for nobody. */
void	 member_begin_era(void);

#endif
