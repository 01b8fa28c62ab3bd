/**
 * What the front door costs: CPU time of the serving process for each request of 1 KiB over real sockets, with a store
 * that answers at once, beside a bare node:http server that does the least that HTTP allows. The load comes from another
 * process. The two take turns, and the medians are compared, because a machine drifts by more than the difference.
 *
 * `node bench/micro/api.bench.ts [requests]`
 */

import { fork } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createApp } from '#api/app.ts';
import { startServer } from '#api/server.ts';
import { benchServices } from './api-services.ts';
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

/** CPU of this process while another one sends the requests. */
async function measure(port: number, method: Method, requests: number): Promise<Cost> {
  const load = fork(LOAD, [String(port), method, String(requests)]);
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

export interface Row {
  readonly server: 'bare' | 'api';
  readonly method: Method;
  readonly cost: Cost;
}

/** The medians of `rounds` alternating rounds. */
export async function compare(requests: number, rounds: number): Promise<readonly Row[]> {
  const contenders = { bare: await bareServer(), api: await ourServer() };
  const costs = new Map<string, Cost[]>();
  for (let round = 0; round < rounds; round++) {
    for (const server of round % 2 === 0 ? (['bare', 'api'] as const) : (['api', 'bare'] as const)) {
      for (const method of ['PUT', 'GET'] as const) {
        const cost = await measure(contenders[server].port, method, requests);
        const key = `${server} ${method}`;
        costs.set(key, [...(costs.get(key) ?? []), cost]);
      }
    }
  }
  await Promise.all([contenders.bare.close(), contenders.api.close()]);
  return [...costs].map(([key, all]) => {
    const [server, method] = key.split(' ') as ['bare' | 'api', Method];
    const sorted = all.toSorted((a, b) => a.cpu - b.cpu);
    return { server, method, cost: sorted[Math.floor(sorted.length / 2)]! };
  });
}

if (process.argv[1] === import.meta.filename) {
  const rows = await compare(Number(process.argv[2] ?? 40_000), 5);
  for (const { server, method, cost } of rows) {
    console.log(`${server.padEnd(5)} ${method} ${cost.cpu.toFixed(1)} µs of CPU, ${Math.round(cost.rate)} requests/s`);
  }
}
