/**
 * CPU time of one call over a peer connection: 1 KiB there and back between two processes over loopback, both ends
 * together, without any message encoding. `node bench/micro/network.bench.ts [calls]`
 */

import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { createNetwork } from '#world/real/network.ts';
import { createLog } from '#world/real/log.ts';
import type { Connection, Network } from '#world/world.ts';

const MESSAGE_BYTES = 1024;
const self = fileURLToPath(import.meta.url);

function network(): Network {
  return createNetwork({ listenHost: '127.0.0.1', listenPort: 0, log: createLog({ level: 'error' }) });
}

/** The other process: sends every message back and tells its CPU time when asked. */
async function serve(): Promise<void> {
  const listener = await network().listen((connection) => ({
    message: (message) => connection.send(message),
    closed: () => {},
  }));
  process.on('message', () => process.send!(process.cpuUsage()));
  process.on('disconnect', () => process.exit());
  process.send!(listener.address);
}

async function cpuMicroseconds(child: ChildProcess): Promise<number> {
  child.send('cpu');
  const [theirs] = (await once(child, 'message')) as [NodeJS.CpuUsage];
  const own = process.cpuUsage();
  return theirs.user + theirs.system + own.user + own.system;
}

/** Makes calls, so many of them in flight at a time, until all are answered. */
class Caller {
  readonly #connection: Connection;
  readonly #message = new Uint8Array(MESSAGE_BYTES).fill(7);
  #unsent = 0;
  #unanswered = 0;
  #done: () => void = () => {};

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  run(calls: number, inFlight: number): Promise<void> {
    this.#unsent = calls - inFlight;
    this.#unanswered = calls;
    for (let i = 0; i < inFlight; i++) this.#connection.send(this.#message);
    return new Promise((resolve) => (this.#done = resolve));
  }

  answered(): void {
    if (this.#unsent-- > 0) this.#connection.send(this.#message);
    if (--this.#unanswered === 0) this.#done();
  }
}

export interface CallCost {
  readonly inFlight: number;
  /** Of both ends. */
  readonly cpuMicros: number;
  readonly callsPerSecond: number;
}

/** What a call costs with so many of them in flight. */
export async function measureCalls(calls: number, inFlights: readonly number[]): Promise<readonly CallCost[]> {
  const child = fork(self, ['serve']);
  const [address] = (await once(child, 'message')) as [string];
  let caller!: Caller;
  await network().connect(address, 'foreground', 1000, (connection) => {
    caller = new Caller(connection);
    return { message: () => caller.answered(), closed: () => {} };
  });
  const costs: CallCost[] = [];
  for (const inFlight of inFlights) {
    const count = inFlight === 1 ? Math.ceil(calls / 5) : calls;
    await caller.run(Math.max(inFlight, count >> 2), inFlight);
    const before = await cpuMicroseconds(child);
    const start = performance.now();
    await caller.run(Math.max(inFlight, count), inFlight);
    const seconds = (performance.now() - start) / 1000;
    const cpu = (await cpuMicroseconds(child)) - before;
    costs.push({ inFlight, cpuMicros: cpu / count, callsPerSecond: Math.round(count / seconds) });
  }
  child.disconnect();
  return costs;
}

if (process.argv[1] === self) {
  if (process.argv[2] === 'serve') await serve();
  else {
    for (const { inFlight, cpuMicros, callsPerSecond } of await measureCalls(
      Number(process.argv[2] ?? 200_000),
      [64, 8, 1],
    ))
      console.log(`${inFlight} in flight: ${cpuMicros.toFixed(1)} µs CPU a call, ${callsPerSecond} calls/s`);
  }
}
