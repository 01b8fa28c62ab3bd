/**
 * Clients of data types: they increment, add, take away with what they have seen or without having looked, and read, at any
 * node and level. Some send an operation again, to another node, whatever became of it.
 */

import { present } from '#kernel/assert.ts';
import type { SeededRandom } from '#world/simulated/random.ts';
import type { Simulation } from '#world/simulated/scheduler.ts';
import { heardOfWrite } from './answers.ts';
import type { Machine } from './cluster.ts';
import { exchange, type Reply } from './exchange.ts';
import type { BucketFacts } from './history.ts';
import { levelsFor, strictAll, type Level } from './levels.ts';
import type { Recorder } from './recorder.ts';
import {
  incrementOf,
  SLOTS,
  type Effect,
  type SeenBefore,
  type TypeHistory,
  type TypeOperation,
  type TypeRead,
} from './checkers/type-history.ts';

export type TypeUse = 'counter' | 'set' | 'map' | 'flag';

export interface TypeBucket {
  readonly name: string;
  readonly use: TypeUse;
  readonly facts: BucketFacts;
  readonly properties: Readonly<Record<string, unknown>>;
}

/** Strong ones where keys have the same owners all the time. */
export function typeBuckets(nodes: number, ringChanges: boolean): readonly TypeBucket[] {
  const owners = Math.min(3, nodes);
  const bucket = (name: string, use: TypeUse, mode: BucketFacts['mode'] = 'siblings'): TypeBucket => ({
    name,
    use,
    facts: { mode, owners },
    properties: { type: use, n: 3, ...(mode === 'strong' ? { consistency: 'strong' } : {}) },
  });
  return [
    bucket('counters', 'counter'),
    bucket('tags', 'set'),
    bucket('profiles', 'map'),
    bucket('flags', 'flag'),
    ...(ringChanges ? [] : [bucket('tallies', 'counter', 'strong'), bucket('members', 'set', 'strong')]),
  ];
}

export interface TypeWorkload {
  readonly simulation: Simulation;
  readonly recorder: Recorder;
  readonly random: SeededRandom;
  readonly buckets: readonly TypeBucket[];
  /** Whom clients ask. */
  readonly machines: () => readonly Machine[];
  readonly find: (part: string, detail: string) => void;
  readonly crashed: (error: unknown) => void;
  readonly note: (what: string) => void;
}

/** One of a bucket's keys. */
export interface TypeKey {
  readonly bucket: TypeBucket;
  readonly key: string;
}

/** An operation as it is sent, once or several times. */
export interface Composed {
  readonly at: TypeKey;
  readonly operation: TypeOperation;
  readonly level: Level;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

interface Seen {
  readonly context: string | null;
  readonly parts: ReadonlyMap<string, SeenBefore>;
}

const KEYS_AT_ONCE = 2;
const KEY_LIFETIME_MS = 6000;
/** How often a last read is asked for before its refusal is a finding, and how long after each other. */
const LAST_TRIES = 4;
const LAST_PAUSE_MS = 500;
const THINK_MS = 250;
const TIMEOUT_MS = 2000;
const GRACE_MS = 1000;
const OPERATIONS_MAX = 500;
const KEYED = 0.4;
const ATTEMPTS_MAX = 3;
const FIELDS = ['f', 'g'] as const;
/** Words that are added again and again; all others are added once. */
const POPULAR = ['on', 'red'] as const;

/** What may come of an operation for want of nodes, time or room. */
const FAILURES = /^(429|503|504|507) /;

export class TypeClients {
  readonly #workload: TypeWorkload;
  readonly operations: TypeOperation[] = [];
  readonly reads: TypeRead[] = [];
  readonly #keys = new Map<string, TypeKey>();
  readonly #seen = new Map<string, Seen>();
  #ids = 0;
  #stopping = false;

  constructor(workload: TypeWorkload) {
    this.#workload = workload;
  }

  /** Every key that anything was done to. */
  get keys(): readonly TypeKey[] {
    return [...this.#keys.values()];
  }

  history(facts: Omit<TypeHistory, 'operations' | 'reads'>): TypeHistory {
    return { ...facts, operations: this.operations, reads: this.reads };
  }

  /** Resolves when each client has had the answer to its last request. */
  async run(): Promise<void> {
    await Promise.all(Array.from({ length: SLOTS }, (_, slot) => this.#work(slot)));
  }

  stop(): void {
    this.#stopping = true;
  }

  bucket(name: string): TypeBucket {
    return present(
      this.#workload.buckets.find((bucket) => bucket.name === name),
      `bucket ${name}`,
    );
  }

  increment(at: TypeKey, slot: number, level: Level, keyed = false, field?: string): Composed {
    const operation = inField(field, 'counter', { op: 'increment', by: incrementOf(slot) });
    return this.#compose(at, partOf(at, field), [{ kind: 'increment', slot }], operation, { level, keyed });
  }

  add(at: TypeKey, word: string, level: Level, keyed = false, field?: string): Composed {
    const flag = at.bucket.use === 'flag';
    const operation = flag ? { op: 'enable' } : inField(field, 'set', { op: 'add', values: [word] });
    return this.#compose(at, partOf(at, field), [{ kind: 'add', word }], operation, { level, keyed });
  }

  /** `slot`: with what that client was shown last; without it after a look by the coordinator. `word`: null for all of a field. */
  take(at: TypeKey, word: string | null, level: Level, slot: number | undefined, field?: string): Composed {
    const part = partOf(at, field);
    const seen = slot === undefined ? undefined : this.#seen.get(seenName(slot, at));
    const after = seen?.context === undefined || seen.context === null ? null : (seen.parts.get(part) ?? null);
    const operation =
      at.bucket.use === 'flag'
        ? { op: 'disable' }
        : word === null
          ? { op: 'remove', field }
          : inField(field, 'set', { op: 'remove', values: [word] });
    const context = after === null ? undefined : seen?.context;
    return this.#compose(at, part, [{ kind: 'take', word, after }], operation, { level, context });
  }

  /** Sends it to the machine, for the first time or again. */
  async send({ at, operation, level, headers, body }: Composed, machine: Machine): Promise<boolean> {
    const { recorder } = this.#workload;
    const attempt = { start: recorder.moment(), end: null, outcome: 'unknown' as const, quorum: level.write };
    const place = operation.attempts.push(attempt) - 1;
    const reply = await this.#exchange(machine, 'POST', pathOf(at, level), headers, body);
    const { outcome, answer } = heardOfWrite(reply);
    operation.attempts[place] = { ...attempt, outcome, end: recorder.moment() };
    this.#note(`POST ${operation.id} ${pathOf(at, level)} ${body} at ${machine.id}: ${outcome} ${answer}`);
    if (outcome !== 'applied' && reply.kind === 'answered' && !FAILURES.test(answer))
      this.#workload.find(operation.part, `${body} is answered ${answer}`);
    return outcome === 'applied';
  }

  /** Returns what is wrong with the answer to a last read, which may be asked for again. */
  async read(
    at: TypeKey,
    machine: Machine,
    level: Level,
    slot: number | undefined,
    final = false,
  ): Promise<string | undefined> {
    const { recorder } = this.#workload;
    const start = recorder.moment();
    const reply = await this.#exchange(machine, 'GET', pathOf(at, level), {}, undefined);
    const end = recorder.moment();
    const what = `GET ${pathOf(at, level)} at ${machine.id}`;
    if (reply.kind !== 'answered') {
      this.#note(`${what}: ${reply.kind}`);
      return undefined;
    }
    const { status, headers, body } = reply.answer;
    const text = new TextDecoder().decode(body);
    this.#note(`${what}: ${status} ${text}`);
    if (status !== 200 && status !== 404) {
      const problem = `a read is answered ${status} ${text}`;
      if (final) return problem;
      if (!FAILURES.test(`${status} `)) this.#workload.find(partOf(at), problem);
      return undefined;
    }
    const value = status === 404 ? undefined : (JSON.parse(text) as { readonly value: unknown }).value;
    const parts = new Map<string, SeenBefore>();
    for (const [part, shown] of partsShown(at, value)) {
      this.reads.push({ part, start, end, quorum: level.read, shown, final });
      const words = typeof shown === 'number' ? [] : shown;
      parts.set(part, { start: start.order, end: end.order, quorum: level.read, words });
    }
    if (slot !== undefined)
      this.#seen.set(seenName(slot, at), { context: headers.get('quoral-context') ?? null, parts });
    return undefined;
  }

  /** Every machine is asked for everything, which has to be the same. */
  async readAll(machines: readonly Machine[]): Promise<void> {
    for (const at of this.keys) {
      const from = this.reads.length;
      for (const machine of machines) await this.#readLast(at, machine);
      for (const [part, reads] of Map.groupBy(this.reads.slice(from), (read) => read.part)) {
        const shown = new Set(reads.map((read) => JSON.stringify(read.shown)));
        if (shown.size > 1)
          this.#workload.find(part, `nodes show different things in the end: ${[...shown].join(', ')}`);
      }
    }
  }

  /** A message that is replayed long after the healing may still cut a connection, which is there again a moment later. */
  async #readLast(at: TypeKey, machine: Machine): Promise<void> {
    const { simulation } = this.#workload;
    for (let tries = 1; ; tries++) {
      const problem = await simulation.settle(this.read(at, machine, strictAll(at.bucket.facts), undefined, true));
      if (problem === undefined) return;
      if (tries === LAST_TRIES) return this.#workload.find(partOf(at), problem);
      await simulation.run(simulation.now + LAST_PAUSE_MS);
    }
  }

  async #work(slot: number): Promise<void> {
    const random = this.#workload.random.fork(`client of types ${slot}`);
    for (;;) {
      await this.#sleep(random.exponential(THINK_MS));
      if (this.#stopping || this.operations.length >= OPERATIONS_MAX) return;
      const at = this.#someKey(random);
      const levels = levelsFor(at.bucket.facts);
      const level = levels[random.below(levels.length)]!;
      const chance = random.below(100);
      if (chance < 30) await this.read(at, this.#machine(random), level, slot);
      else await this.#perform(this.#some(at, slot, level, random), random);
    }
  }

  #some(at: TypeKey, slot: number, level: Level, random: SeededRandom): Composed {
    const keyed = random.chance(KEYED);
    const { use } = at.bucket;
    const field = use === 'map' ? FIELDS[random.below(FIELDS.length)] : undefined;
    if (use === 'counter' || field === 'f') return this.increment(at, slot, level, keyed, field);
    if (random.chance(0.55)) return this.add(at, this.#word(use, random), level, keyed, field);
    const strong = at.bucket.facts.mode === 'strong';
    const bySeen = strong || random.chance(0.3) ? undefined : slot;
    if (field !== undefined && random.chance(0.3)) return this.take(at, null, level, bySeen, field);
    const shown = this.#seen.get(seenName(slot, at))?.parts.get(partOf(at, field))?.words ?? [];
    const word = use === 'flag' ? 'on' : (shown[random.below(Math.max(1, shown.length))] ?? 'red');
    return this.take(at, word, level, bySeen, field);
  }

  #word(use: TypeUse, random: SeededRandom): string {
    if (use === 'flag') return 'on';
    return random.chance(0.4) ? POPULAR[random.below(POPULAR.length)]! : `w${this.#ids}`;
  }

  async #perform(composed: Composed, random: SeededRandom): Promise<void> {
    const keyed = 'idempotency-key' in composed.headers;
    for (let attempt = 1; ; attempt++) {
      const isApplied = await this.send(composed, this.#machine(random));
      if (!keyed || attempt === ATTEMPTS_MAX || (isApplied && random.chance(0.7))) return;
      await this.#sleep(random.exponential(THINK_MS));
    }
  }

  #compose(
    at: TypeKey,
    part: string,
    effects: readonly Effect[],
    operation: object,
    how: { readonly level: Level; readonly keyed?: boolean; readonly context?: string | null | undefined },
  ): Composed {
    const id = `t${++this.#ids}`;
    this.#keys.set(partOf(at), at);
    const headers = {
      'content-type': 'application/json',
      'x-request-id': id,
      ...(how.keyed === true ? { 'idempotency-key': id } : {}),
      ...(how.context === undefined || how.context === null ? {} : { 'quoral-context': how.context }),
    };
    const noted: TypeOperation = { id, part, effects, attempts: [] };
    this.operations.push(noted);
    return { at, operation: noted, level: how.level, headers, body: JSON.stringify(operation) };
  }

  async #exchange(
    machine: Machine,
    method: string,
    target: string,
    headers: Readonly<Record<string, string>>,
    body: string | undefined,
  ): Promise<Reply> {
    const { simulation, random, crashed } = this.#workload;
    const request = { method, target, headers, ...(body === undefined ? {} : { body }) };
    return await exchange({ simulation, random, crashed }, machine, request, TIMEOUT_MS + GRACE_MS);
  }

  #someKey(random: SeededRandom): TypeKey {
    const { buckets, simulation } = this.#workload;
    const era = Math.floor(simulation.now / KEY_LIFETIME_MS);
    const key = `k${era * KEYS_AT_ONCE + random.below(KEYS_AT_ONCE)}`;
    return { bucket: buckets[random.below(buckets.length)]!, key };
  }

  #machine(random: SeededRandom): Machine {
    const machines = this.#workload.machines();
    const running = machines.filter((machine) => machine.running !== undefined);
    const among = running.length === 0 ? machines : running;
    return among[random.below(among.length)]!;
  }

  #sleep(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      this.#workload.simulation.schedule(milliseconds, 'client of types thinks', resolve);
    });
  }

  #note(what: string): void {
    this.#workload.note(what);
  }
}

function inField(field: string | undefined, type: string, operation: object): object {
  return field === undefined ? operation : { op: 'update', field, type, with: operation };
}

function partOf({ bucket, key }: TypeKey, field?: string): string {
  return field === undefined ? `${bucket.name}/${key}` : `${bucket.name}/${key}#${field}`;
}

function seenName(slot: number, at: TypeKey): string {
  return `${slot} ${partOf(at)}`;
}

/** Of a map its two fields: `f` counts, `g` is a set. */
function partsShown(at: TypeKey, value: unknown): readonly (readonly [string, number | readonly string[]])[] {
  const words = (set: unknown): readonly string[] => (set ?? []) as readonly string[];
  switch (at.bucket.use) {
    case 'counter':
      return [[partOf(at), (value ?? 0) as number]];
    case 'set':
      return [[partOf(at), words(value)]];
    case 'flag':
      return [[partOf(at), value === true ? ['on'] : []]];
    case 'map': {
      const fields = (value ?? {}) as { readonly f?: number; readonly g?: readonly string[] };
      return [
        [partOf(at, 'f'), fields.f ?? 0],
        [partOf(at, 'g'), words(fields.g)],
      ];
    }
  }
}

function pathOf({ bucket, key }: TypeKey, { query }: Level): string {
  return `/v1/kv/${bucket.name}/${key}?timeout=${TIMEOUT_MS}${query === '' ? '' : `&${query}`}`;
}
