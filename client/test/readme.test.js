// SPDX-License-Identifier: ISC
// The examples of the README are run as they stand there, but for their
// addresses, and that they say when they are in the room.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { chromium } from 'playwright-core';
import { CHROMIUM, watchProblems } from './chromium.js';
import { finishWorlds, makeWorld, until } from './lib.js';

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const CLIENT = '10000000-0000-4000-8000-000000000001';
const PERFORMER = '10000000-0000-4000-8000-000000000002';
const ORDER = '20000000-0000-4000-8000-000000000001';

let w;
let folder;
const children = [];
before(async () => {
  w = await makeWorld({ kind: 'market' });
  // As npm install would leave it.
  folder = mkdtempSync(path.join(tmpdir(), 'pgpush-readme.'));
  mkdirSync(path.join(folder, 'node_modules'));
  symlinkSync(here('..'), path.join(folder, 'node_modules/pgpush'));
  symlinkSync(here('../node_modules/ws'), path.join(folder, 'node_modules/ws'));
});
after(async () => {
  for (const child of children) child.kill();
  rmSync(folder, { recursive: true, force: true });
  await finishWorlds();
});

/** An API that does what any would: it lets one in, and writes a row. */
async function answer(req) {
  let json = '';
  for await (const chunk of req) json += chunk;
  const body = JSON.parse(json);
  if (req.url === '/api/login') {
    const isClient = body.email === 'client@demo.test';
    return { token: await w.token(isClient ? CLIENT : PERFORMER) };
  }
  assert.equal(req.url, `/api/orders/${ORDER}/messages`);
  const { id } = JSON.parse(atob(req.headers.authorization.split('.')[1]));
  const other = id === CLIENT ? PERFORMER : CLIENT;
  await w.does('api', {
    text: `INSERT INTO messages (order_id, sender_id, receiver_id, content)
           VALUES (%s, %s, %s, %s)`,
    args: [ORDER, id, other, body.content],
  });
  return {};
}

const startApi = () =>
  listen(async (req, res) => {
    res.setHeader('Access-Control-Allow-Origin', '*');
    res.setHeader('Access-Control-Allow-Headers', '*, Authorization');
    if (req.method === 'OPTIONS') res.end();
    else res.end(JSON.stringify(await answer(req)));
  });

async function listen(handle) {
  const server = createServer(handle).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

/** The first block of that language, with the addresses of this test. */
function example(language, api) {
  const [, code] = new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``).exec(
    readFileSync(here('../README.md'), 'utf8'),
  );
  const say = language === 'js' ? 'console.log' : 'show';
  const adapted = code
    .replace('ws://127.0.0.1:8081', `ws://127.0.0.1:${w.port}`)
    .replace('http://127.0.0.1:8080', `http://127.0.0.1:${api.address().port}`)
    .replace('0d000000-0000-4000-8000-000000000001', ORDER)
    // What is written before both are in the room they do not see.
    .replace("room.on('reset'", `room.on('joined', () => ${say}('(in)'));\n$&`);
  return { code, adapted };
}

function start(token) {
  const child = spawn(process.execPath, ['example.mjs', token], {
    cwd: folder,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  children.push(child);
  child.out = '';
  child.stdout.on('data', (bytes) => (child.out += bytes));
  return child;
}

test('the example of the README works when it is pasted', async () => {
  const api = await startApi();
  const { code, adapted } = example('js', api);
  assert.ok(code.trim().split('\n').length <= 24);
  writeFileSync(path.join(folder, 'example.mjs'), adapted);
  const [a, b] = [CLIENT, PERFORMER].map(async (id) => start(await w.token(id)));
  const [one, two] = [await a, await b];
  await until(() => [one, two].every((c) => c.out.includes('(in)')));
  one.stdin.write('hello\n');
  await until(() => [one, two].every((c) => c.out.includes('> hello')));
  two.stdin.write('hello yourself\n');
  await until(() => [one, two].every((c) => c.out.includes('> hello yourself')));
  for (const child of [one, two]) {
    assert.equal(child.out, '(online)\n(in)\n> hello\n> hello yourself\n');
    child.stdin.end();
    const [status] = await once(child, 'close');
    assert.equal(status, 0);
  }
  api.close();
});

test('the page of the README works when it is served as it is', async () => {
  const api = await startApi();
  const { adapted } = example('html', api);
  const site = await listen((req, res) => {
    const { pathname } = new URL(req.url, 'http://site');
    if (pathname === '/') {
      res.setHeader('Content-Type', 'text/html');
      res.end(adapted);
    } else if (pathname.endsWith('.js')) {
      res.setHeader('Content-Type', 'text/javascript');
      res.end(readFileSync(path.join(folder, pathname)));
    } else res.writeHead(404).end();
  });
  const browser = await chromium.launch(CHROMIUM);
  try {
    const pages = [await browser.newPage(), await browser.newPage()];
    const problems = [];
    for (const page of pages) watchProblems(page, problems);
    for (const [i, hash] of ['', '#performer'].entries()) {
      await pages[i].goto(`http://127.0.0.1:${site.address().port}/${hash}`);
      await pages[i].getByText('(in)').waitFor();
    }
    for (const [i, text] of ['from the one', 'from the other'].entries()) {
      await pages[i].getByPlaceholder('Message').fill(text);
      await pages[i].getByPlaceholder('Message').press('Enter');
      for (const page of pages) await page.getByText(text).waitFor();
    }
    assert.deepEqual(problems, []);
  } finally {
    await browser.close();
    site.close();
    api.close();
  }
});

/** All blocks of a language: [what is said beside it, its text]. */
const blocks = (language) =>
  [...readFileSync(here('../README.md'), 'utf8').matchAll(
    new RegExp(`\`\`\`${language}(?: (\\S+))?\\n([^]*?)\`\`\``, 'g'),
  )].map(([, name, text]) => [name, text]);

test('the examples for React name what there is', async () => {
  const examples = blocks('jsx');
  assert.ok(examples.length >= 6);
  for (const [, contents] of examples)
    await build({
      stdin: { contents, loader: 'jsx', resolveDir: here('..') },
      bundle: true,
      write: false,
      outfile: 'example.js',
      format: 'esm',
      jsx: 'automatic',
      external: ['react', 'react/jsx-runtime'],
      alias: {
        'pgpush/react/style.css': here('../dist/react/style.css'),
        'pgpush/market/style.css': here('../dist/market/style.css'),
        'pgpush/devtools/style.css': here('../dist/devtools/style.css'),
        'pgpush/market': here('../dist/market/index.js'),
        'pgpush/devtools': here('../dist/devtools/index.js'),
        'pgpush/query': here('../dist/query/index.js'),
        'pgpush/react': here('../dist/react/index.js'),
      },
      logLevel: 'error',
    }).then(({ warnings }) => assert.deepEqual(warnings, []));
});

test('the types of the README hold, and refuse what is wrong', () => {
  const [[, code]] = blocks('ts');
  writeFileSync(path.join(folder, 'example.ts'), code);
  const { status, stdout } = spawnSync(
    process.execPath,
    [
      here('../node_modules/typescript/bin/tsc'), '--noEmit', '--strict',
      '--target', 'ES2022', '--module', 'NodeNext', '--lib', 'ES2022,DOM',
      path.join(folder, 'example.ts'),
    ],
    { encoding: 'utf8' },
  );
  assert.equal(status, 0, stdout);
});

test('the list without React is up to date', async () => {
  const [, code] = blocks('js').find(([, text]) => text.includes('pgpush/live'));
  writeFileSync(path.join(folder, 'notes.mjs'), code);
  const { watchNotes } = await import(path.join(folder, 'notes.mjs'));
  const app = await makeWorld();
  let rows = [];
  const stop = watchNotes(
    app.client('ann'), async () => [{ id: 1, text: 'old' }], (now) => (rows = now));
  await until(() => rows.length === 1);
  await app.emit('open:notes', 'note', { id: 2, text: 'new' });
  await until(() => rows.length === 2);
  stop();
});

test('the SQL of the README does what it says', async () => {
  const app = await makeWorld();
  const [[, text]] = blocks('sql');
  await app.sql(`${text.replaceAll('%', '%%')}; SELECT 1`);
  const write = (author, body) =>
    app.sql(
      'INSERT INTO help.messages (ticket, author, body) VALUES (%s, %s, %s) RETURNING 1',
      '7', author, body);
  await write('ann', 'one');
  await write('bob', 'two');
  const [ann, bob, eve] = ['ann', 'bob', 'eve'].map((user) => app.client(user));
  const rooms = [ann, bob].map((client) => client.room('ticket:7').join());
  const refused = eve.room('ticket:7').join();
  await until(() => rooms.every((room) => room.state === 'joined'));
  await until(() => refused.state === 'error');
  const heard = [];
  rooms[1].on('message', ({ body }) => heard.push(body));
  rooms[1].on('typing', ({ userId, isTyping }) => heard.push(`${userId} ${isTyping}`));
  await ann.send('typing', { isTyping: true }, { room: 'ticket:7', key: false });
  await until(() => heard.length === 1);
  await write('ann', 'three');
  await until(() => heard.length === 2);
  assert.deepEqual(heard, ['ann true', 'three']);
});

test('the proxies of Vite and Next pass on all three paths', async () => {
  const configs = {};
  for (const [name, code] of blocks('js')) {
    if (!name) continue;
    const file = path.join(folder, name.replace('.js', '.mjs'));
    writeFileSync(file, code);
    configs[name] = (await import(file)).default;
  }
  const paths = ['/ws', '/events', '/send'];
  const { proxy } = configs['vite.config.js'].server;
  assert.deepEqual(Object.keys(proxy), paths);
  assert.equal(proxy['/ws'].ws, true);
  const rewrites = await configs['next.config.js'].rewrites();
  assert.deepEqual(rewrites.map((r) => r.source), paths);
});

test('React’s hooks and chats render on a server, and nothing connects', async () => {
  const { outputFiles } = await build({
    stdin: {
      contents: `
        import { renderToString } from 'react-dom/server';
        import { OrderChat, PushProvider, useLive, useStatus } from 'pgpush/market';
        const Rows = () => {
          const { rows } = useLive('open:x', { load: async () => [], key: String, on: {} });
          return useStatus() + rows.length;
        };
        const options = { url: 'ws://127.0.0.1:1/ws', getToken: () => { throw 0; } };
        console.log(renderToString(
          <PushProvider options={options}>
            <Rows /><OrderChat orderId="1" me="2" people={[]} api={{}} />
          </PushProvider>));`,
      loader: 'jsx',
      resolveDir: here('..'),
    },
    bundle: true,
    write: false,
    platform: 'node',
    format: 'cjs',
    jsx: 'automatic',
    alias: { 'pgpush/market': here('../dist/market/index.js') },
    logLevel: 'error',
  });
  const file = path.join(folder, 'server.cjs');
  writeFileSync(file, outputFiles[0].contents);
  const { status, stdout, stderr } = spawnSync(process.execPath, [file], {
    encoding: 'utf8', timeout: 30_000,
  });
  assert.equal(status, 0, stderr);
  assert.match(stdout, /connecting.*0.*pgpush-chat/s);
  assert.equal(stderr, '');
});
