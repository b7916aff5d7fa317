/* SPDX-License-Identifier: ISC */
#ifndef PEER_H
#define PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "push/recovery.h"
#include "push/session.h"

/*
 * What joins a socket of Socket.IO to its session, for new ones and for those
 * that return.
 */

struct config;
struct event_base;
struct frame;
struct sio;
struct token_keys;
struct variant;

#define PEER_EPOCH_MAX	64		/* bytes, with the NUL */

/* What a client says of its past. */
struct peer_past {
	char	 pid[RECOVERY_PID_LEN + 1];
	int64_t	 at;			/* what it heard last; -1: nothing */
	char	 epoch[PEER_EPOCH_MAX];	/* of that */
};

/* Both outlive the module. */
void	 peer_init(struct event_base *base, const struct config *cfg,
	    const struct token_keys *keys);
void	 peer_exit(void);

/* Of every variant. */
extern const struct dialect peer_dialect;

/*
 * A socket connects, in the end or not.  Takes token, which is on the heap;
 * address outlives the socket; past is NULL if there is none.
 */
void	 peer_new(struct sio *sio, const struct variant *v,
	    const char *address, char *token, const struct peer_past *past);
/* Answer its CONNECT with an error. */
void	 peer_refuse(struct sio *sio, const char *message, const char *code);
/* Its session; NULL: it has none, or none any more. */
struct session	*peer_session(const struct sio *sio);

/* As in struct sio_ops. */
struct frame	*peer_take(struct sio *sio);
void	 peer_carried(struct sio *sio);
void	 peer_heard(struct sio *sio);
void	 peer_drained(struct sio *sio);
void	 peer_closed(struct sio *sio, bool for_good);

#endif
