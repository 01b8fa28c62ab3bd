/**
 * A world of a few nodes for the tests of this room: one clock that stands still unless a test moves it, and connections
 * in memory that a test can cut, silence and clog.
 */

import { utf8 } from '#kernel/bytes.ts';
import { copied, type Pieces } from '#kernel/pieces.ts';
import { digest } from '#world/digest.ts';
import { NO_TRACE } from '#world/no-trace.ts';
import type {
  Channel,
  Clock,
  Connection,
  ConnectionEvents,
  Counter,
  LogFields,
  Metrics,
  Network,
  World,
} from '#world/world.ts';
import { NetworkError } from '#world/world.ts';

interface Scheduled {
  readonly at: number;
  readonly order: number;
  readonly callback: () => void;
}

export class ManualClock implements Clock {
  now = 1_000;
  /** How many timers were ever set. */
  timersSet = 0;
  #scheduled: Scheduled[] = [];

  wall(): number {
    return this.now;
  }

  monotonic(): number {
    return this.now;
  }

  get timersWaiting(): number {
    return this.#scheduled.length;
  }

  after(delay: number, callback: () => void): { cancel(): void } {
    const timer = { at: this.now + delay, order: this.timersSet++, callback };
    this.#scheduled.push(timer);
    return { cancel: () => void (this.#scheduled = this.#scheduled.filter((other) => other !== timer)) };
  }

  defer(callback: () => void): void {
    this.after(0, callback);
  }

  /** Lets time pass while this "process" stands still: what is due then fires late, all at once. */
  standStill(duration: number): void {
    this.now += duration;
  }

  async advance(duration: number): Promise<void> {
    const end = this.now + duration;
    await settled();
    for (let next = this.#takeNext(end); next !== undefined; next = this.#takeNext(end)) {
      this.now = Math.max(this.now, next.at);
      next.callback();
      await settled();
    }
    this.now = end;
  }

  #takeNext(end: number): Scheduled | undefined {
    this.#scheduled.sort((a, b) => a.at - b.at || a.order - b.order);
    return (this.#scheduled[0]?.at ?? Infinity) <= end ? this.#scheduled.shift() : undefined;
  }
}

/** All promise reactions have run. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

export interface LogLine {
  readonly level: string;
  readonly event: string;
  readonly fields: LogFields;
}

export const LATENCY_MS = 1;

export class FakeConnection implements Connection {
  readonly channel: Channel;
  readonly remote: string;
  queuedBytes = 0;
  gathered = 0;
  other: FakeConnection | undefined;
  events: ConnectionEvents | undefined;
  isOpen = true;
  readonly #hub: FakeHub;
  readonly #from: string;
  readonly #to: string;

  constructor(hub: FakeHub, channel: Channel, from: string, to: string) {
    this.#hub = hub;
    this.channel = channel;
    this.remote = to;
    this.#from = from;
    this.#to = to;
  }

  send(message: Uint8Array | Pieces): void {
    if (!this.isOpen) return;
    if (this.#hub.clogged.has(this.#from)) {
      this.queuedBytes += message.length;
      return;
    }
    if (this.#hub.isSilenced(this.#from, this.#to)) return;
    const copy = copied(message);
    this.#hub.messages.push({ from: this.#from, to: this.#to, bytes: copy, sent: message });
    this.#hub.clock.after(LATENCY_MS, () => {
      if (this.other?.isOpen === true) this.other.events?.message(copy);
    });
  }

  flush(): void {
    this.#hub.flushes++;
  }

  close(reason: string): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.#hub.clock.after(0, () => this.events?.closed(reason));
    if (this.#hub.isSilenced(this.#from, this.#to)) return;
    const { other } = this;
    this.#hub.clock.after(LATENCY_MS, () => {
      if (other?.isOpen !== true) return;
      other.isOpen = false;
      other.events?.closed(reason);
    });
  }
}

export class FakeHub {
  readonly clock = new ManualClock();
  readonly messages: { from: string; to: string; bytes: Uint8Array; sent: Uint8Array | Pieces }[] = [];
  readonly connections: FakeConnection[] = [];
  /** When each attempt to connect was made, by `from>to`. */
  readonly attempts: { readonly path: string; readonly at: number }[] = [];
  readonly clogged = new Set<string>();
  flushes = 0;
  readonly #doors = new Map<string, (connection: Connection) => ConnectionEvents>();
  readonly #silenced = new Set<string>();

  /** From now on nothing that `from` sends arrives at `to`, and neither end is told. */
  silence(from: string, to: string): void {
    this.#silenced.add(`${from}>${to}`);
  }

  unsilence(): void {
    this.#silenced.clear();
  }

  isSilenced(from: string, to: string): boolean {
    return this.#silenced.has(`${from}>${to}`);
  }

  /** Ends the connections between two nodes, as when a process dies. */
  cut(a: string, b: string): void {
    for (const connection of this.connections) {
      const ends = [connection.remote, connection.other?.remote];
      if (ends.includes(a) && ends.includes(b)) connection.close('cut');
    }
  }

  network(address: string): Network {
    return {
      listen: (accept) => {
        this.#doors.set(address, accept);
        return Promise.resolve({ address, close: () => Promise.resolve(void this.#doors.delete(address)) });
      },
      connect: (to, channel, timeout, open) =>
        new Promise((resolve, reject) => {
          this.attempts.push({ path: `${address}>${to}`, at: this.clock.now });
          if (this.isSilenced(address, to)) {
            this.clock.after(timeout, () => reject(new NetworkError(`${to}: no answer within ${timeout} ms`)));
            return;
          }
          this.clock.after(LATENCY_MS, () => {
            const accept = this.#doors.get(to);
            if (accept === undefined) return reject(new NetworkError(`${to} refuses connections`));
            const near = new FakeConnection(this, channel, address, to);
            const far = new FakeConnection(this, channel, to, address);
            near.other = far;
            far.other = near;
            this.connections.push(near, far);
            far.events = accept(far);
            near.events = open(near);
            resolve();
          });
        }),
    };
  }

  /** The world of one node. */
  world(address: string): FakeWorld {
    const log: LogLine[] = [];
    const counts = new Map<string, number>();
    const write =
      (level: string) =>
      (event: string, fields: LogFields = {}) =>
        void log.push({ level, event, fields });
    return {
      clock: this.clock,
      random: fakeRandom(address),
      network: this.network(address),
      disk: undefined as never,
      log: { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') },
      metrics: fakeMetrics(counts),
      trace: NO_TRACE,
      digest,
      lines: log,
      counts,
    };
  }
}

export interface FakeWorld extends World {
  readonly lines: LogLine[];
  readonly counts: Map<string, number>;
}

function fakeMetrics(counts: Map<string, number>): Metrics {
  return {
    counter(name, _help, labels = {}): Counter {
      const key = [name, ...Object.values(labels)].join(' ');
      return { add: (amount = 1) => void counts.set(key, (counts.get(key) ?? 0) + amount) };
    },
    total: () => undefined,
    gauge: () => undefined,
    histogram: () => ({ observe: () => undefined }),
    render: () => Promise.resolve(''),
  };
}

/** A small linear congruential generator: other numbers for each node, the same in each run. */
function fakeRandom(seed: string): World['random'] {
  let state = utf8(seed).reduce((sum, byte) => (sum * 31 + byte) >>> 0, 7);
  const uint32 = (): number => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0);
  return { uint32, bytes: (length) => Uint8Array.from({ length }, () => uint32() >>> 24) };
}
