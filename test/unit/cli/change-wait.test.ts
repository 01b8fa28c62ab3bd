/** Who waits for the end of a ring change is told by whichever member answers. */

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test, vi } from 'vitest';
import { untilOver } from '#cli/change-wait.ts';
import type { TransfersView } from '#operator/ring-plans.ts';
import { EXIT } from '#cli/output.ts';

const RUNNING: TransfersView = {
  ...{ state: 'running', id: 'a', epoch: 2, moves: 4, done: 1, keys: 0, bytes: 0, throttle: null },
  ...{ bytesPerSecond: null, secondsLeft: null, waiting: [], last: null, transfers: [] },
};
const OVER: TransfersView = { ...RUNNING, state: 'idle', id: null, epoch: 9, moves: 0, done: 0 };
const SOON = { poll: 1, patience: 50 };

const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
});

/** A member whose process stands still: it takes connections, and no more. */
async function frozen(): Promise<string> {
  const server = createServer(() => undefined);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A member that shows these views one after the other, the last one for ever, and knows these members, if it says. */
async function member(views: readonly TransfersView[], members?: () => readonly string[]): Promise<string> {
  let shown = 0;
  const server = createServer((request, response) => {
    response.setHeader('content-type', 'application/json').setHeader('connection', 'close');
    const list = { members: members?.().map((url) => ({ id: url, url })) };
    const view = views[Math.min(shown, views.length - 1)];
    if (request.url === '/v1/cluster' && members !== undefined) response.end(JSON.stringify(list));
    else if (request.url === '/v1/cluster') request.socket.destroy();
    else if (view === undefined) request.socket.destroy();
    else {
      shown += 1;
      response.end(JSON.stringify(view));
    }
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('the end is told with what came of it', async () => {
  for (const outcome of ['done', 'aborted'] as const) {
    const url = await member([RUNNING, { ...OVER, last: { id: 'a', outcome } }], () => [url]);
    expect(await untilOver({ url, json: true }, RUNNING, SOON)).toMatchObject({ outcome, view: { epoch: 9 } });
  }
});

test('when another change has come and gone unseen, nobody knows what came of the first, unless it was seen to be taken back', async () => {
  const later = { ...OVER, last: { id: 'b', outcome: 'done' } } as const;
  const url = await member([RUNNING, later], () => [url]);
  expect(await untilOver({ url, json: true }, RUNNING, SOON)).toMatchObject({ outcome: 'unknown' });
  const back = await member([{ ...RUNNING, state: 'aborting' }, later], () => [back]);
  expect(await untilOver({ url: back, json: true }, RUNNING, SOON)).toMatchObject({ outcome: 'aborted' });
});

test('when the node that was asked dies, another one tells, however short the patience', async () => {
  const other = await member([RUNNING, { ...OVER, last: { id: 'a', outcome: 'done' } }], () => []);
  const url = await member([], () => [url, other]);
  expect(await untilOver({ url, json: true }, RUNNING, { poll: 1, patience: 0 })).toMatchObject({ outcome: 'done' });
});

test('when one stands still, another one tells before the patience is over', async () => {
  const still = await frozen();
  const other = await member([RUNNING, { ...OVER, last: { id: 'a', outcome: 'done' } }], () => []);
  const url = await member([], () => [url, still, other]);
  const times = { poll: 1, patience: 20_000, attempt: 50 };
  expect(await untilOver({ url, json: true }, RUNNING, times)).toMatchObject({ outcome: 'done' });
});

test('a change that has begun is waited for although the node does not say who else there is', async () => {
  const url = await member([{ ...OVER, last: { id: 'a', outcome: 'done' } }]);
  expect(await untilOver({ url, json: true }, RUNNING, SOON)).toMatchObject({ outcome: 'done' });
  const dead = await member([]);
  await expect(untilOver({ url: dead, json: true }, RUNNING, SOON)).rejects.toMatchObject({
    exitStatus: EXIT.unreachable,
    message: expect.stringContaining('the change goes on by itself') as string,
  });
});

test('when nobody answers for a while, waiting ends with a status of its own', async () => {
  const url = await member([], () => [url]);
  await expect(untilOver({ url, json: true }, RUNNING, SOON)).rejects.toMatchObject({
    exitStatus: EXIT.unreachable,
    message: expect.stringContaining('the change goes on by itself') as string,
  });
});

test('a member that has not heard of the change yet says nothing about its end', async () => {
  const before = { ...OVER, epoch: 1, last: { id: 'earlier', outcome: 'done' } } as const;
  const behind = await member([before], () => []);
  const other = await member([RUNNING, { ...OVER, last: { id: 'a', outcome: 'aborted' } }], () => []);
  const url = await member([], () => [url, behind, other]);
  const times = { poll: 1, patience: 20_000 };
  expect(await untilOver({ url, json: true }, RUNNING, times)).toMatchObject({
    outcome: 'aborted',
    view: { epoch: 9 },
  });
  const alone = await member([before], () => [alone]);
  await expect(untilOver({ url: alone, json: true }, RUNNING, SOON)).rejects.toMatchObject({
    exitStatus: EXIT.unreachable,
    message: expect.stringContaining('has not heard of epoch 2') as string,
  });
});

test('where nobody sees a bar a line says that the change is held, and whom it waits for, though nothing moves', async () => {
  const waiting = [{ node: 'n3', milliseconds: 0, reason: 'cannot be reached' }];
  const counting = [{ node: 'n4', milliseconds: 9000, reason: 'a clock is ahead' }];
  const later = [{ ...counting[0]!, milliseconds: 8000 }];
  const views = [RUNNING, { ...RUNNING, waiting }, { ...RUNNING, waiting: counting }, { ...RUNNING, waiting: later }];
  const held = { ...RUNNING, state: 'paused' } as const;
  const url = await member([...views, held, held, { ...OVER, last: { id: 'a', outcome: 'done' } }], () => [url]);
  const lines: string[] = [];
  const written = vi.spyOn(process.stderr, 'write').mockImplementation((text) => lines.push(String(text)) > 0);
  await untilOver({ url }, RUNNING, { ...SOON, line: 0 }).finally(() => written.mockRestore());
  expect(lines).toEqual([
    '25 %, 1 of 4 replicas\n',
    '25 %, 1 of 4 replicas, n3 cannot be reached\n',
    '25 %, 1 of 4 replicas, n4 waits for about 9 s: a clock is ahead\n',
    '25 %, 1 of 4 replicas, paused\n',
  ]);
});
