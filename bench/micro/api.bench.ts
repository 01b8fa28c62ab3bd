/**
 * What the front door costs: CPU time of the serving process for each request of 1 KiB over real sockets, with a store
 * that answers at once, beside a bare node:http server that does the least that HTTP allows, and beside the same front door
 * asking for tokens, and one that has too much to do and turns all requests away. The load comes from another process. They take turns, and the medians are compared, because a machine drifts by more than the difference.
 *
 * `node bench/micro/api.bench.ts [requests]`
 */

import { fork } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { parseScope } from '#access/scope.ts';
import { createApp } from '#api/app.ts';
import { startServer } from '#api/server.ts';
import { DEFAULT_API_SETTINGS } from '#api/services.ts';
import { benchServices, benchTokens } from './api-services.ts';
import { VALUE, type Method } from './http-load.ts';

const LOAD = join(import.meta.dirname, 'http-load.ts');

export interface Cost {
  /** Microseconds of CPU for one request. */
  readonly cpu: number;
  /** Requests per second, as this one client drives it. */
  readonly rate: number;
}

interface Contender {
  readonly port: number;
  /** What clients have to show. */
  readonly token?: string;
  close(): Promise<void>;
}

/** Nothing but the parser: reads the body, answers with a few headers. */
async function bareServer(): Promise<Contender> {
  const server = createServer((request, response) => {
    if (request.method === 'GET') {
      response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': VALUE.length });
      response.end(VALUE);
      return;
    }
    request.on('data', () => undefined);
    request.on('end', () => {
      response.writeHead(204, { etag: '"0"' });
      response.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = (): Promise<void> => new Promise((resolve) => void server.close(() => resolve()));
  return { port: (server.address() as AddressInfo).port, close };
}

async function ourServer(): Promise<Contender> {
  const services = benchServices(new Uint8Array(VALUE));
  const server = await startServer(createApp(services), services, { host: '127.0.0.1', port: 0 });
  return { port: server.port, close: () => server.close(1000) };
}

/** The same, asking for a token. */
async function guardedServer(): Promise<Contender> {
  const tokens = benchTokens();
  const made = await tokens.create(
    { name: 'bench', scopes: [parseScope('read')!, parseScope('write')!], ttl: null },
    0,
  );
  if (made.kind !== 'created') throw new Error(made.detail);
  const guard = { required: true, metricsOpen: false, authenticate: (token: string) => tokens.authenticate(token) };
  const services = { ...benchServices(new Uint8Array(VALUE)), guard };
  const server = await startServer(createApp(services), services, { host: '127.0.0.1', port: 0 });
  return { port: server.port, token: made.text, close: () => server.close(1000) };
}

/** The same, with as much to do as it may. */
async function fullServer(): Promise<Contender> {
  // Its clients repeat at once what was turned away.
  const settings = { ...DEFAULT_API_SETTINGS, requestsMax: 0, repeatPauseMs: 0 };
  const services = { ...benchServices(new Uint8Array(VALUE)), settings };
  const server = await startServer(createApp(services), services, { host: '127.0.0.1', port: 0 });
  return { port: server.port, close: () => server.close(1000) };
}

/** CPU of this process while another one sends the requests. */
async function measure({ port, token }: Contender, method: Method, requests: number): Promise<Cost> {
  const load = fork(LOAD, [String(port), method, String(requests), ...(token === undefined ? [] : [token])]);
  await new Promise((resolve) => load.once('message', resolve));
  const startedAt = process.hrtime.bigint();
  const before = process.cpuUsage();
  load.send('go');
  const status = await new Promise((resolve) => load.once('exit', resolve));
  const { user, system } = process.cpuUsage(before);
  if (status !== 0) throw new Error(`the load process ended with ${String(status)}`);
  const seconds = Number(process.hrtime.bigint() - startedAt) / 1e9;
  return { cpu: (user + system) / requests, rate: requests / seconds };
}

const SERVERS = ['bare', 'api', 'guarded', 'full'] as const;

export interface Row {
  readonly server: (typeof SERVERS)[number];
  readonly method: Method;
  readonly cost: Cost;
}

/** The medians of `rounds` alternating rounds. */
export async function compare(requests: number, rounds: number): Promise<readonly Row[]> {
  const contenders = {
    ...{ bare: await bareServer(), api: await ourServer() },
    ...{ guarded: await guardedServer(), full: await fullServer() },
  };
  const costs = new Map<string, Cost[]>();
  for (let round = 0; round < rounds; round++) {
    for (const server of round % 2 === 0 ? SERVERS : SERVERS.toReversed()) {
      for (const method of ['PUT', 'GET'] as const) {
        const cost = await measure(contenders[server], method, requests);
        const key = `${server} ${method}`;
        costs.set(key, [...(costs.get(key) ?? []), cost]);
      }
    }
  }
  await Promise.all(SERVERS.map((server) => contenders[server].close()));
  return [...costs].map(([key, all]) => {
    const [server, method] = key.split(' ') as [Row['server'], Method];
    const sorted = all.toSorted((a, b) => a.cpu - b.cpu);
    return { server, method, cost: sorted[Math.floor(sorted.length / 2)]! };
  });
}

if (process.argv[1] === import.meta.filename) {
  const rows = await compare(Number(process.argv[2] ?? 40_000), 5);
  for (const { server, method, cost } of rows) {
    console.log(`${server.padEnd(7)} ${method} ${cost.cpu.toFixed(1)} µs of CPU, ${Math.round(cost.rate)} requests/s`);
  }
}
