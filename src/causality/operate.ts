/**
 * An operation on a data type, at the replica that mints it: which entries go and which come. Pure.
 *
 * It is made in two steps, because what comes has to be counted before dots can be had for it. What goes is what the client
 * has seen, its context, or without one all that the replica knows; whatever is concurrent stays, at every replica alike.
 */

import { concatBytes, startsWith, toHex } from '#kernel/bytes.ts';
import { compacted } from './compact.ts';
import type { DataType, Operation } from './data-type.ts';
import { compareDotsByActor, compareDotsByTime, dotName, sameActor, type Actor, type Dot } from './dot.ts';
import {
  contentOfEntry,
  entryBytes,
  isEntry,
  KINDS,
  pathBytes,
  readEntry,
  readStep,
  type Leaf,
  type Step,
} from './entry.ts';
import { exactSum, isExact, magnitude } from './exact-sum.ts';
import type { State, Version, VersionVector } from './state.ts';
import { covers, withDot } from './vector.ts';

export interface Circumstances {
  /** Who mints. */
  readonly actor: Actor;
  /** What the client has seen; null for all that is known here, which must be no less. */
  readonly context: VersionVector | null;
  /** Whether the request may be sent again: then an increment stays apart, so that two attempts can be told from two increments. */
  readonly keyed: boolean;
  /** Whether nobody else changes the key meanwhile: then a counter is one number. */
  readonly alone: boolean;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** Increments that this actor's node has made, to go into its total. */
export interface Folding {
  readonly kind: 'fold';
  readonly dots: readonly Dot[];
}

export interface Plan {
  readonly goes: ReadonlySet<Version>;
  readonly comes: readonly Uint8Array[];
}

/** The operation does not fit what is there. */
export class Unfitting extends Error {
  override readonly name = 'Unfitting';
}

/** Milliseconds after its end for which a version is kept at least: no clock that is still trusted lies as far behind. */
export const EXPIRED_FOR_SURE_MS = 120_000;

/** Throws {@link Unfitting}. */
export function planOperation(state: State, operation: Operation, circumstances: Circumstances): Plan {
  const planning = new Planning(state, circumstances);
  planning.plan([], operation);
  return planning;
}

/**
 * Makes one total of the increments and the actor's own total beside them, field by field; those that are gone are left out.
 * The caller has made sure that no other attempt at one of them can turn up. Throws {@link Unfitting} when none is there.
 */
export function planFolding({ versions }: State, { dots }: Folding, actor: Actor): Plan {
  const wanted = new Set(dots.map(dotName));
  const folded = versions.filter(
    (version) =>
      isEntry(version) &&
      version.dot.node === actor.node &&
      wanted.has(dotName(version.dot)) &&
      readEntry(version.content.value).leaf.kind === 'increment',
  );
  const counters = new Map<string, { path: readonly Step[]; total: number }>();
  const goes = new Set<Version>();
  const count = (version: Version): void => {
    const { path, leaf } = readEntry(version.content!.value);
    const name = toHex(pathBytes(path));
    counters.set(name, { path, total: (counters.get(name)?.total ?? 0) + amountOf(leaf) });
    goes.add(version);
  };
  for (const version of folded) count(version);
  if (folded.length === 0) throw new Unfitting('the increments are gone');
  for (const version of versions) {
    if (!isEntry(version) || !sameActor(version.dot, actor)) continue;
    const { path, leaf } = readEntry(version.content.value);
    if (leaf.kind === 'total' && counters.has(toHex(pathBytes(path)))) count(version);
  }
  const totals = [...counters.values()];
  return { goes, comes: totals.map(({ path, total }) => entryBytes({ path, leaf: { kind: 'total', amount: total } })) };
}

/** The dots of a plan: one for each entry that comes, and one for an operation that only takes away. */
export function dotsOf({ comes }: Plan): number {
  return Math.max(1, comes.length);
}

export interface Minting {
  /** The first of {@link dotsOf} counters in a row, all later than all that is known here. */
  readonly first: Dot;
  /** Milliseconds since 1970, 0 for never. */
  readonly expiresAt: number;
  /** Names the request, when it has an idempotency key. */
  readonly request: string | undefined;
}

/** The state after the operation, and the last of its dots. */
export function carryOut(
  state: State,
  { goes, comes }: Plan,
  minting: Minting,
): { readonly state: State; readonly last: Dot } {
  const { first, expiresAt, request } = minting;
  const dotAt = (index: number): Dot => ({ ...first, counter: first.counter + index });
  const added = comes.map((bytes, index): Version => {
    const version = { dot: dotAt(index), content: contentOfEntry(bytes), expiresAt };
    // All else may be done twice and is as if it were done once.
    return request !== undefined && isIncrement(bytes) ? { ...version, request } : version;
  });
  const last = dotAt(Math.max(0, comes.length - 1));
  const kept = goes.size === 0 ? state.versions : state.versions.filter((version) => !goes.has(version));
  return { state: compacted({ vector: withDot(state.vector, last), versions: withRun(kept, added) }), last };
}

/** With no more of the vector than the entries and the last dot need: for a state that nobody joins with another. */
export function withLeastVector({ versions }: State, last: Dot): State {
  return { vector: versions.reduce<VersionVector>((known, { dot }) => withDot(known, dot), [last]), versions };
}

class Planning implements Plan {
  readonly goes = new Set<Version>();
  readonly comes: Uint8Array[] = [];
  readonly #versions: readonly Version[];
  readonly #circumstances: Circumstances;

  constructor({ versions }: State, circumstances: Circumstances) {
    this.#versions = versions;
    this.#circumstances = circumstances;
    for (const version of versions) {
      const { expiresAt } = version;
      if (expiresAt !== 0 && expiresAt + EXPIRED_FOR_SURE_MS <= circumstances.now) this.goes.add(version);
    }
  }

  plan(path: readonly Step[], operation: Operation): void {
    switch (operation.kind) {
      case 'increment':
        this.#increment(path, operation.by);
        break;
      case 'add':
        this.#takeElements(path, operation.values, 'all');
        this.#takeKind(path, KINDS.present, 'all');
        for (const json of operation.values) this.#come(path, { kind: 'element', json });
        break;
      case 'remove':
        this.#takeElements(path, operation.values, 'seen');
        this.#leavePresent(path);
        break;
      case 'assign':
        this.#takeKind(path, KINDS.value, 'seen');
        this.#come(path, { kind: 'value', json: operation.value });
        break;
      case 'enable':
      case 'disable':
        this.#takeKind(path, KINDS.flag, operation.kind === 'enable' ? 'all' : 'seen');
        this.#come(path, { kind: 'flag', enabled: operation.kind === 'enable' });
        break;
      case 'update': {
        const step = { field: operation.field, type: operation.type };
        this.#checkField(path, step);
        this.plan([...path, step], operation.with);
        if (this.comes.length > 0) this.#takeKind(path, KINDS.present, 'all');
        break;
      }
      case 'remove-field':
        this.#takeField(path, operation.field);
        this.#leavePresent(path);
    }
  }

  #increment(path: readonly Step[], by: number): void {
    const { actor, keyed, alone } = this.#circumstances;
    const amounts: number[] = [];
    let total = by;
    for (const version of [...this.#ofKind(path, KINDS.total), ...this.#ofKind(path, KINDS.increment)]) {
      const { leaf } = readEntry(version.content!.value);
      const amount = amountOf(leaf);
      amounts.push(amount);
      const own = !keyed && leaf.kind === 'total' && sameActor(version.dot, actor);
      if (!alone && !own) continue;
      total += amount;
      this.goes.add(version);
    }
    const sum = exactSum([...amounts, by]);
    // Two sides may have counted beyond them together; from there it may come back.
    const leaves = !isExact(sum) && magnitude(sum) >= magnitude(exactSum(amounts));
    if (leaves || !Number.isSafeInteger(total))
      throw new Unfitting('the counter would leave the whole numbers that are exact, up to 2^53-1');
    this.#come(path, keyed && !alone ? { kind: 'increment', amount: by } : { kind: 'total', amount: total });
  }

  #come(path: readonly Step[], leaf: Leaf): void {
    this.comes.push(entryBytes({ path, leaf }));
  }

  #takeElements(path: readonly Step[], values: readonly string[], which: 'all' | 'seen'): void {
    const wanted = new Set(values);
    for (const version of this.#ofKind(path, KINDS.element)) {
      const { leaf } = readEntry(version.content!.value);
      if (leaf.kind === 'element' && wanted.has(leaf.json) && this.#mayTake(version, which)) this.goes.add(version);
    }
  }

  #takeKind(path: readonly Step[], kind: number, which: 'all' | 'seen'): void {
    for (const version of this.#ofKind(path, kind)) if (this.#mayTake(version, which)) this.goes.add(version);
  }

  #takeField(path: readonly Step[], field: string): void {
    const prefix = pathBytes(path);
    for (const version of this.#below(prefix)) {
      const step = readStep(version.content!.value.subarray(prefix.length));
      if (step?.field === field && this.#mayTake(version, 'seen')) this.goes.add(version);
    }
  }

  /** What was there is empty now, and not gone. */
  #leavePresent(path: readonly Step[]): void {
    const there = this.#below(pathBytes(path), true).filter((version) => !this.#hasEnded(version));
    if (there.length > 0 && there.every((version) => this.goes.has(version))) this.#come(path, { kind: 'present' });
  }

  /** Two places may have given it two types at once: then it is of that which a reader is shown, which was changed last. */
  #checkField(path: readonly Step[], wanted: Step): void {
    const prefix = pathBytes(path);
    let latest: { readonly dot: Dot; readonly type: DataType } | undefined;
    for (const { dot, content, expiresAt } of this.#below(prefix)) {
      if (this.#hasEnded({ expiresAt })) continue;
      const step = readStep(content!.value.subarray(prefix.length));
      if (step?.field !== wanted.field) continue;
      if (latest === undefined || compareDotsByTime(dot, latest.dot) > 0) latest = { dot, type: step.type };
    }
    if (latest !== undefined && latest.type !== wanted.type)
      throw new Unfitting(`the field is a ${latest.type} already, and no ${wanted.type}`);
  }

  /** Nobody is shown it any more, although it may have to stay for a while. */
  #hasEnded({ expiresAt }: Pick<Version, 'expiresAt'>): boolean {
    return expiresAt !== 0 && expiresAt <= this.#circumstances.now;
  }

  #mayTake({ dot }: Version, which: 'all' | 'seen'): boolean {
    const { context } = this.#circumstances;
    return which === 'all' || context === null || covers(context, dot);
  }

  /** Entries that stand at the path itself, and stay so far. */
  #ofKind(path: readonly Step[], kind: number): readonly Version[] {
    const bytes = concatBytes([pathBytes(path), Uint8Array.of(kind)]);
    return this.#below(bytes);
  }

  /** Entries whose bytes begin so; `taken`: those that go already, too. */
  #below(prefix: Uint8Array, taken = false): readonly Version[] {
    return this.#versions.filter(
      (version) => isEntry(version) && startsWith(version.content.value, prefix) && (taken || !this.goes.has(version)),
    );
  }
}

function amountOf(leaf: Leaf): number {
  return leaf.kind === 'total' || leaf.kind === 'increment' ? leaf.amount : 0;
}

/** One run of dots of one actor, put where it belongs. */
function withRun(versions: readonly Version[], run: readonly Version[]): readonly Version[] {
  const [first] = run;
  if (first === undefined) return versions;
  const at = versions.findIndex((other) => compareDotsByActor(other.dot, first.dot) > 0);
  return at < 0 ? [...versions, ...run] : [...versions.slice(0, at), ...run, ...versions.slice(at)];
}

function isIncrement(bytes: Uint8Array): boolean {
  return readEntry(bytes).leaf.kind === 'increment';
}

/** Increments that stand apart because their requests may be sent again. */
export function incrementsApart({ versions }: State): number {
  return versions.filter((version) => isEntry(version) && isIncrement(version.content.value)).length;
}
