/** The parts of the load benchmark that could mislead it. */

import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { flagsFrom, namesIn } from '../../../bench/flags.ts';
import { floorOf } from '../../../bench/load/floor.ts';
import { HttpConnection } from '../../../bench/load/http-connection.ts';
import { KeyChoice, Zipfian } from '../../../bench/load/key-choice.ts';
import { drawStep, MIXES } from '../../../bench/load/mixes.ts';
import { judge, type LoadReport } from '../../../bench/load/report.ts';
import { charged, type Figures } from '../../../bench/load/run-generator.ts';

async function serving(answer: RequestListener, use: (url: string) => Promise<void>): Promise<void> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  try {
    await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

test('numbers that are none and names that nobody knows are told in one line, with status 2', () => {
  const told = vi.spyOn(console, 'error').mockReturnValue();
  const exit = vi.spyOn(process, 'exit').mockImplementation((status) => {
    throw new Error(`ends with ${status}`);
  });
  const flags = (...args: readonly string[]) => {
    const text = { type: 'string' } as const;
    const options = { seconds: text, warm: text, clients: text } as const;
    return flagsFrom({ args: [...args], options }, ['seconds', 'warm'], ['clients']).values;
  };
  try {
    const right = flags('--seconds', '0.5', '--warm', '0', '--clients', '1,8');
    expect({ ...right }).toEqual({ seconds: '0.5', warm: '0', clients: '1,8' });
    for (const wrong of ['--seconds=abc', '--seconds=', '--seconds=0', '--seconds=1,2', '--warm=-1', '--clients=1,,2'])
      expect(() => flags(wrong), wrong).toThrow('ends with 2');
    expect(told.mock.calls.every(([line]) => /: --\w+ \S*: a number /.test(String(line)))).toBe(true);
    expect(namesIn('mixes', 'put,get', ['get', 'put'])).toEqual(['put', 'get']);
    expect(() => namesIn('mixes', 'put,nix', ['get', 'put'])).toThrow('ends with 2');
    expect(told.mock.lastCall?.[0]).toContain('--mixes nix: get, put');
  } finally {
    exit.mockRestore();
    told.mockRestore();
  }
});

test('the connection of the generator reads answers of all forms, one after the other', async () => {
  const large = 'x'.repeat(300_000);
  await serving(
    (request, response) => {
      if (request.url === '/none') response.writeHead(204).end();
      else if (request.url === '/last') response.writeHead(200, { connection: 'close' }).end();
      else if (request.url === '/cut') request.socket.destroy();
      else if (request.url === '/chunks') {
        response.write('first,');
        void sleep(5).then(() => response.end('second'));
      } else request.pipe(response);
    },
    async (url) => {
      const connection = new HttpConnection(url);
      expect(await connection.request('GET', '/none', '')).toMatchObject({ status: 204, body: { length: 0 } });
      expect((await connection.request('GET', '/chunks', '')).body.toString()).toContain('first,');
      const echoed = await connection.request('PUT', '/', 'Content-Type: text/plain\r\n', Buffer.from(large));
      expect([echoed.status, echoed.body.toString().replaceAll(/[^x]/g, '').length]).toEqual([200, large.length]);
      expect((await connection.request('GET', '/none', '')).status).toBe(204);
      // A connection that the other end has closed is opened anew.
      expect((await connection.request('GET', '/last', '')).status).toBe(200);
      await sleep(50);
      expect((await connection.request('GET', '/none', '')).status).toBe(204);
      await expect(connection.request('GET', '/cut', '')).rejects.toThrow('the connection was closed');
      expect((await connection.request('GET', '/none', '')).status).toBe(204);
      connection.close();
    },
  );
});

test('a zipfian choice takes the first of a thousand as often as the formula says, and never one that is not there', () => {
  const count = 1000;
  const zipfian = new Zipfian(count);
  const zeta = Array.from({ length: count }, (_, i) => 1 / (i + 1) ** 0.99).reduce((a, b) => a + b);
  const draws = Array.from({ length: 20_000 }, () => zipfian.next());
  expect(draws.every((rank) => Number.isInteger(rank) && rank >= 0 && rank < count)).toBe(true);
  expect(draws.filter((rank) => rank === 0).length / draws.length).toBeCloseTo(1 / zeta, 1);
  const choice = new KeyChoice('latest', 10);
  expect([choice.reserve(), choice.reserve()]).toEqual([10, 11]);
  choice.inserted(11);
  for (let i = 0; i < 1000; i++) expect(choice.next()).toBeLessThan(10);
  choice.inserted(10);
  expect(Array.from({ length: 1000 }, () => choice.next())).toContain(11);
});

test('steps are drawn as the mixes say, and the floor adds up', () => {
  const steps = Array.from({ length: 10_000 }, () => drawStep(MIXES.b));
  expect(steps.filter((step) => step === 'update').length / steps.length).toBeCloseTo(0.05, 1);
  expect(drawStep(MIXES.put)).toBe('update');
  const floor = floorOf({
    httpPut: 20,
    httpGet: 18,
    call: 7,
    callOfRead: 9,
    storagePut: 17,
    storageOwnPut: 9,
    storageGet: 6,
    group: 8,
    inFlight: 8,
  });
  expect(floor).toEqual({ put: 20 + 14 + 51, get: 18 + 9 + 12 });
});

test('a load is charged with what it leaves to be done, and its first second, which is not measured, with its own share', () => {
  const seconds = [{ right: 100 }, { right: 150 }, { right: 150 }];
  const figures = { operations: 300, seconds, nodesCpuMicros: 3000, cpuMicrosPerOp: 10 } as unknown as Figures;
  expect(charged(figures, 800)).toMatchObject({ nodesCpuMicros: 3600, cpuMicrosPerOp: 12, leftMicrosPerOp: 2 });
});

test('figures are compared within their round, whatever the machine does from one to the next', () => {
  const round = (opsPerSecond: number, cpuMicrosPerOp: number): Figures =>
    ({ opsPerSecond, cpuMicrosPerOp }) as unknown as Figures;
  // The rounds in the middle by themselves would make 1.2 and 1.6 of it.
  const floor = [10, 25, 40].map((put) => ({ put, get: put }));
  const mine = [round(900, 15), round(400, 30), round(200, 56)];
  const theirs = [round(300, 0), round(250, 0), round(100, 0)];
  const rounds = {
    quoral: { put: mine, get: mine },
    etcd: { put: theirs, get: theirs, getSerializable: theirs },
    floor,
  };
  const report = { rounds, peers: { etcd: {} }, openLoop: [] } as unknown as LoadReport;
  const { ratioToFloor, targets } = judge(report);
  expect(ratioToFloor).toEqual({ put: 1.4, get: 1.4 });
  expect(targets.map(({ reached, met }) => [reached, met])).toEqual([
    [1.4, true],
    [1.4, true],
    [2, true],
    [2, false],
    [2, true],
  ]);
});

test('of the fixed rates half of what was reached is judged, bare nodes stand beside it, and neither etcd nor its rate', () => {
  const at = (system: string, of: string, share: number, p99Ms: number): object => ({
    ...{ system, of, share, mix: 'put' },
    figures: { p99Ms },
  });
  const openLoop = [
    at('quoral', 'quoral', 0.25, 1),
    at('quoral', 'quoral', 0.5, 12),
    at('bare', 'quoral', 0.5, 4),
    at('etcd', 'etcd', 0.5, 2),
    at('quoral', 'etcd', 0.5, 3),
  ];
  const rounds = { quoral: {}, etcd: {}, floor: [] };
  const sync = { fdatasyncP50Ms: 1, fdatasyncP99Ms: 2 };
  const { targets } = judge({ rounds, peers: {}, openLoop, sync } as unknown as LoadReport);
  expect(targets.map(({ wanted, reached, met }) => [wanted, reached, met])).toEqual([['≤ 10.0', 12, false]]);
  expect(targets[0]?.what).toMatch(/^p99 of put at half load, ms .*: 4\.00\)$/);
});
