/* SPDX-License-Identifier: ISC */
#ifndef HUB_H
#define HUB_H

/*
 * The hub: what the feed brings, events, ephemeral ones, and what changes
 * rights, goes to the members of its room.
 */

#include <stdint.h>

struct config;
struct entry;
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

/* Both outlive the hub. */
void	 hub_init(const struct config *cfg, const struct hub_ops *ops);

/* From the feed; an event may wait for others of its room until complete. */
void	 hub_entry(struct entry *e);
void	 hub_complete(void);
/* Another term: tell everybody the tag that positions have from now on.  Who
 * came with a position of this id or later has it from another history. */
void	 hub_term(int64_t first);
/* A payload of the channel: push it if it is an ephemeral event. */
void	 hub_notify(const char *payload);

#endif
