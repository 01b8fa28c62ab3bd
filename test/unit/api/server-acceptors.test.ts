/** Many clients that come at once do not wait for as many turns of the loop, and a port that somebody has stays theirs. */

import { once } from 'node:events';
import { stat } from 'node:fs';
import { connect, createServer, Server, type AddressInfo, type ListenOptions, type Socket } from 'node:net';
import { setImmediate as endOfTurn } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ACCEPTORS, Acceptors, ListenError } from '#api/server-acceptors.ts';

const HOST = '127.0.0.1';
const CLIENTS = 96;

type Listen = (this: Server, options: ListenOptions) => Server;

let accepted: Socket[];
let clients: Socket[];
let open: { close(): unknown }[];

beforeEach(() => {
  accepted = [];
  clients = [];
  open = [];
});

afterEach(() => {
  vi.restoreAllMocks();
  for (const socket of [...clients, ...accepted]) socket.destroy();
  for (const one of open) one.close();
});

function acceptors(): Acceptors {
  const created = new Acceptors({
    allowHalfOpen: true,
    accepted: (socket) => accepted.push(socket),
    failed: (error) => expect.fail(error.message),
  });
  open.push(created);
  return created;
}

/** The system opens them at once, whether or not anybody accepts them. */
function connectAll(port: number, count = CLIENTS): void {
  while (clients.length < count) clients.push(connect(port, HOST).on('error', () => undefined));
}

async function turnsUntilAccepted(): Promise<number> {
  let turns = 0;
  for (; accepted.length < CLIENTS && turns < 10 * CLIENTS; turns++) await endOfTurn();
  expect(accepted).toHaveLength(CLIENTS);
  return turns;
}

test('of many that come at once several are accepted in each turn of the loop', async () => {
  connectAll(await acceptors().listen(HOST, 0));
  expect(await turnsUntilAccepted()).toBeLessThan(CLIENTS / 2);
});

test('where sockets cannot share a port there is one, which accepts all of them too', async () => {
  const { value } = Object.getOwnPropertyDescriptor(Server.prototype, 'listen') as { value: Listen };
  const shared: unknown[] = [];
  vi.spyOn(Server.prototype, 'listen').mockImplementation(function (this: Server, options: unknown) {
    if ((options as ListenOptions).reusePort !== true) return value.call(this, options as ListenOptions);
    shared.push(options);
    process.nextTick(() => this.emit('error', Object.assign(new Error('not supported'), { code: 'ENOTSUP' })));
    return this;
  });
  connectAll(await acceptors().listen(HOST, 0));
  expect(await turnsUntilAccepted()).toBeGreaterThanOrEqual(CLIENTS);
  expect(shared).toHaveLength(1);
});

async function expectInUse(port: number): Promise<void> {
  const refused = acceptors().listen(HOST, port);
  await expect(refused).rejects.toThrow(ListenError);
  await expect(refused).rejects.toThrow(`--listen ${HOST}:${port}: the port is in use by another process`);
}

test('a port that another program has is in use', async () => {
  const other = createServer();
  open.push(other);
  await once(other.listen(0, HOST), 'listening');
  await expectInUse((other.address() as AddressInfo).port);
});

test('nobody who waits for the door finds a socket that will not accept them', async () => {
  const first = acceptors();
  const port = await first.listen(HOST, 0);
  await first.close();
  const { value } = Object.getOwnPropertyDescriptor(Server.prototype, 'listen') as { value: Listen };
  let sockets = 0;
  vi.spyOn(Server.prototype, 'listen').mockImplementation(function (this: Server, options: unknown) {
    this.once('listening', () => connectAll(port, ++sockets));
    return value.call(this, options as ListenOptions);
  });
  await acceptors().listen(HOST, port);
  await expect.poll(() => accepted.length).toBe(ACCEPTORS);
  expect(clients).toHaveLength(ACCEPTORS);
});

test('a port that others could share is in use too, and all clients reach who was there before', async () => {
  const port = await acceptors().listen(HOST, 0);
  await expectInUse(port);
  connectAll(port, ACCEPTORS);
  await Promise.all(clients.map((client) => once(client, 'connect')));
  await expect.poll(() => accepted.length).toBe(ACCEPTORS);
});

test('a port that is given is the one that all sockets listen on, and free again when they are closed', async () => {
  const first = acceptors();
  const port = await first.listen(HOST, 0);
  await first.close();
  for (let i = 0; i < 2; i++) {
    const again = acceptors();
    await expect(again.listen(HOST, port)).resolves.toBe(port);
    await again.close();
  }
});

async function expectRefused(port: number): Promise<void> {
  const [error] = await once(connect(port, HOST), 'error');
  expect((error as NodeJS.ErrnoException).code).toBe('ECONNREFUSED');
}

/** So that a turn in which much happens is not one that says nothing for that reason. */
function noTurnTakesTime(): void {
  vi.spyOn(performance, 'now').mockReturnValue(0);
}

function beBusy(milliseconds: number): void {
  const until = performance.now() + milliseconds;
  while (performance.now() < until);
}

test('whoever waits is accepted before the door closes, and nobody is waited for when nobody does', async () => {
  const door = acceptors();
  const port = await door.listen(HOST, 0);
  connectAll(port);
  noTurnTakesTime();
  await door.closeEmpty(60_000);
  expect(accepted).toHaveLength(CLIENTS);
  await expectRefused(port);
  await door.closeEmpty(60_000);
});

test('whoever comes after the loop has looked for connections, in the same turn, is accepted too', async () => {
  const door = acceptors();
  const port = await door.listen(HOST, 0);
  await new Promise<void>((resolve) => {
    // It calls back while the loop goes through what it has found.
    stat('.', () => {
      connectAll(port, 1);
      noTurnTakesTime();
      void door.closeEmpty(60_000).then(resolve);
    });
  });
  expect(accepted).toHaveLength(1);
});

test('whoever comes in a long turn, after the loop has looked for connections, is accepted before the door closes', async () => {
  const door = acceptors();
  const port = await door.listen(HOST, 0);
  let turns = 0;
  setImmediate(function busy() {
    beBusy(5);
    connectAll(port, 8 * ++turns);
    if (turns < 4) setImmediate(busy);
  });
  await door.closeEmpty(60_000);
  expect(accepted).toHaveLength(32);
});

test('where every turn is long the door closes too', async () => {
  const door = acceptors();
  const port = await door.listen(HOST, 0);
  let isClosed = false;
  setImmediate(function busy() {
    beBusy(1);
    if (!isClosed) setImmediate(busy);
  });
  await door.closeEmpty(Infinity);
  isClosed = true;
  await expectRefused(port);
});

test('when one of the sockets cannot listen, none does', async () => {
  const first = acceptors();
  const port = await first.listen(HOST, 0);
  await first.close();
  const { value } = Object.getOwnPropertyDescriptor(Server.prototype, 'listen') as { value: Listen };
  let left = 5;
  const spy = vi.spyOn(Server.prototype, 'listen').mockImplementation(function (this: Server, options: unknown) {
    if (left-- > 0) return value.call(this, options as ListenOptions);
    process.nextTick(() => this.emit('error', Object.assign(new Error('no buffers'), { code: 'ENOBUFS' })));
    return this;
  });
  await expect(acceptors().listen(HOST, port)).rejects.toThrow('no buffers');
  spy.mockRestore();
  await expect(acceptors().listen(HOST, port)).resolves.toBe(port);
});
