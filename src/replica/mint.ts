/**
 * What a write makes of the state that it meets, and the dot that it gets: a value, a deletion, or an operation on a data
 * type. The same for an owner, which has all it knows, and for a fallback, which has what it keeps for the owners.
 */

import { innermost, type KeyOperation } from '#causality/data-type.ts';
import type { Dot } from '#causality/dot.ts';
import type { HybridClock } from '#causality/hybrid-clock.ts';
import { carryOut, dotsOf, incrementsApart, planFolding, planOperation, type Folding } from '#causality/operate.ts';
import type { Conflicts, Content, State, Version, VersionVector } from '#causality/state.ts';
import { touched } from '#causality/touch.ts';
import { applyWrite, counterFor } from '#causality/write.ts';
import type { NodeIndex } from '#kernel/identity.ts';
import type { RequestMark } from '#causality/repeats.ts';
import { Refusal } from '#wire/message.ts';
import type { Span } from '#world/world.ts';
import type { StoredState } from './records.ts';
import type { RetryRow } from './retry-codec.ts';
import type { Scope } from './scope.ts';
import { OVERLOADED, TooLarge, TooManySiblings } from './refusals.ts';

/** An operation on a data type, or a touch. */
export interface Operating {
  readonly operation: KeyOperation | Folding;
  /** What was read of other replicas before, with the time before it was read; null when nothing was. */
  readonly base: Base | null;
}

export interface Base {
  readonly state: State;
  readonly origin: number;
}

export interface MintedWrite {
  /** Null to delete, and for an operation. */
  readonly content: Content | null;
  readonly operating: Operating | null;
  readonly context: VersionVector;
  readonly expiresAt: number;
  /** A counter that the new dot must be later than, beside those of the context; 0 for none. */
  readonly after: number;
}

export interface MintRequest extends MintedWrite {
  readonly scope: Scope;
  readonly key: Uint8Array;
  readonly durable: boolean;
  /** Of a request with an idempotency key: what it is remembered by. */
  readonly mark: RequestMark | null;
  /** Asked when the operation's turn has come: once its caller has answered, an unsent write must stay unsent. */
  readonly stillWanted: () => boolean;
  /** The step that mints, when it is traced. */
  readonly trace?: Span | undefined;
}

/** A state with a new version, before it is committed. */
export interface Minted extends StoredState {
  readonly dot: Dot;
  /** To be given to the other owners with the state. */
  readonly retry: RetryRow | null;
}

export interface Minter {
  readonly node: NodeIndex;
  readonly tenure: number;
  readonly clock: HybridClock;
  readonly conflicts: Conflicts;
  /** Names the request, when it has an idempotency key. */
  readonly request: string | undefined;
  /** Milliseconds since 1970. */
  readonly now: number;
}

export interface Written {
  readonly state: State;
  /** Of an operation that needed several the last one. */
  readonly dot: Dot;
}

/** Throws {@link Unfitting} for an operation that does not fit what is there. */
export function mintOn(before: State, write: MintedWrite, minter: Minter): Written {
  if (write.operating !== null) return operateOn(before, write, write.operating, minter);
  const { content, context, expiresAt, after } = write;
  const { node, tenure, clock, conflicts, request } = minter;
  const counter = Math.max(counterFor(clock.tick(), context, before), after + 1);
  const dot = { node, tenure, counter };
  return { state: applyWrite(before, { context, dot, content, expiresAt, request, conflicts }), dot };
}

function operateOn(before: State, write: MintedWrite, { operation, base }: Operating, minter: Minter): Written {
  const { node, tenure, clock, request, now } = minter;
  const { context, expiresAt, after } = write;
  const actor = { node, tenure };
  if (operation.kind === 'touch') {
    const dot = { ...actor, counter: Math.max(counterFor(clock.reserve(1), context, before), after + 1) };
    return { state: touched(before, { context, dot, expiresAt, now }), dot };
  }
  const seen = base === null ? null : context;
  const plan =
    operation.kind === 'fold'
      ? planFolding(before, operation, actor)
      : planOperation(before, operation, { actor, context: seen, keyed: request !== undefined, alone: false, now });
  const counter = Math.max(counterFor(clock.reserve(dotsOf(plan)), context, before), after + 1);
  const { state, last } = carryOut(before, plan, { first: { node, tenure, counter }, expiresAt, request });
  return { state, dot: last };
}

export interface SizeLimits {
  /** Live versions of one key. */
  readonly siblingsMax: number;
  /** Entries of one key's data type; versions of a value, those included that have ended and are not gone yet. */
  readonly entriesMax: number;
  /** Bytes of one key's encoded state. */
  readonly stateBytesMax: number;
}

/** Throws {@link TooManySiblings} or {@link TooLarge} for a state that the write has made too large; it may make it smaller. */
export function checkSize(
  { operating }: Pick<MintedWrite, 'operating'>,
  before: { readonly state: State; readonly bytes: number },
  after: { readonly state: State; readonly bytes: number },
  { siblingsMax, entriesMax, stateBytesMax }: SizeLimits,
  now: number,
): void {
  const [had, has] = [before.state.versions.length, after.state.versions.length];
  if (operating === null) {
    if (has <= 1 || has <= had) return;
    const live = after.state.versions.filter((version) => isShown(version, now)).length;
    const isFull = live > siblingsMax || has > Math.max(siblingsMax, entriesMax);
    if (!isFull && after.bytes <= stateBytesMax) return;
    const ended = has === live ? '' : `, and ${has - live} that have ended and are not gone yet`;
    const over = isFull
      ? `that would be above ${live > siblingsMax ? siblingsMax : entriesMax}`
      : `their ${after.bytes} bytes, with all that belongs to them, would be above ${stateBytesMax}`;
    throw new TooManySiblings(`the key would have ${live} concurrent versions${ended}; ${over}`, before.state);
  }
  if (has > entriesMax && has > had) {
    const counts = operating.operation.kind !== 'fold' && innermost(operating.operation).kind === 'increment';
    const apart = counts ? incrementsApart(after.state) : 0;
    // They become one number by and by; if that gives no room, no time will help.
    if (apart > 1 && has - apart < entriesMax)
      throw new Refusal(OVERLOADED, `the key keeps ${apart} increments apart, which may still be sent again`);
    throw new TooLarge(`the key would have ${has} entries; at most ${entriesMax} are allowed`);
  }
  if (after.bytes > stateBytesMax && after.bytes > before.bytes)
    throw new TooLarge(`the key would have ${after.bytes} bytes; at most ${stateBytesMax} are allowed`);
}

function isShown({ content, expiresAt }: Version, now: number): boolean {
  return content !== null && (expiresAt === 0 || expiresAt > now);
}
