/**
 * A replicated store as small as can be, on sets of dots instead of vectors, which leaves a history behind. It is right
 * unless told to make a mistake, so it shows both that the checkers do not cry wolf and that they bark.
 */

import fc from 'fast-check';
import type {
  BucketFacts,
  Dot,
  History,
  LiveVersion,
  Mint,
  ReplicaSnapshot,
  Request,
  WhiteBox,
  WriteId,
  WriteRequest,
} from '../../simulation/history.ts';

const REPLICAS = 3;
const CLIENTS = 3;

export const MISTAKES = [
  'merge-drops-a-sibling',
  'merge-revives',
  'acknowledges-too-early',
  'reads-one-replica',
  'says-not-applied',
  'context-covers-the-unseen',
  'forgets-the-context',
  'order-against-causality',
  'reuses-dots',
] as const;

export type Mistake = (typeof MISTAKES)[number];

const replicas = fc.nat(2 ** REPLICAS - 1);

const operation = fc.record({
  kind: fc.constantFrom('put', 'put', 'put', 'read', 'read', 'delete', 'deliver'),
  client: fc.nat(CLIENTS - 1),
  coordinator: fc.nat(REPLICAS - 1),
  context: fc.constantFrom('held', 'held', 'old', 'none'),
  /** Replicas that get the write, as bits; the coordinator always does. */
  reached: replicas,
  /** Of these, whose acknowledgement or answer arrives. */
  heard: replicas,
  /** Replicas that get the write when it is delivered again, later. */
  late: replicas,
  quorum: fc.integer({ min: 1, max: REPLICAS }),
  refused: fc.nat(9).map((n) => n === 0),
  /** How long before and after its effect the request begins and ends. */
  before: fc.nat(25),
  after: fc.nat(25),
});

export type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

export const operations = fc.array(operation, { maxLength: 50, size: 'max' });

interface State {
  /** Names of all dots known. */
  readonly known: ReadonlyMap<string, Dot>;
  readonly live: ReadonlyMap<string, LiveVersion>;
}

interface Context {
  readonly known: ReadonlyMap<string, Dot>;
  readonly shown: readonly WriteId[];
}

const NOTHING: State = { known: new Map(), live: new Map() };

export interface StoreOptions {
  readonly mode: 'siblings' | 'lww';
  /** Whether the values are sets of elements, and nothing is deleted. */
  readonly set?: boolean;
  readonly mistake?: Mistake;
}

export class SmallStore {
  readonly #options: StoreOptions;
  readonly #states: State[] = Array.from({ length: REPLICAS }, () => NOTHING);
  readonly #held: Context[][] = Array.from({ length: CLIENTS }, () => []);
  readonly #busyUntil: number[] = Array.from({ length: CLIENTS }, () => 0);
  readonly #messages: State[] = [];
  readonly #requests: Request[] = [];
  readonly #mints: Mint[] = [];
  readonly #samples: ReplicaSnapshot[] = [];
  readonly #elements = new Map<WriteId, readonly WriteId[]>();
  readonly #skews = [0, 40, -40];
  #now = 0;
  #count = 0;

  constructor(options: StoreOptions) {
    this.#options = options;
  }

  /** Runs the operations, then lets all replicas hear of everything, then reads once from each. */
  run(operations: readonly Operation[]): { readonly history: History; readonly whiteBox: WhiteBox } {
    for (const operation of operations) {
      this.#now += 10;
      this.#step(operation);
      for (const replica of this.#states.keys()) this.#samples.push(this.#snapshot(replica));
    }
    this.#now += 100;
    for (let round = 0; round < 2; round++) {
      for (let from = 0; from < REPLICAS; from++) {
        for (let to = 0; to < REPLICAS; to++) this.#receive(to, this.#states[from]!);
      }
    }
    const convergedAt = this.#moment(this.#now);
    for (let replica = 0; replica < REPLICAS; replica++) {
      this.#now += 100;
      this.#read({ ...operations[0]!, client: 0, quorum: 1, heard: 2 ** replica, before: 1, after: 1 });
    }
    const bucket: BucketFacts = { mode: this.#options.mode, owners: REPLICAS };
    return {
      history: {
        buckets: { b: bucket },
        requests: this.#requests,
        gauges: [],
        stalls: [],
        convergedAt,
        end: this.#moment(this.#now + 1000),
        mayBeLost: [],
        losesUnsynced: false,
      },
      whiteBox: {
        mints: this.#mints,
        samples: this.#samples,
        final: { replicas: [...this.#states.keys()].map((replica) => this.#snapshot(replica)), hints: [] },
      },
    };
  }

  #step(operation: Operation): void {
    switch (operation.kind) {
      case 'read':
        this.#read(operation);
        return;
      case 'put':
      case 'delete':
        this.#write(operation, this.#options.set === true ? 'put' : operation.kind);
        return;
      case 'deliver': {
        const message = this.#messages[operation.before % Math.max(1, this.#messages.length)];
        if (message !== undefined) for (const to of bits(operation.late)) this.#receive(to, message);
        return;
      }
    }
  }

  #read(operation: Operation): void {
    const times = this.#times(operation);
    if (times === undefined) return;
    const { client, heard, quorum } = operation;
    const { mistake } = this.#options;
    const answers = bits(heard).slice(0, mistake === 'reads-one-replica' ? 1 : quorum);
    const enough = mistake === 'reads-one-replica' ? answers.length > 0 : answers.length >= quorum;
    const merged = answers.reduce((state, from) => this.#merge(state, this.#states[from]!), NOTHING);
    const shown = enough ? shownIn(merged) : null;
    if (shown !== null) this.#held[client]!.push({ known: merged.known, shown });
    this.#requests.push({
      kind: 'read',
      shown,
      quorum: { r: quorum, pr: 0, sloppy: false },
      ...this.#facts(operation, times),
    });
  }

  #write(operation: Operation, kind: 'put' | 'delete'): void {
    const times = this.#times(operation);
    if (times === undefined) return;
    const { client, coordinator, quorum, reached, heard, refused } = operation;
    this.#count += 1;
    const write = `${kind === 'put' ? 'p' : 'd'}${this.#count}`;
    const context = this.#context(operation);
    const elements = [...new Set([...(context?.shown ?? []).flatMap((id) => this.#elements.get(id) ?? []), write])];
    if (kind === 'put') this.#elements.set(write, elements);
    const record = (outcome: WriteRequest['outcome']): void => {
      this.#requests.push({
        kind,
        write,
        quorum: { r: quorum, pr: 0, w: quorum, pw: 0, dw: quorum, sloppy: false },
        covers: context?.shown ?? null,
        condition: { kind: 'none' },
        idempotencyKey: null,
        elements: this.#options.set === true ? elements : null,
        outcome,
        preconditionFailed: false,
        ...this.#facts(operation, times),
      });
    };
    const found = bits(heard).slice(0, quorum);
    if (refused || (kind === 'delete' && context === undefined && found.length < quorum)) return record('not-applied');
    const finding = kind === 'delete' && context === undefined;
    const known = finding
      ? found.reduce((state, from) => this.#merge(state, this.#states[from]!), NOTHING).known
      : (context?.known ?? new Map<string, Dot>());
    const state = this.#mint(coordinator, known, kind, write);
    this.#messages.push(state);
    this.#states[coordinator] = state;
    const holders = new Set([coordinator, ...bits(reached)]);
    for (const to of holders) this.#receive(to, state);
    const acknowledged = bits(heard).filter((from) => holders.has(from)).length;
    const { mistake } = this.#options;
    if (acknowledged >= quorum || mistake === 'acknowledges-too-early') {
      record('applied');
      const shown = shownIn(state);
      if (shown.every((id) => id === write)) this.#held[client]!.push({ known: state.known, shown });
    } else {
      record(mistake === 'says-not-applied' ? 'not-applied' : 'unknown');
    }
  }

  #context({ client, context }: Operation): Context | undefined {
    const held = this.#held[client]!;
    if (context === 'none' || held.length === 0) return undefined;
    return context === 'held' ? held.at(-1) : held[Math.floor(held.length / 2)];
  }

  #mint(replica: number, context: ReadonlyMap<string, Dot>, kind: 'put' | 'delete', write: WriteId): State {
    const { mode, mistake } = this.#options;
    const before = this.#states[replica]!;
    const covered =
      mistake === 'context-covers-the-unseen' ? before.known : mistake === 'forgets-the-context' ? new Map() : context;
    const clock = this.#now + this.#skews[replica]!;
    const latest = Math.max(0, ...[...before.known.values(), ...context.values()].map(({ counter }) => counter));
    const own = Math.max(
      0,
      ...[...before.known.values()].flatMap(({ node, counter }) => (node === replica ? counter : [])),
    );
    const counter =
      mistake === 'order-against-causality' || mistake === 'reuses-dots'
        ? Math.max(clock, own + (mistake === 'reuses-dots' ? 0 : 1))
        : Math.max(clock, latest + 1);
    const dot = { node: replica, tenure: 1, counter };
    this.#mints.push({ write, dot });
    const live = new Map([...before.live].filter(([name]) => !covered.has(name)));
    if (kind === 'put') live.set(nameOf(dot), { dot, write });
    else if (mode === 'lww') live.set(nameOf(dot), { dot, write: null });
    return this.#settle({ known: new Map([...before.known, ...context, [nameOf(dot), dot]]), live });
  }

  #merge(a: State, b: State): State {
    const live = new Map<string, LiveVersion>();
    const revives = this.#options.mistake === 'merge-revives';
    for (const [mine, other] of [[a, b] as const, [b, a] as const]) {
      for (const [name, version] of mine.live) {
        if (other.live.has(name) || !other.known.has(name) || revives) live.set(name, version);
      }
    }
    const names = [...live.keys()];
    if (this.#options.mistake === 'merge-drops-a-sibling' && names.length > 1) live.delete(names[0]!);
    return this.#settle({ known: new Map([...a.known, ...b.known]), live });
  }

  #settle({ known, live }: State): State {
    if (this.#options.mode === 'siblings' || live.size <= 1) return { known, live };
    const [latest] = [...live].toSorted(([, a], [, b]) => b.dot.counter - a.dot.counter || b.dot.node - a.dot.node);
    return { known, live: new Map([latest!]) };
  }

  #receive(replica: number, state: State): void {
    this.#states[replica] = this.#merge(this.#states[replica]!, state);
  }

  /** When a request has its effect now: when it began and ended. Undefined while its client is busy. */
  #times({ client, before, after }: Operation): { readonly start: number; readonly end: number } | undefined {
    const free = this.#busyUntil[client]!;
    if (free >= this.#now) return undefined;
    const start = Math.max(free + 1, this.#now - before);
    this.#busyUntil[client] = this.#now + after;
    return { start, end: this.#now + after };
  }

  #facts({ client, coordinator }: Operation, { start, end }: { readonly start: number; readonly end: number }) {
    return {
      client: `c${client}`,
      session: null,
      bucket: 'b',
      key: 'k',
      node: `n${coordinator}`,
      coordinator: `n${coordinator}`,
      start: this.#moment(start),
      end: this.#moment(end),
      deadline: end,
      ending: 'answered',
      answer: '',
    } as const;
  }

  #snapshot(replica: number): ReplicaSnapshot {
    const { known, live } = this.#states[replica]!;
    const counters = new Map<number, Dot>();
    for (const dot of known.values()) {
      if (dot.counter > (counters.get(dot.node)?.counter ?? 0)) counters.set(dot.node, dot);
    }
    const place = { node: `n${replica}`, bucket: 'b', key: 'k', moment: this.#moment(this.#now + 0.5) };
    return { ...place, vector: [...counters.values()], versions: [...live.values()] };
  }

  #moment(time: number) {
    return { order: time, time };
  }
}

function shownIn({ live }: State): readonly WriteId[] {
  return [...live.values()].flatMap(({ write }) => write ?? []);
}

function bits(mask: number): readonly number[] {
  return [...Array(REPLICAS).keys()].filter((bit) => (mask & (1 << bit)) !== 0);
}

function nameOf({ node, counter }: Dot): string {
  return `${node}/${counter}`;
}
