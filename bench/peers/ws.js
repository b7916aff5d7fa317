// SPDX-License-Identifier: ISC
// ws and pg: what one writes in an afternoon. A client shows a token, is in its
// own room, joins others, and gets what NOTIFY brings for them.

import { createServer } from 'node:http'
import jwt from 'jsonwebtoken'
import pg from 'pg'
import { WebSocketServer } from 'ws'

const { PORT, SECRET } = process.env
const rooms = new Map()

function join(socket, room) {
  let members = rooms.get(room)
  if (!members) rooms.set(room, (members = new Set()))
  members.add(socket)
  socket.rooms.push(room)
}

function leave(socket) {
  for (const room of socket.rooms) {
    const members = rooms.get(room)
    members.delete(socket)
    if (members.size === 0) rooms.delete(room)
  }
}

const http = createServer()
const wss = new WebSocketServer({ noServer: true })

http.on('upgrade', (request, stream, head) => {
  let user
  try {
    user = jwt.verify(request.headers.authorization.slice(7), SECRET).sub
  } catch {
    stream.end('HTTP/1.1 401 Unauthorized\r\n\r\n')
    return
  }
  wss.handleUpgrade(request, stream, head, (socket) => {
    socket.rooms = []
    join(socket, `user:${user}`)
    socket.on('message', (text) => {
      const frame = JSON.parse(text)
      join(socket, frame.join)
      socket.send(JSON.stringify({ joined: frame.join }))
    })
    socket.on('close', () => leave(socket))
    socket.on('error', () => {})
  })
})

const db = new pg.Client()
await db.connect()
db.on('notification', ({ payload }) => {
  for (const socket of rooms.get(JSON.parse(payload).room) ?? [])
    socket.send(payload)
})
await db.query('LISTEN bench')
http.listen(Number(PORT), '127.0.0.1', 4096, () => console.log('ready'))
