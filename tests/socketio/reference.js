// SPDX-License-Identifier: ISC
// The reference server as the conformance tests want it, to show that the tests
// themselves are right: node reference.js engine|socket PORT

import { createServer } from 'node:http';
import { Server as Engine } from 'engine.io';
import { Server as Sockets } from 'socket.io';

const [, , kind, port] = process.argv;
const settings = {
  pingInterval: 300,
  pingTimeout: 200,
  maxHttpBufferSize: 1e6,
  connectTimeout: 1000,
  cors: { origin: '*' },
};

function echo(http) {
  const engine = new Engine(settings);
  engine.attach(http, { path: '/engine.io' });
  engine.on('connection', (socket) => {
    socket.on('data', (data) => socket.send(data));
  });
}

function answer(socket) {
  socket.emit('auth', socket.handshake.auth);
  socket.on('message', (...args) => socket.emit('message-back', ...args));
  socket.on('message-with-ack', (...args) => args.pop()(...args));
}

const http = createServer();
if (kind === 'engine') echo(http);
else {
  const io = new Sockets(http, settings);
  io.on('connection', answer);
  io.of('/custom').on('connection', answer);
}
http.listen(Number(port), '127.0.0.1', () => console.log('listening'));
