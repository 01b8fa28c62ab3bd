/**
 * Histories of one key on a few replicas, and an oracle that knows what each replica must hold after them.
 *
 * The oracle works on sets of write ids and never on vectors: which writes a replica has heard of, and which writes the
 * writer of each one had been shown. The code under test works on vectors and dots and never sees those sets.
 */

import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import type { Dot } from '#causality/dot.ts';
import { knownWithin, withHorizon } from '#causality/compact.ts';
import { horizonAt } from '#causality/horizon.ts';
import { HybridClock } from '#causality/hybrid-clock.ts';
import { joinStates } from '#causality/join.ts';
import { decodeState, encodeState } from '#causality/state-codec.ts';
import { EMPTY_STATE, EMPTY_VECTOR } from '#causality/state.ts';
import type { Conflicts, Content, State, VersionVector } from '#causality/state.ts';
import { counterOf, highestCounter, joinVectors, withDot } from '#causality/vector.ts';
import { applyWrite, counterFor } from '#causality/write.ts';
import { present } from '#kernel/assert.ts';
import { fromUtf8, utf8 } from '#kernel/bytes.ts';
import { nodeIndex } from '#kernel/identity.ts';

export const REPLICAS = 4;
const CLIENTS = 3;

export type Operation =
  | { readonly kind: 'wait'; readonly milliseconds: number }
  | { readonly kind: 'read'; readonly replica: number; readonly client: number }
  | {
      readonly kind: 'write';
      readonly replica: number;
      readonly client: number;
      readonly blind: boolean;
      readonly remove: boolean;
    }
  | { readonly kind: 'send'; readonly replica: number }
  | { readonly kind: 'deliver'; readonly replica: number; readonly message: number }
  /** An unclean stop. `commit`: the last write had been sent, but not committed; `disk`: everything is gone. */
  | { readonly kind: 'crash'; readonly replica: number; readonly loses: 'nothing' | 'commit' | 'disk' }
  /** Nothing from before is taken any more; if all know the same, some take a horizon. `meet`: all hear of each other first. */
  | { readonly kind: 'horizon'; readonly meet: boolean; readonly takers: readonly number[] };

/** What to get wrong on purpose, so that the oracle can show that it notices. */
export interface Mistakes {
  /** A replica that lost its state goes on under the same actor. */
  readonly reusesActors?: boolean;
  /** Counters follow the replica's own wall clock only, whatever the key has seen. */
  readonly trustsWallClocks?: boolean;
  /** A horizon is claimed whatever the replicas know. */
  readonly claimsUnasked?: boolean;
  /** What was sent before the horizon was claimed is news for ever. */
  readonly takesOldNews?: boolean;
  /** A replica may write in times that a horizon speaks of. */
  readonly writesWithin?: boolean;
}

const replica = fc.nat(REPLICAS - 1);
const client = fc.nat(CLIENTS - 1);

export const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('write' as const),
      replica,
      client,
      blind: fc.boolean(),
      remove: fc.nat(3).map((n) => n === 0),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('read' as const), replica, client }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('send' as const), replica }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('deliver' as const), replica, message: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('wait' as const), milliseconds: fc.nat(3000) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('crash' as const),
      replica,
      loses: fc.constantFrom('nothing', 'commit', 'disk'),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('horizon' as const),
      meet: fc.boolean(),
      takers: fc.uniqueArray(replica, { minLength: 1 }),
    }),
  },
);

export const history: fc.Arbitrary<readonly Operation[]> = fc.array(operation, { maxLength: 60, size: 'max' });

type Ids = ReadonlySet<number>;

interface Write {
  /** The writes that the client had been shown, directly or through what it was shown. */
  readonly past: Ids;
  readonly remove: boolean;
  readonly dot: Dot;
}

interface Copy {
  readonly state: State;
  /** The oracle's side of it: all writes that this copy has heard of. */
  readonly known: Ids;
}

interface Replica {
  copy: Copy;
  /** What is on the disk if the last write was not committed. */
  committed: Copy;
  tenure: number;
  clock: HybridClock;
  wall: () => number;
}

interface Context {
  readonly vector: VersionVector;
  readonly known: Ids;
  readonly past: Ids;
}

const NOTHING: Copy = { state: EMPTY_STATE, known: new Set() };
const NO_CONTEXT: Context = { vector: EMPTY_VECTOR, known: new Set(), past: new Set() };
/** Milliseconds by which the replicas' wall clocks are wrong: more than the clocks' drift bound. */
const SKEWS = [0, -4000, 300, 5000];

export class Cluster {
  readonly #conflicts: Conflicts;
  readonly #mistakes: Mistakes;
  readonly #replicas: Replica[] = [];
  readonly #clients: Context[] = Array.from({ length: CLIENTS }, () => NO_CONTEXT);
  readonly #messages: { readonly bytes: Uint8Array; readonly known: Ids }[] = [];
  /** Messages before this one bring no news any more, and writes come after this time. */
  #floor = { message: 0, time: 0 };
  readonly #writes: Write[] = [];
  readonly #idOf = new Map<string, number>();
  #now = Date.UTC(2026, 0, 1);
  /** Every state that any replica ever had. */
  readonly states: State[] = [EMPTY_STATE];
  /** Claimed so far. */
  horizons = 0;

  constructor(conflicts: Conflicts, mistakes: Mistakes = {}) {
    this.#conflicts = conflicts;
    this.#mistakes = mistakes;
    for (let i = 0; i < REPLICAS; i++) {
      const wall = (): number => this.#now + SKEWS[i]!;
      const clock = new HybridClock({ wall });
      this.#replicas.push({ copy: NOTHING, committed: NOTHING, tenure: clock.tick(), clock, wall });
    }
  }

  /** Runs the operations, then lets everybody hear everything; throws when a replica ever differs from the oracle. */
  run(operations: readonly Operation[]): this {
    for (const operation of operations) this.#step(operation);
    this.#meet();
    return this;
  }

  #meet(): void {
    for (let round = 0; round < 2; round++) {
      for (let from = 0; from < REPLICAS; from++) {
        this.#step({ kind: 'send', replica: from });
        for (let to = 0; to < REPLICAS; to++) {
          this.#step({ kind: 'deliver', replica: to, message: this.#messages.length - 1 });
        }
      }
    }
  }

  state(replica: number): State {
    return this.#replicas[replica]!.copy.state;
  }

  /** The ids of the live versions, deletion markers left out. */
  live(replica: number): readonly number[] {
    return this.state(replica).versions.flatMap((version) => (version.content === null ? [] : [this.#id(version.dot)]));
  }

  #step(operation: Operation): void {
    switch (operation.kind) {
      case 'wait':
        this.#now += operation.milliseconds;
        return;
      case 'read':
        this.#read(this.#replicas[operation.replica]!, operation.client);
        return;
      case 'write':
        this.#write(operation.replica, operation.client, operation.blind, operation.remove);
        break;
      case 'send': {
        const { state, known } = this.#replicas[operation.replica]!.copy;
        this.#messages.push({ bytes: encodeState(state, crc32), known });
        return;
      }
      case 'deliver':
        this.#deliver(this.#replicas[operation.replica]!, operation.message);
        break;
      case 'crash':
        this.#crash(operation.replica, operation.loses);
        break;
      case 'horizon':
        this.#horizon(operation.meet, operation.takers);
        return;
    }
    this.#check(operation.replica);
  }

  /** A read shows all live versions, and its context covers them and what they supersede. */
  #read({ copy }: Replica, client: number): void {
    const past = new Set<number>();
    for (const { dot } of copy.state.versions) this.#addSeen(past, this.#id(dot));
    this.#clients[client] = { vector: copy.state.vector, known: copy.known, past };
  }

  #write(index: number, client: number, blind: boolean, remove: boolean): void {
    const replica = this.#replicas[index]!;
    const context = blind ? NO_CONTEXT : this.#clients[client]!;
    const id = this.#writes.length;
    const dot = { node: nodeIndex(index), tenure: replica.tenure, counter: this.#counter(replica, index, context) };
    if (this.#idOf.has(keyOf(dot))) throw new Error(`dot ${keyOf(dot)} was issued twice`);
    this.#writes.push({ past: context.past, remove, dot });
    this.#idOf.set(keyOf(dot), id);
    const content = remove ? null : contentOf(id);
    const write = { context: context.vector, dot, content, expiresAt: 0, conflicts: this.#conflicts };
    const apply = this.#mistakes.trustsWallClocks === true ? applyWithoutCare : applyWrite;
    const state = apply(replica.copy.state, write);
    replica.committed = replica.copy;
    replica.copy = { state, known: new Set([...replica.copy.known, ...context.known, id]) };
    // The answer shows the written version only, so it carries a context only if that is all there is.
    const others = state.versions.filter((version) => keyOf(version.dot) !== keyOf(dot));
    if (others.length > 0) return;
    const past = new Set<number>();
    this.#addSeen(past, id);
    this.#clients[client] = { vector: state.vector, known: replica.copy.known, past };
  }

  #counter(replica: Replica, index: number, context: Context): number {
    if (this.#mistakes.trustsWallClocks !== true) {
      const counter = counterFor(replica.clock.tick(), context.vector, replica.copy.state);
      return this.#mistakes.writesWithin === true ? counter : Math.max(counter, this.#floor.time + 1);
    }
    const actor = { node: nodeIndex(index), tenure: replica.tenure };
    const wallTime = new HybridClock({ wall: replica.wall }).last();
    return Math.max(wallTime, counterOf(replica.copy.state.vector, actor) + 1);
  }

  #deliver(replica: Replica, index: number): void {
    const at = index % Math.max(1, this.#messages.length);
    const message = this.#messages[at];
    if (message === undefined) return;
    const received = decodeState(message.bytes, crc32);
    replica.clock.receive(highestCounter(received.vector));
    const state = joinStates(replica.copy.state, received, this.#conflicts);
    if (at < this.#floor.message && this.#mistakes.takesOldNews !== true) return;
    replica.copy = { state, known: new Set([...replica.copy.known, ...message.known]) };
    replica.committed = replica.copy;
  }

  #horizon(meet: boolean, takers: readonly number[]): void {
    if (meet) this.#meet();
    const time = Math.max(...this.#replicas.map(({ clock }) => clock.tick()));
    this.#floor = { message: this.#messages.length, time };
    const horizon = horizonAt(nodeIndex(REPLICAS - 1), time);
    const known = this.#replicas.map(({ copy }) => JSON.stringify(knownWithin(copy.state.vector, horizon)));
    if (known.some((one) => one !== known[0]) && this.#mistakes.claimsUnasked !== true) return;
    for (const index of takers) {
      const replica = this.#replicas[index]!;
      replica.copy = { ...replica.copy, state: withHorizon(replica.copy.state, horizon) };
      replica.committed = replica.copy;
      this.#check(index);
    }
    this.horizons++;
  }

  #crash(index: number, loses: 'nothing' | 'commit' | 'disk'): void {
    const replica = this.#replicas[index]!;
    this.#now += 1;
    if (loses === 'commit') replica.copy = replica.committed;
    if (loses === 'disk') replica.copy = NOTHING;
    replica.committed = replica.copy;
    const start = loses === 'disk' ? 0 : replica.clock.last();
    const keeps = this.#mistakes.reusesActors === true;
    if (!keeps) replica.clock = new HybridClock({ wall: replica.wall, start });
    if (!keeps) replica.tenure = replica.clock.tick();
  }

  #check(index: number): void {
    const { state, known } = this.#replicas[index]!.copy;
    this.states.push(state);
    for (const { dot, content } of state.versions) {
      if (content !== null && fromUtf8(content.value) !== String(this.#id(dot)))
        throw new Error('a dot changed content');
    }
    const expected = this.#conflicts === 'siblings' ? this.#expectedSiblings(known) : this.#expectedLatest(known);
    const live = this.live(index).toSorted((a, b) => a - b);
    if (live.join() !== expected.join()) {
      throw new Error(`replica ${index} holds writes [${live.join()}], the oracle expects [${expected.join()}]`);
    }
  }

  /** The writes that no writer known here had been shown. */
  #expectedSiblings(known: Ids): readonly number[] {
    const superseded = new Set<number>();
    for (const id of known) for (const past of this.#writes[id]!.past) superseded.add(past);
    return [...known].filter((id) => !this.#writes[id]!.remove && !superseded.has(id)).toSorted((a, b) => a - b);
  }

  /** The write with the largest (counter, node, tenure), which nobody known here may have been shown before writing. */
  #expectedLatest(known: Ids): readonly number[] {
    const latest = [...known].reduce<number | undefined>((best, id) => {
      if (best === undefined) return id;
      const [a, b] = [this.#writes[id]!.dot, this.#writes[best]!.dot];
      if (a.counter !== b.counter) return a.counter > b.counter ? id : best;
      if (a.node !== b.node) return a.node > b.node ? id : best;
      return a.tenure > b.tenure ? id : best;
    }, undefined);
    if (latest === undefined) return [];
    const successor = [...known].find((id) => this.#writes[id]!.past.has(latest));
    if (successor !== undefined) throw new Error(`write ${latest} wins over ${successor}, whose writer had seen it`);
    return this.#writes[latest]!.remove ? [] : [latest];
  }

  #addSeen(past: Set<number>, id: number): void {
    past.add(id);
    for (const earlier of this.#writes[id]!.past) past.add(earlier);
  }

  #id(dot: Dot): number {
    return present(this.#idOf.get(keyOf(dot)), `write with the dot ${keyOf(dot)}`);
  }
}

function keyOf(dot: Dot): string {
  return `${dot.node}/${dot.tenure}/${dot.counter}`;
}

function contentOf(id: number): Content {
  return { value: utf8(String(id)), contentType: 'text/plain', contentEncoding: '', meta: [] };
}

/** {@link applyWrite} as it would be without its demand for a late enough dot. */
function applyWithoutCare(state: State, write: Parameters<typeof applyWrite>[1]): State {
  const { context, dot, content } = write;
  const mine: State = { vector: withDot(context, dot), versions: [{ dot, content, expiresAt: 0 }] };
  const rest: State = { vector: joinVectors(state.vector, context), versions: state.versions };
  const covered = joinStates(rest, { vector: context, versions: [] }, write.conflicts);
  return joinStates(covered, mine, write.conflicts);
}
