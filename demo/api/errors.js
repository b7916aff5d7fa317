// SPDX-License-Identifier: ISC

/** An answer other than success, with the sentence the user gets to read. */
export class HttpError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export const badRequest = (message) => new HttpError(400, message);
export const unauthorized = (message) => new HttpError(401, message);
export const forbidden = (message) => new HttpError(403, message);
export const notFound = (message) => new HttpError(404, message);
export const conflict = (message) => new HttpError(409, message);

/** Last in the chain: turns whatever was thrown into a JSON answer. */
export function errorHandler(thrown, req, res, next) {
  if (res.headersSent) {
    next(thrown);
    return;
  }
  // The database refuses what the muted write, in words that are for them.
  const err = thrown.code === 'MUTED' ? forbidden(thrown.message) : thrown;
  // body-parser's errors carry a status and may be shown; others may not.
  const status = err instanceof HttpError || err.expose ? err.status : 500;
  if (status >= 500) console.error(`${req.method} ${req.path}:`, err);
  const message = status >= 500 ? 'Internal error' : err.message;
  res.status(status).json({ error: message });
}
