/**
 * Judges what clients were shown of data types: every acknowledged increment counts once, an element that was added is there
 * until somebody who has seen it takes it away, and is not there afterwards. Knows nothing of dots.
 */

import {
  countsIn,
  incrementOf,
  SLOTS,
  type Attempt,
  type Effect,
  type SeenBefore,
  type TypeHistory,
  type TypeOperation,
  type TypeRead,
} from './type-history.ts';

export interface TypeViolation {
  readonly part: string;
  readonly detail: string;
}

/** An operation with what its attempts come to. */
interface Done {
  readonly operation: TypeOperation;
  readonly start: number;
  /** Infinity when it may still be made later. */
  readonly over: number;
  /** Infinity when nobody was told that it is applied, or when the run may have lost it all the same. */
  readonly acknowledged: number;
  /** So many owners have it from then on. */
  readonly holders: number;
  readonly mayBe: boolean;
}

export function checkDataTypes(history: TypeHistory): readonly TypeViolation[] {
  const done = Map.groupBy(
    history.operations.map((operation) => summed(operation, history)),
    ({ operation }) => operation.part,
  );
  return history.reads.flatMap((read) => {
    const operations = done.get(read.part) ?? [];
    const details =
      typeof read.shown === 'number'
        ? counterMistakes(read, read.shown, operations, history)
        : setMistakes(read, read.shown, operations, history);
    return details.map((detail) => ({ part: read.part, detail: `${read.final ? 'in the end' : 'a read'}: ${detail}` }));
  });
}

function summed(operation: TypeOperation, history: TypeHistory): Done {
  const { attempts } = operation;
  const confirmed = attempts
    .filter(({ outcome, end, quorum }) => outcome === 'applied' && end !== null && !mayBeLost(quorum.dw, history))
    .toSorted((a, b) => a.end!.order - b.end!.order)[0];
  return {
    operation,
    start: Math.min(...attempts.map(({ start }) => start.order)),
    over: Math.max(...attempts.map(overAt)),
    acknowledged: confirmed?.end?.order ?? Infinity,
    holders: confirmed === undefined ? 0 : Math.min(holdersOf(confirmed, history), history.most),
    mayBe: attempts.some(({ outcome }) => outcome !== 'not-applied'),
  };
}

function mayBeLost(dw: number, { losesUnsynced, disksLost }: TypeHistory): boolean {
  return (losesUnsynced || disksLost > 0) && dw <= disksLost;
}

function overAt({ outcome, end }: Attempt): number {
  return outcome === 'unknown' || end === null ? Infinity : end.order;
}

function holdersOf({ quorum: { w, pw, dw, sloppy } }: Attempt, { losesUnsynced }: TypeHistory): number {
  if (losesUnsynced) return sloppy ? 0 : dw;
  return sloppy ? pw : Math.max(w, pw);
}

/** Whether somebody who asks by this quorum from `start` on has to know the operation. */
function mustKnow(one: Done, start: number, { r, pr, sloppy }: SeenBefore['quorum'], history: TypeHistory): boolean {
  if (one.acknowledged >= start) return false;
  const answerers = Math.min(sloppy ? pr : Math.max(r, pr), history.most);
  return answerers + one.holders > history.owners;
}

function counterMistakes(
  { start, end, quorum, final }: TypeRead,
  sum: number,
  operations: readonly Done[],
  history: TypeHistory,
): readonly string[] {
  const counts = countsIn(sum);
  if (counts.reduce((total, count, slot) => total + count * incrementOf(slot), 0) !== sum) return [`${sum} is no sum`];
  return Array.from({ length: SLOTS }, (_, slot) => slot).flatMap((slot) => {
    const own = operations.filter(({ operation: { effects } }) =>
      effects.some((effect) => effect.kind === 'increment' && effect.slot === slot),
    );
    const least = own.filter((one) =>
      final ? one.acknowledged < Infinity : mustKnow(one, start.order, quorum, history),
    ).length;
    const most = own.filter((one) => one.mayBe && one.start < end.order).length;
    const count = counts[slot]!;
    if (count >= least && count <= most) return [];
    return [`client ${slot} has incremented at least ${least} and at most ${most} times, and ${count} are shown`];
  });
}

function setMistakes(
  read: TypeRead,
  shown: readonly string[],
  operations: readonly Done[],
  history: TypeHistory,
): readonly string[] {
  const words = new Set([
    ...shown,
    ...operations.flatMap(({ operation }) =>
      operation.effects.flatMap((effect) => (effect.kind === 'add' ? [effect.word] : [])),
    ),
  ]);
  return [...words].flatMap((word) => {
    const adds = operations.filter(({ operation }) => operation.effects.some((effect) => isAdd(effect, word)));
    const takes = operations.flatMap((one) =>
      one.operation.effects.flatMap((effect) => (isTake(effect, word) ? [{ one, after: effect.after }] : [])),
    );
    const isShown = shown.includes(word);
    const may = adds.filter((one) => one.mayBe && one.start < read.end.order);
    if (isShown && may.length === 0) return [`${word} is shown, and nobody has added it`];
    if (!isShown && may.some((add) => mustBeThere(add, takes, read, history)))
      return [`${word} is gone, and nobody who has taken it away can have seen it`];
    if (isShown && read.final && may.every((add) => mustBeGone(add, may, word, takes, history)))
      return [`${word} is there, and somebody who has seen it has taken it away`];
    return [];
  });
}

interface Take {
  readonly one: Done;
  readonly after: SeenBefore | null;
}

function isAdd(effect: Effect, word: string): boolean {
  return effect.kind === 'add' && effect.word === word;
}

function isTake(effect: Effect, word: string): effect is Extract<Effect, { kind: 'take' }> {
  return effect.kind === 'take' && (effect.word === null || effect.word === word);
}

/** The adding is certainly known, and whatever takes the word away had been looked for before it began. */
function mustBeThere(add: Done, takes: readonly Take[], read: TypeRead, history: TypeHistory): boolean {
  const known = read.final ? add.acknowledged < Infinity : mustKnow(add, read.start.order, read.quorum, history);
  if (!known) return false;
  return !takes.some(
    ({ one, after }) => one.mayBe && one.start < read.end.order && (after === null ? one.over : after.end) > add.start,
  );
}

/** The adding has one dot, and somebody who must have seen it has taken it away. */
function mustBeGone(
  add: Done,
  adds: readonly Done[],
  word: string,
  takes: readonly Take[],
  history: TypeHistory,
): boolean {
  if (add.operation.attempts.length > 1) return false;
  return takes.some(({ one, after }) => {
    if (one.acknowledged === Infinity) return false;
    if (after === null) return mustKnow(add, one.start, one.operation.attempts[0]!.quorum, history);
    const shownThen = after.words.includes(word) && adds.length === 1;
    return shownThen || mustKnow(add, after.start, after.quorum, history);
  });
}
