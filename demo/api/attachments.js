// SPDX-License-Identifier: ISC
// Files are uploaded first and named by a message afterwards. A stored file is
// <uuid>.<ext>: the extension comes from our own list, so that the type it is
// served with is ours too, and the uuid is the right to read it (an <img>
// cannot send a token).

import { randomUUID } from 'node:crypto';
import { mkdir, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import express, { Router } from 'express';
import { badRequest, notFound } from './errors.js';
import { text } from './input.js';

const MAX_BYTES = 10 * 1024 * 1024;
const MAX_FILES = 10;

const TYPES = {
  'image/png': 'png',
  'image/jpeg': 'jpg',
  'image/gif': 'gif',
  'image/webp': 'webp',
  'application/pdf': 'pdf',
  'text/plain': 'txt',
  'audio/mpeg': 'mp3',
  'audio/ogg': 'ogg',
  'video/mp4': 'mp4',
  'video/webm': 'webm',
};
const UNKNOWN = { type: 'application/octet-stream', ext: 'bin' };
const STORED = /^[0-9a-f-]{36}\.([a-z0-9]{2,4})$/;
const PREFIX = '/api/files/';

function typeOf(ext) {
  const found = Object.entries(TYPES).find(([, e]) => e === ext);
  return found ? found[0] : UNKNOWN.type;
}

/** An upload is the bytes themselves, or JSON with the bytes as base64. */
function uploadedBytes(req) {
  if (Buffer.isBuffer(req.body))
    return {
      bytes: req.body,
      type: (req.get('content-type') ?? '').split(';')[0].trim().toLowerCase(),
      name: req.query.name ?? 'file',
    };
  const { data, fileType = '', fileName = 'file' } = req.body ?? {};
  if (typeof data !== 'string' || !/^[A-Za-z0-9+/]*={0,2}$/.test(data))
    throw badRequest('data must be base64');
  return { bytes: Buffer.from(data, 'base64'), type: fileType, name: fileName };
}

export function uploadRoutes({ uploads }) {
  const router = Router();
  const json = express.json({ limit: Math.ceil(MAX_BYTES * 1.4) });
  const raw = express.raw({ type: () => true, limit: MAX_BYTES });

  router.post('/attachments', json, raw, async (req, res) => {
    const { bytes, type, name } = uploadedBytes(req);
    if (bytes.length === 0) throw badRequest('the file is empty');
    if (bytes.length > MAX_BYTES) throw badRequest('the file is too large');
    const fileName = path.basename(text(name, 'fileName', { max: 255 }));
    const ext = Object.hasOwn(TYPES, type) ? TYPES[type] : UNKNOWN.ext;

    const stored = `${randomUUID()}.${ext}`;
    await mkdir(uploads, { recursive: true });
    await writeFile(path.join(uploads, stored), bytes, { mode: 0o600 });
    res.status(201).json({
      fileUrl: PREFIX + stored,
      fileName,
      fileSize: bytes.length,
      fileType: typeOf(ext),
    });
  });

  return router;
}

export function fileRoutes({ uploads }) {
  const router = Router();

  router.get('/files/:stored', (req, res, next) => {
    const match = STORED.exec(req.params.stored);
    if (!match) throw notFound('File not found');
    const type = typeOf(match[1]);
    const shown = /^(image|audio|video)\//.test(type);
    res.sendFile(
      req.params.stored,
      {
        root: uploads,
        dotfiles: 'deny',
        immutable: true,
        maxAge: '1d',
        headers: {
          'Content-Type': type,
          'Content-Disposition': shown ? 'inline' : 'attachment',
          'Content-Security-Policy': "default-src 'none'; sandbox",
          'X-Content-Type-Options': 'nosniff',
        },
      },
      (err) => {
        if (err) next(err.status === 404 ? notFound('File not found') : err);
      },
    );
  });

  return router;
}

/**
 * The attachments a message names, as they are stored: size and type come from
 * the disk, only the name to show comes from the client.
 */
export async function storedAttachments(uploads, list) {
  if (list === undefined) return [];
  if (!Array.isArray(list) || list.length > MAX_FILES)
    throw badRequest(`attachments must be a list of at most ${MAX_FILES}`);

  return Promise.all(
    list.map(async (item) => {
      const url = item?.fileUrl;
      const stored =
        typeof url === 'string' && url.startsWith(PREFIX)
          ? url.slice(PREFIX.length)
          : '';
      const match = STORED.exec(stored);
      const found = match
        ? await stat(path.join(uploads, stored)).catch(() => null)
        : null;
      if (!found?.isFile())
        throw badRequest('attachments must name uploaded files');
      return {
        fileUrl: PREFIX + stored,
        fileName: text(item.fileName ?? stored, 'fileName', { max: 255 }),
        fileSize: found.size,
        fileType: typeOf(match[1]),
      };
    }),
  );
}
