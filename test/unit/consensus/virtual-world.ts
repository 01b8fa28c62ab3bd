/**
 * A small world for the epoch chain: one virtual clock, disks that forget what was not durable when they crash, and a
 * hub that delays, loses, duplicates and reorders messages. Everything follows from one seed.
 */

import { createHash } from 'node:crypto';
import { compareBytes, toHex, fromHex } from '#kernel/bytes.ts';
import { present } from '#kernel/assert.ts';
import type { NodeId } from '#kernel/identity.ts';
import { decode, encode } from '#wire/codec.ts';
import { Refusal } from '#wire/message.ts';
import type { MessageType } from '#wire/message.ts';
import type { CallResult, CallerInfo, Messaging } from '#wire/messaging.ts';
import { NO_TRACE } from '#world/no-trace.ts';
import type {
  Clock,
  Committed,
  Digest,
  Disk,
  DiskTransaction,
  Metrics,
  Random,
  RangeOptions,
  Row,
  World,
} from '#world/world.ts';

/** sfc32: a small generator of good quality, so that a seed says everything. */
export class Dice {
  #a = 0x9e3779b9;
  #b: number;
  #c = 0x243f6a88;
  #d = 1;

  constructor(seed: number) {
    this.#b = seed | 0;
    for (let i = 0; i < 12; i++) this.uint32();
  }

  uint32(): number {
    const t = (this.#a + this.#b + this.#d) | 0;
    this.#d = (this.#d + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + t;
    return t >>> 0;
  }

  chance(probability: number): boolean {
    return this.uint32() / 2 ** 32 < probability;
  }

  below(bound: number): number {
    return Math.floor((this.uint32() / 2 ** 32) * bound);
  }

  pick<T>(from: readonly T[]): T {
    return present(from[this.below(from.length)], 'an element to pick');
  }
}

interface Event {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

/** Events in the order of virtual time. After each one all promises settle before the next. */
export class Timeline {
  now = 0;
  #order = 0;
  /** A binary heap by (time, order). */
  readonly #events: Event[] = [];

  at(delay: number, run: () => void): void {
    const events = this.#events;
    events.push({ at: this.now + delay, order: this.#order++, run });
    for (let i = events.length - 1; i > 0;) {
      const parent = (i - 1) >> 1;
      if (!earlier(events[i]!, events[parent]!)) break;
      [events[i], events[parent]] = [events[parent]!, events[i]!];
      i = parent;
    }
  }

  async runUntil(end: number, done: () => boolean = () => false): Promise<void> {
    await turn();
    while (!done()) {
      const next = this.#events[0];
      if (next === undefined || next.at > end) break;
      this.#pop();
      this.now = next.at;
      next.run();
      await turn();
    }
    if (!done()) this.now = end;
  }

  #pop(): void {
    const events = this.#events;
    const last = events.pop()!;
    if (events.length === 0) return;
    events[0] = last;
    for (let i = 0; ;) {
      const left = 2 * i + 1;
      let least = i;
      if (left < events.length && earlier(events[left]!, events[least]!)) least = left;
      if (left + 1 < events.length && earlier(events[left + 1]!, events[least]!)) least = left + 1;
      if (least === i) return;
      [events[i], events[least]] = [events[least]!, events[i]!];
      i = least;
    }
  }
}

function earlier(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

type Write = readonly [table: string, key: string, value: Uint8Array | undefined];

/** What lies on the medium of one node. Lives on when the node's process dies. */
export class Medium {
  readonly #stable = new Map<string, Map<string, Uint8Array>>();
  /** Commits that reads see and that a crash may undo, oldest first. */
  readonly #inFlight: (readonly Write[])[] = [];
  #visible = new Map<string, Map<string, Uint8Array>>();

  table(name: string): Map<string, Uint8Array> {
    return tableOf(this.#visible, name);
  }

  commit(writes: readonly Write[]): () => void {
    apply(this.#visible, writes);
    this.#inFlight.push(writes);
    return () => {
      const last = this.#inFlight.indexOf(writes);
      for (const earlierWrites of this.#inFlight.splice(0, last + 1)) apply(this.#stable, earlierWrites);
    };
  }

  /** Loses the commits that were not durable, or all but the first few of them. */
  crash(dice: Dice): void {
    const survive = dice.below(this.#inFlight.length + 1);
    for (const writes of this.#inFlight.splice(0, survive)) apply(this.#stable, writes);
    this.#inFlight.length = 0;
    this.#visible = new Map([...this.#stable].map(([name, rows]) => [name, new Map(rows)]));
  }
}

function tableOf(tables: Map<string, Map<string, Uint8Array>>, name: string): Map<string, Uint8Array> {
  let table = tables.get(name);
  if (table === undefined) tables.set(name, (table = new Map()));
  return table;
}

function apply(tables: Map<string, Map<string, Uint8Array>>, writes: readonly Write[]): void {
  for (const [table, key, value] of writes) {
    if (value === undefined) tableOf(tables, table).delete(key);
    else tableOf(tables, table).set(key, value);
  }
}

export interface Faults {
  /** Probabilities for each message and each reply. */
  loss: number;
  duplication: number;
  /** Longest delay of a message, in milliseconds. */
  delay: number;
  /** Probability that a commit is followed by a crash before or right after it is durable. */
  crashAtCommit: number;
  /** Votes are called durable long before they are. */
  forgetfulVotes: boolean;
}

export const NO_FAULTS: Faults = { loss: 0, duplication: 0, delay: 2, crashAtCommit: 0, forgetfulVotes: false };

/** One life of a node's process: when it ends, its timers, commits and messages end with it. */
export interface Life {
  alive: boolean;
}

export class Universe {
  readonly timeline = new Timeline();
  readonly dice: Dice;
  readonly hub: Hub;
  faults: Faults = NO_FAULTS;
  readonly errors: string[] = [];

  constructor(seed: number) {
    this.dice = new Dice(seed);
    this.hub = new Hub(this);
  }

  world(node: NodeId, medium: Medium, life: Life, crash: () => void): World {
    const clock: Clock = {
      wall: () => 1_750_000_000_000 + this.timeline.now,
      monotonic: () => this.timeline.now,
      after: (delay, callback) => {
        let cancelled = false;
        this.timeline.at(Math.max(0, delay), () => {
          if (life.alive && !cancelled) callback();
        });
        return { cancel: () => void (cancelled = true) };
      },
      defer: (callback) => clock.after(0, callback),
    };
    const random: Random = {
      uint32: () => this.dice.uint32(),
      bytes: (length) => Uint8Array.from({ length }, () => this.dice.below(256)),
    };
    return {
      clock,
      random,
      trace: NO_TRACE,
      digest,
      disk: this.#disk(medium, life, crash),
      metrics: undefined as unknown as Metrics,
      network: undefined as never,
      log: {
        debug: () => undefined,
        info: () => undefined,
        warn: () => undefined,
        error: (event, fields) => this.errors.push(`${node} ${event} ${JSON.stringify(fields)}`),
      },
    };
  }

  #disk(medium: Medium, life: Life, crash: () => void): Disk {
    const get = (table: string, key: Uint8Array): Uint8Array | undefined =>
      medium.table(table).get(toHex(key))?.slice();
    const disk: Disk = {
      get,
      recall: get,
      recallUpTo: get,
      range: (table, options) => rangeOf(medium.table(table), options),
      commit: (run) => this.#commit(medium, life, crash, run),
      failure: () => undefined,
      sizeBytes: () => 0,
      freeBytes: () => Number.POSITIVE_INFINITY,
      close: async () => undefined,
    };
    return disk;
  }

  #commit(medium: Medium, life: Life, crash: () => void, run: (transaction: DiskTransaction) => void): Committed {
    const writes: Write[] = [];
    run({
      get: (table, key) => medium.table(table).get(toHex(key))?.slice(),
      recall: (table, key) => medium.table(table).get(toHex(key))?.slice(),
      range: (table, options) => rangeOf(medium.table(table), options),
      put: (table, key, value) => void writes.push([table, toHex(key), value.slice()]),
      delete: (table, key) => void writes.push([table, toHex(key), undefined]),
    });
    // A process that is dead cannot change its disk any more.
    if (!life.alive) return { durable: new Promise(() => undefined) };
    const harden = medium.commit(writes);
    const fatal = this.dice.chance(this.faults.crashAtCommit);
    const hardAfter = this.dice.below(3);
    const forgetful = this.faults.forgetfulVotes && writes.every(([table]) => table === 'epoch_votes');
    if (forgetful) this.timeline.at(100, () => life.alive && harden());
    return {
      durable: new Promise((resolve) => {
        this.timeline.at(hardAfter, () => {
          if (!life.alive) return;
          if (fatal && this.dice.chance(0.5)) return crash();
          if (!forgetful) harden();
          resolve();
          if (fatal) crash();
        });
      }),
    };
  }
}

function rangeOf(table: Map<string, Uint8Array>, options: RangeOptions): Row[] {
  const rows = [...table].map(([key, value]): Row => [present(fromHex(key), 'a key'), value.slice()]);
  const within = rows.filter(
    ([key]) =>
      (options.from === undefined || compareBytes(key, options.from) >= 0) &&
      (options.to === undefined || compareBytes(key, options.to) < 0),
  );
  within.sort(([a], [b]) => (options.reverse === true ? compareBytes(b, a) : compareBytes(a, b)));
  return within.slice(0, options.limit);
}

const digest: Digest = {
  crc32: (bytes) => bytes.reduce((sum, byte) => (Math.imul(sum, 31) + byte) >>> 0, 7),
  equal: (a, b) => compareBytes(a, b) === 0,
  sha256: (bytes) => new Uint8Array(createHash('sha256').update(bytes).digest()),
  hmacSha256: (_key, bytes) => bytes,
  equalSecrets: (a, b) => compareBytes(a, b) === 0,
};

type AnyType = MessageType<never, unknown>;

interface Endpoint {
  readonly id: NodeId;
  readonly storageId: string;
  readonly life: Life;
  readonly handlers: Map<
    string,
    { readonly type: AnyType; readonly handler: (request: never, caller: CallerInfo) => unknown }
  >;
  readonly epochListeners: ((peer: NodeId, epoch: number) => void)[];
  readonly reachabilityListeners: ((peer: NodeId, reachable: boolean) => void)[];
}

/** The network of the universe, with the wire's encoding in between. */
export class Hub {
  readonly #universe: Universe;
  readonly #endpoints = new Map<NodeId, Endpoint>();
  /** Pairs that cannot talk: `a b`, both ways. */
  readonly cut = new Set<string>();
  /** Nodes that are there beside another of their name: `a disk`. */
  readonly here = new Set<string>();
  /** Sees each message as it arrives, and may change it: the place to break the protocol on purpose. */
  inspect: (name: string, direction: 'request' | 'reply', body: unknown, to: NodeId) => unknown = (_n, _d, body) =>
    body;

  constructor(universe: Universe) {
    this.#universe = universe;
  }

  #connected(a: NodeId, b: NodeId): boolean {
    return !this.cut.has(`${a} ${b}`) && this.#endpoints.get(b)?.life.alive === true;
  }

  heartbeat(from: NodeId, epoch: number): void {
    for (const [id, endpoint] of this.#endpoints) {
      if (id === from || !this.#connected(from, id) || this.#universe.dice.chance(this.#universe.faults.loss)) continue;
      for (const listener of endpoint.epochListeners) listener(from, epoch);
    }
  }

  /** Mends all links and tells everybody. */
  heal(): void {
    this.cut.clear();
    for (const { id, reachabilityListeners } of this.#endpoints.values()) {
      for (const peer of this.#endpoints.keys()) {
        if (peer !== id && this.#connected(id, peer))
          for (const listener of reachabilityListeners) listener(peer, true);
      }
    }
  }

  messaging(id: NodeId, life: Life, disk = ''): Messaging {
    const endpoint: Endpoint = {
      id,
      storageId: disk,
      life,
      handlers: new Map(),
      epochListeners: [],
      reachabilityListeners: [],
    };
    this.#endpoints.set(id, endpoint);
    return {
      handle: (type, handler) => void endpoint.handlers.set(type.name, { type: type as never, handler }),
      setPeers: () => undefined,
      call: (to, type, request, { deadline }) => this.#call(endpoint, to, type, request, deadline),
      flush: () => undefined,
      reachable: (peer) => this.#connected(id, peer),
      gathered: () => 0,
      owes: () => 0,
      roundTrip: () => 0,
      trouble: () => undefined,
      onCallEnd: () => undefined,
      storageIdOf: () => undefined,
      isHere: (peer, storage) => this.here.has(`${peer} ${storage}`),
      versionOf: () => undefined,
      announceStop: () => undefined,
      drain: () => Promise.resolve(),
      onReachability: (listener) => void endpoint.reachabilityListeners.push(listener),
      onEpoch: (listener) => void endpoint.epochListeners.push(listener),
      start: async () => undefined,
      stop: async () => undefined,
    };
  }

  #call<Q, R>(
    from: Endpoint,
    to: NodeId,
    type: MessageType<Q, R>,
    request: Q,
    deadline: number,
  ): Promise<CallResult<R>> {
    const { timeline, dice, faults } = this.#universe;
    if (!from.life.alive) return new Promise(() => undefined);
    if (!this.#connected(from.id, to)) return Promise.resolve({ kind: 'not-sent', reason: 'unreachable' });
    const bytes = encode(type.encodeRequest(request)).slice();
    return new Promise((resolve) => {
      timeline.at(Math.max(0, deadline - timeline.now), () => {
        if (from.life.alive) resolve({ kind: 'lost', reason: 'timeout' });
      });
      const copies = dice.chance(faults.loss) ? 0 : dice.chance(faults.duplication) ? 2 : 1;
      for (let copy = 0; copy < copies; copy++) {
        timeline.at(this.#delay(), () => {
          void this.#deliver(from, to, type, bytes, deadline, resolve);
        });
      }
    });
  }

  async #deliver<Q, R>(
    from: Endpoint,
    to: NodeId,
    type: MessageType<Q, R>,
    bytes: Uint8Array,
    deadline: number,
    answer: (result: CallResult<R>) => void,
  ): Promise<void> {
    const { timeline, dice, faults } = this.#universe;
    const callee = this.#endpoints.get(to);
    if (callee === undefined || !callee.life.alive || !this.#connected(from.id, to)) return;
    const { handler } = present(callee.handlers.get(type.name), `handler of ${type.name}`);
    let result: CallResult<R>;
    try {
      const request = this.inspect(type.name, 'request', type.decodeRequest(decode(bytes)), to);
      const reply = (await handler(request as never, { from: from.id, storageId: from.storageId, deadline })) as R;
      if (!callee.life.alive) return;
      const copy = type.decodeReply(decode(encode(type.encodeReply(reply)).slice()));
      result = { kind: 'reply', reply: this.inspect(type.name, 'reply', copy, from.id) as R };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      result = { kind: 'refused', code: error.code, detail: error.message, value: error.value };
    }
    if (dice.chance(faults.loss)) return;
    timeline.at(this.#delay(), () => {
      if (from.life.alive && this.#connected(to, from.id)) answer(result);
    });
  }

  #delay(): number {
    const { dice, faults } = this.#universe;
    // Mostly quick, now and then late enough to arrive after everything else.
    return dice.chance(0.9) ? dice.below(faults.delay) : dice.below(faults.delay * 10);
  }
}
