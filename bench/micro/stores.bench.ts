/**
 * CPU time of one store of a value at another node: messages, encoding and sockets, without coordinator and disk. Two processes over
 * loopback, both ends apart, and how long the sender's event loop stands still for one call at most. With another checkout,
 * which shares the installed packages, both take turns: `node bench/micro/stores.bench.ts [DIRECTORY [ROUNDS]]`
 */

import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { utf8 } from '#kernel/bytes.ts';
import { epoch, nodeId } from '#kernel/identity.ts';
import type { Messaging } from '#wire/messaging.ts';
import type { World } from '#world/world.ts';

const SIZES = [1024, 16_384, 65_536, 1_048_576, 4_194_304];
const BYTES_A_ROUND = 60_000_000;
const WARM_ROUNDS = 2;
const BASE_PORT = 23_100;
const DEADLINE_MS = 30_000;
const self = fileURLToPath(import.meta.url);
const ROOT = new URL('../../', import.meta.url).pathname;

interface Sent {
  readonly cpu: number;
  readonly longestMs: number;
}

interface Order {
  readonly size: number;
  readonly calls: number;
}

/** One of the two nodes, in a process of its own, of the program in `root`. */
async function serve(root: string, name: string, port: number, peerPort: number): Promise<void> {
  const { StoreMessage } = (await import(`${root}src/replica/messages.ts`)) as typeof import('#replica/messages.ts');
  const messaging = await messagingOf(root, name, port);
  const peer = nodeId(name === 'a' ? 'b' : 'a');
  messaging.handle(StoreMessage, () => ({ durable: true }));
  messaging.setPeers([{ id: peer, address: `127.0.0.1:${peerPort}` }]);
  await messaging.start();
  const scope = { epoch: epoch(1), n: 3, partition: 7, bucket: 'bench', incarnation: 1, definition: epoch(1) };
  const store = { scope, requestId: 'a-request', key: new Uint8Array(8), durable: true, origin: 1_764_270_000_000_000 };
  const send = async ({ size, calls }: Order): Promise<Sent> => {
    const states = Array.from({ length: 4 }, () => new Uint8Array(size).fill(5));
    const before = process.cpuUsage();
    let longestMs = 0;
    let next = 0;
    const sender = async (): Promise<void> => {
      for (let i = next++; i < calls; i = next++) {
        const start = performance.now();
        const request = { ...store, state: states[i % 4]! };
        const call = messaging.call(peer, StoreMessage, request, { deadline: start + DEADLINE_MS });
        longestMs = Math.max(longestMs, performance.now() - start);
        const result = await call;
        if (result.kind !== 'reply') throw new Error(JSON.stringify(result));
      }
    };
    await Promise.all(Array.from({ length: size < 100_000 ? 16 : 2 }, sender));
    const { user, system } = process.cpuUsage(before);
    return { cpu: user + system, longestMs };
  };
  process.on('message', (order: Order | 'cpu') => {
    if (order === 'cpu') process.send!(process.cpuUsage());
    else void send(order).then((sent) => process.send!(sent));
  });
  process.on('disconnect', () => process.exit());
  while (!messaging.reachable(peer)) await sleep(20);
  process.send!('ready');
}

async function messagingOf(root: string, name: string, port: number): Promise<Messaging> {
  const of = async <Module>(path: string): Promise<Module> => (await import(`${root}src/${path}`)) as Module;
  const { createMessaging } = await of<typeof import('#wire/peers.ts')>('wire/peers.ts');
  const { createNetwork } = await of<typeof import('#world/real/network.ts')>('world/real/network.ts');
  const { createLog } = await of<typeof import('#world/real/log.ts')>('world/real/log.ts');
  const { createMetrics } = await of<typeof import('#world/real/metrics.ts')>('world/real/metrics.ts');
  const { realClock } = await of<typeof import('#world/real/clock.ts')>('world/real/clock.ts');
  const { realRandom } = await of<typeof import('#world/real/random.ts')>('world/real/random.ts');
  const { digest } = await of<typeof import('#world/digest.ts')>('world/digest.ts');
  const { NO_TRACE } = await of<typeof import('#world/no-trace.ts')>('world/no-trace.ts');
  const log = createLog({ level: 'error' });
  const network = createNetwork({ listenHost: '127.0.0.1', listenPort: port, log });
  const ports = { clock: realClock(), random: realRandom(), network, log, metrics: createMetrics(), trace: NO_TRACE };
  const world: World = { ...ports, digest, disk: undefined as never };
  const own = { id: nodeId(name), storageId: `disk-of-${name}`, clusterId: 'bench', foundersText: 'a,b' };
  return createMessaging({ world, self: own, secret: utf8('a secret'), epoch: () => 1 });
}

class Pair {
  readonly #sender: ChildProcess;
  readonly #receiver: ChildProcess;

  constructor(root: string, port: number) {
    this.#sender = fork(self, ['serve', root, 'a', `${port}`, `${port + 1}`]);
    this.#receiver = fork(self, ['serve', root, 'b', `${port + 1}`, `${port}`]);
    for (const child of [this.#sender, this.#receiver]) child.once('exit', (code) => code !== 0 && giveUp(root));
  }

  async ready(): Promise<void> {
    await Promise.all([once(this.#sender, 'message'), once(this.#receiver, 'message')]);
  }

  async store(order: Order) {
    const before = await this.#receiverCpu();
    const { cpu, longestMs } = await ask<Sent>(this.#sender, order);
    const received = (await this.#receiverCpu()) - before;
    return { sender: cpu / order.calls, receiver: received / order.calls, longestMs };
  }

  end(): void {
    this.#sender.disconnect();
    this.#receiver.disconnect();
  }

  async #receiverCpu(): Promise<number> {
    const { user, system } = await ask<NodeJS.CpuUsage>(this.#receiver, 'cpu');
    return user + system;
  }
}

function giveUp(root: string): never {
  console.error(`a node of the program in ${root} has ended; are packages installed there?`);
  process.exit(1);
}

async function ask<Answer>(child: ChildProcess, question: Order | 'cpu'): Promise<Answer> {
  child.send(question);
  const [answer] = (await once(child, 'message')) as [Answer];
  return answer;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

async function main(roots: readonly string[], rounds: number): Promise<void> {
  const pairs = roots.map((root, i) => new Pair(root, BASE_PORT + 2 * i));
  await Promise.all(pairs.map((pair) => pair.ready()));
  for (const size of SIZES) {
    const calls = Math.min(4000, Math.ceil(BYTES_A_ROUND / size));
    const costs = pairs.map(() => [] as Awaited<ReturnType<Pair['store']>>[]);
    for (let round = -WARM_ROUNDS; round < rounds; round++) {
      for (const i of round % 2 === 0 ? pairs.keys() : [...pairs.keys()].toReversed()) {
        const cost = await pairs[i]!.store({ size, calls });
        if (round >= 0) costs[i]!.push(cost);
      }
    }
    for (const [i, root] of roots.entries()) {
      const of = (what: 'sender' | 'receiver' | 'longestMs'): number => median(costs[i]!.map((cost) => cost[what]));
      const [sender, receiver, longest] = [of('sender'), of('receiver'), of('longestMs')];
      const cpu = `${sender.toFixed(1)} µs CPU to send, ${receiver.toFixed(1)} to receive`;
      console.log(`${size} bytes: ${cpu}, ${longest.toFixed(2)} ms for one call at most (${root})`);
    }
  }
  for (const pair of pairs) pair.end();
}

const [first, second, ...rest] = process.argv.slice(2);
if (first === 'serve') await serve(second!, rest[0]!, Number(rest[1]), Number(rest[2]));
else await main(first === undefined ? [ROOT] : [`${first.replace(/\/$/, '')}/`, ROOT], Number(second ?? 9));
