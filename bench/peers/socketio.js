// SPDX-License-Identifier: ISC
// socket.io and pg: the same with the library that most would take.

import { createServer } from 'node:http'
import jwt from 'jsonwebtoken'
import pg from 'pg'
import { Server } from 'socket.io'

const { PORT, SECRET } = process.env
const http = createServer()
const io = new Server(http, { transports: ['websocket'], serveClient: false })

io.use((socket, next) => {
  try {
    socket.data.user = jwt.verify(socket.handshake.auth.token, SECRET).sub
    next()
  } catch {
    next(new Error('Authentication error'))
  }
})

io.on('connection', (socket) => {
  socket.join(`user:${socket.data.user}`)
  socket.on('join', (room, done) => {
    socket.join(room)
    done({ joined: room })
  })
})

const db = new pg.Client()
await db.connect()
db.on('notification', ({ payload }) => {
  const data = JSON.parse(payload)
  io.to(data.room).emit('e', data)
})
await db.query('LISTEN bench')
http.listen(Number(PORT), '127.0.0.1', 4096, () => console.log('ready'))
