/**
 * One of three nodes that do nothing but what a PUT and a GET cannot do without: hono at the door, calls between nodes on one
 * socket each, one synced write to a file for all that came meanwhile, values in memory. No versions, membership, bounds or
 * timeouts. How late its answers are is what the machine and the runtime are late.
 *
 *     node bare-node.ts INDEX BASE-PORT DIRECTORY
 */

import { constants, openSync, write, writeSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { serve, type HttpBindings } from '@hono/node-server';
import { Hono } from 'hono';
import { Packr } from 'msgpackr';
import { tuneRuntime } from '#cli/runtime-settings.ts';
import { wholeBody } from './whole-body.ts';

const NODES = 3;
const HOST = '127.0.0.1';
const JOURNAL_BYTES = 32 * 1024 * 1024;
const index = Number(process.argv[2]);
const basePort = Number(process.argv[3]);
// As a node does.
tuneRuntime(totalmem());
const packr = new Packr({ useRecords: false });
const values = new Map<string, Uint8Array<ArrayBuffer>>();

/** A file whose blocks are there already; a write to it is on stable storage when it has ended. It begins again at its end. */
class Journal {
  readonly #file: number;
  #at = 0;
  #rows: Buffer[] = [];
  #waiting: (() => void)[] = [];
  #isBusy = false;

  constructor(path: string) {
    this.#file = openSync(path, constants.O_CREAT | constants.O_RDWR | constants.O_DSYNC);
    writeSync(this.#file, Buffer.alloc(JOURNAL_BYTES));
  }

  append(row: Buffer): Promise<void> {
    this.#rows.push(row);
    if (this.#rows.length === 1) setImmediate(() => this.#flush());
    return new Promise((resolve) => void this.#waiting.push(resolve));
  }

  #flush(): void {
    if (this.#isBusy || this.#rows.length === 0) return;
    this.#isBusy = true;
    const rows = Buffer.concat(this.#rows);
    const waiting = this.#waiting;
    this.#rows = [];
    this.#waiting = [];
    if (this.#at + rows.length > JOURNAL_BYTES) this.#at = 0;
    write(this.#file, rows, 0, rows.length, this.#at, (error) => {
      if (error !== null) throw error;
      this.#isBusy = false;
      for (const wake of waiting) wake();
      this.#flush();
    });
    this.#at += rows.length;
  }
}

type Message = readonly [number, ...unknown[]];

/** Messages with their length before them; those of one turn leave together. */
class Link {
  readonly #socket: Socket;
  #leaving: Buffer[] = [];
  #rest: Buffer = Buffer.alloc(0);

  constructor(socket: Socket, heard: (message: Message, link: Link) => void) {
    this.#socket = socket.setNoDelay(true);
    socket.on('data', (data: Buffer) => {
      this.#rest = this.#rest.length === 0 ? data : Buffer.concat([this.#rest, data]);
      while (this.#rest.length >= 4) {
        const end = 4 + this.#rest.readUInt32LE(0);
        if (this.#rest.length < end) return;
        heard(packr.unpack(this.#rest.subarray(4, end)) as Message, this);
        this.#rest = this.#rest.subarray(end);
      }
    });
    // The others end before this one does.
    socket.on('error', () => {});
  }

  send(message: Message): void {
    const bytes = packr.pack(message);
    const length = Buffer.allocUnsafe(4);
    length.writeUInt32LE(bytes.length);
    if (this.#leaving.push(length, bytes) > 2) return;
    setImmediate(() => {
      this.#socket.write(Buffer.concat(this.#leaving));
      this.#leaving = [];
    });
  }
}

const journal = new Journal(join(process.argv[4]!, `journal-${index}`));
const links: Link[] = [];
const calls = new Map<number, () => void>();
let lastCall = 0;

function store(key: string, value: Uint8Array): Promise<void> {
  // A copy: it is a part of all that came with it.
  values.set(key, new Uint8Array(value));
  return journal.append(packr.pack([key, value]));
}

async function answer([id, key, value]: Message, link: Link): Promise<void> {
  if (value !== undefined) await store(key as string, value as Uint8Array);
  link.send([id, value === undefined ? values.get(key as string) : true]);
}

function call(link: Link, ...rest: readonly unknown[]): Promise<void> {
  const id = (lastCall = (lastCall + 1) % 2 ** 31);
  link.send([id, ...rest]);
  return new Promise((resolve) => void calls.set(id, resolve));
}

function ended([id]: Message): void {
  calls.get(id)?.();
  calls.delete(id);
}

async function connectTo(port: number): Promise<void> {
  for (;;) {
    const socket = connect(port, HOST);
    const isOpen = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    });
    if (isOpen) return void links.push(new Link(socket, ended));
    await sleep(20);
  }
}

const app = new Hono<{ Bindings: HttpBindings }>();

/** Two of three have it, as with W=2. */
app.put('/v1/kv/:bucket/:key', async (c) => {
  const key = c.req.param('key');
  const body = await wholeBody(c.env.incoming);
  const three = [store(key, body), ...links.map((link) => call(link, key, body))];
  await new Promise<void>((resolve) => {
    let stored = 0;
    for (const one of three) void one.then(() => (++stored === 2 ? resolve() : undefined));
  });
  return new Response(null, { status: 204, headers: { etag: `"${body.length}"` } });
});

/** Here and at one other, as with R=2. */
app.get('/v1/kv/:bucket/:key', async (c) => {
  const key = c.req.param('key');
  await call(links[lastCall % links.length]!, key);
  const value = values.get(key);
  if (value === undefined) return new Response(null, { status: 404 });
  const headers = { 'content-type': 'application/octet-stream', 'content-length': String(value.length) };
  return new Response(value, { headers });
});

createServer((socket) => new Link(socket, (message, link) => void answer(message, link))).listen(
  basePort + NODES + index,
  HOST,
);
const others = Array.from({ length: NODES }, (_, other) => other).filter((other) => other !== index);
await Promise.all(others.map((other) => connectTo(basePort + NODES + other)));
serve({ fetch: app.fetch, port: basePort + index, hostname: HOST }, () => process.send!('ready'));
process.on('disconnect', () => process.exit());
