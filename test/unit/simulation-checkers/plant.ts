/**
 * Histories written down by hand. Requests follow one another in time unless `at` says otherwise; all concern the key
 * `b/k`, strictly, with three owners and quorums of two, unless they say otherwise.
 */

import { checkHistory } from '../../simulation/checkers/check-history.ts';
import type { CheckName, Violation } from '../../simulation/checkers/violation.ts';
import type {
  BucketFacts,
  Condition,
  Dot,
  Ending,
  Gauge,
  History,
  Mint,
  ReplicaSnapshot,
  Request,
  Stall,
  WriteId,
  WriteRequest,
} from '../../simulation/history.ts';

interface Common {
  readonly client?: string;
  readonly session?: string;
  readonly key?: string;
  readonly node?: string;
  /** Start and end, as orders and times; no end for a request that was still open. */
  readonly at?: readonly [start: number, end: number | null];
  readonly deadline?: number;
  readonly ending?: Ending;
  readonly answer?: string;
  readonly r?: number;
  readonly pr?: number;
  readonly sloppy?: boolean;
}

interface WriteOptions extends Common {
  readonly covers?: readonly WriteId[] | null;
  readonly outcome?: WriteRequest['outcome'];
  readonly condition?: Condition;
  readonly preconditionFailed?: boolean;
  readonly retryOf?: string;
  readonly elements?: readonly WriteId[];
  readonly w?: number;
  readonly pw?: number;
  readonly dw?: number;
  /** Its dots, as `node.counter` or `node:tenure.counter`; the tenure is 1 unless said. */
  readonly dots?: readonly string[];
}

interface ReplicaOptions {
  readonly key?: string;
  /** Written like dots. */
  readonly vector: readonly string[];
  /** Live versions by dot; null for a deletion marker. */
  readonly live?: Readonly<Record<string, WriteId | null>>;
  readonly at?: number;
}

export class Planted {
  readonly #facts: BucketFacts;
  readonly #requests: Request[] = [];
  readonly #mints: Mint[] = [];
  readonly #samples: ReplicaSnapshot[] = [];
  readonly #final: ReplicaSnapshot[] = [];
  readonly #hints: { node: string; waiting: number }[] = [];
  readonly #gauges: Gauge[] = [];
  readonly #stalls: Stall[] = [];
  #mayBeLost: readonly WriteId[] = [];
  #losesUnsynced = false;
  #convergedAt: number | null = null;
  #now = 0;

  constructor(mode: BucketFacts['mode'] = 'siblings', owners = 3) {
    this.#facts = { mode, owners };
  }

  put(write: WriteId, options: WriteOptions = {}): this {
    return this.#write('put', write, options);
  }

  delete(write: WriteId, options: WriteOptions = {}): this {
    return this.#write('delete', write, options);
  }

  /** Null for a read that failed. */
  read(shown: readonly WriteId[] | null, options: Common = {}): this {
    this.#requests.push({ kind: 'read', shown, quorum: readQuorum(options), ...this.#common(options) });
    return this;
  }

  sample(node: string, options: ReplicaOptions): this {
    this.#samples.push(this.#replica(node, options));
    return this;
  }

  final(node: string, options: ReplicaOptions): this {
    this.#final.push(this.#replica(node, options));
    return this;
  }

  /** The same final state at n1, n2 and n3. */
  finalEverywhere(options: ReplicaOptions): this {
    for (const node of ['n1', 'n2', 'n3']) this.final(node, options);
    return this;
  }

  hints(node: string, waiting: number): this {
    this.#hints.push({ node, waiting });
    return this;
  }

  gauge(node: string, name: string, value: number, bound: number): this {
    this.#gauges.push({ node, name, value, bound, time: this.#now });
    return this;
  }

  stall(node: string, from: number, to: number): this {
    this.#stalls.push({ node, from, to });
    return this;
  }

  mayBeLost(...writes: readonly WriteId[]): this {
    this.#mayBeLost = writes;
    return this;
  }

  losesUnsynced(): this {
    this.#losesUnsynced = true;
    return this;
  }

  converged(): this {
    this.#now += 1;
    this.#convergedAt = this.#now;
    return this;
  }

  history(): History {
    const convergedAt = this.#convergedAt === null ? null : moment(this.#convergedAt);
    return {
      buckets: { b: this.#facts },
      requests: this.#requests,
      gauges: this.#gauges,
      stalls: this.#stalls,
      convergedAt,
      end: moment(this.#now + 1),
      mayBeLost: this.#mayBeLost,
      losesUnsynced: this.#losesUnsynced,
    };
  }

  whiteBox() {
    const hasEnd = this.#final.length + this.#hints.length > 0;
    const final = hasEnd ? { replicas: this.#final, hints: this.#hints } : null;
    return { mints: this.#mints, samples: this.#samples, final };
  }

  violations(...checks: readonly CheckName[]): readonly Violation[] {
    return checkHistory(this.history(), this.whiteBox(), checks.length === 0 ? {} : { checks }).violations;
  }

  /** What the check finds, in short: of each violation the writes that it names. */
  found(check: CheckName): readonly string[] {
    return this.violations(check).map(({ writes }) => writes.join(' '));
  }

  #write(kind: 'put' | 'delete', write: WriteId, options: WriteOptions): this {
    const { w = 2, pw = 0, dw = 2 } = options;
    this.#requests.push({
      kind,
      write,
      quorum: { ...readQuorum(options), w, pw, dw },
      covers: options.covers ?? null,
      condition: options.condition ?? { kind: 'none' },
      idempotencyKey: options.retryOf ?? null,
      elements: options.elements ?? null,
      outcome: options.outcome ?? 'applied',
      preconditionFailed: options.preconditionFailed ?? false,
      ...this.#common(options),
    });
    for (const text of options.dots ?? []) this.#mints.push({ write, dot: dot(text) });
    return this;
  }

  #common(options: Common) {
    const [start, end] = options.at ?? [this.#now + 1, this.#now + 2];
    this.#now = Math.max(this.#now, start, end ?? start);
    return {
      client: options.client ?? 'c1',
      session: options.session ?? null,
      bucket: 'b',
      key: options.key ?? 'k',
      node: options.node ?? 'n1',
      coordinator: 'n1',
      start: moment(start),
      end: end === null ? null : moment(end),
      deadline: options.deadline ?? start + 1000,
      ending: options.ending ?? (end === null ? 'open' : 'answered'),
      answer: options.answer ?? '',
    } as const;
  }

  #replica(node: string, { key = 'k', vector, live = {}, at }: ReplicaOptions): ReplicaSnapshot {
    const versions = Object.entries(live).map(([text, write]) => ({ dot: dot(text), write }));
    const order = at ?? this.#now + 1;
    this.#now = Math.max(this.#now, order);
    return { node, bucket: 'b', key, moment: moment(order), vector: vector.map(dot), versions };
  }
}

export function dot(text: string): Dot {
  const [actor, counter] = text.split('.');
  const [node, tenure = 1] = actor!.split(':');
  return { node: Number(node), tenure: Number(tenure), counter: Number(counter) };
}

function moment(order: number) {
  return { order, time: order };
}

function readQuorum({ r = 2, pr = 0, sloppy = false }: Common) {
  return { r, pr, sloppy };
}
