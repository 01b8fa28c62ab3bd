/**
 * What the answers to a read come to together. Pure. Where values are large some replicas have answered with the outline
 * of what they hold: the values come from those that have sent theirs, and where nobody has, it says who has to be asked.
 */

import type { Dot } from '#causality/dot.ts';
import { compareDotsByTime } from '#causality/dot.ts';
import { joinStates } from '#causality/join.ts';
import { decodeOutline, filledFrom, type Outline } from '#causality/outline.ts';
import { EMPTY_STATE, EMPTY_VECTOR, type Conflicts, type State, type VersionVector } from '#causality/state.ts';
import { CorruptState, decodeState } from '#causality/state-codec.ts';
import { dominates } from '#causality/vector.ts';
import type { NodeId } from '#kernel/identity.ts';
import type { Checksum } from '#kernel/native.ts';
import type { FetchReply, NewReply, SameReply } from '#replica/messages.ts';
import type { RetryRow } from '#replica/retry-codec.ts';
import type { Digest } from '#world/world.ts';

export type Answer = Exclude<FetchReply, NewReply | SameReply> & {
  readonly from: NodeId;
  readonly isOwner: boolean;
};

/** What the owners say the request has become, when that was asked for. */
export function retriesIn(answers: readonly Answer[]): readonly RetryRow[] {
  return answers.flatMap(({ retry }) => retry ?? []);
}

/** Whether one of them remembers as many idempotency keys as it may. */
export function isFullAnywhere(answers: readonly Answer[]): boolean {
  return answers.some(({ retriesFull }) => retriesFull === true);
}

/** What an owner has answered. */
export function answerOf(from: NodeId, { state, decoded, outline, retry, retriesFull }: FetchReply): Answer {
  return { from, isOwner: true, state, decoded, outline, retry, retriesFull } as Answer;
}

export type Joined =
  | {
      readonly kind: 'joined';
      readonly merged: State;
      /** What each has; empty when all have the same. */
      readonly parts: readonly Part[];
    }
  /** This one's outline has versions that nobody has sent. */
  | { readonly kind: 'lacking'; readonly from: NodeId; readonly outline: Outline };

export interface Part {
  readonly from: NodeId;
  readonly isOwner: boolean;
  readonly state: Outline;
}

/** Throws CorruptState. */
export function joinAnswers(
  answers: readonly Answer[],
  conflicts: Conflicts,
  { crc32, equal }: Pick<Digest, 'crc32' | 'equal'>,
): Joined {
  const first = answers[0]?.state ?? null;
  if (allHave(answers, first, equal)) {
    const merged = answers.find(({ decoded }) => decoded !== undefined)?.decoded ?? stateOf(first, crc32);
    return { kind: 'joined', merged, parts: [] };
  }
  const parts: Part[] = [];
  const outlines: Part[] = [];
  let merged: State = EMPTY_STATE;
  for (const { from, isOwner, state, decoded, outline } of answers) {
    if (outline !== undefined) {
      outlines.push({ from, isOwner, state: decodeOutline(outline, crc32) });
      continue;
    }
    const whole = decoded ?? stateOf(state, crc32);
    parts.push({ from, isOwner, state: whole });
    merged = joinStates(merged, whole, conflicts);
  }
  const lacking = latest(outlines.filter(({ state }) => filledFrom(merged, state) === undefined));
  if (lacking !== undefined) return { kind: 'lacking', from: lacking.from, outline: lacking.state };
  for (const { state } of outlines) {
    const filled = filledFrom(merged, state);
    if (filled !== undefined) merged = joinStates(merged, filled, conflicts);
  }
  return { kind: 'joined', merged, parts: [...parts, ...outlines] };
}

/** The one with the latest version, since that most likely knows what the others have. */
function latest(outlines: readonly Part[]): Part | undefined {
  const lastOf = ({ state }: Part): Dot =>
    state.versions.map(({ dot }) => dot).reduce((a, b) => (compareDotsByTime(a, b) > 0 ? a : b));
  let best: Part | undefined;
  for (const next of outlines) {
    if (best === undefined || compareDotsByTime(lastOf(next), lastOf(best)) > 0) best = next;
  }
  return best;
}

function allHave(answers: readonly Answer[], first: Uint8Array | null, equal: Digest['equal']): boolean {
  for (const { state } of answers) {
    if (state === first) continue;
    if (state === undefined || state === null || first === null || !equal(state, first)) return false;
  }
  return true;
}

function stateOf(state: Uint8Array | null, crc32: Checksum): State {
  return state === null ? EMPTY_STATE : decodeState(state, crc32);
}

/** What the replica knows that has answered so; nothing when the answer is damaged, which is found and told when all are joined. */
export function vectorOf({ state = null, outline }: FetchReply, crc32: Checksum): VersionVector {
  try {
    return (outline === undefined ? stateOf(state, crc32) : decodeOutline(outline, crc32)).vector;
  } catch (error) {
    if (!(error instanceof CorruptState)) throw error;
    return EMPTY_VECTOR;
  }
}

/** Whether a second answer of the same replica, with its values, knows what the first one did. */
export function knows(reply: FetchReply, before: Outline, crc32: Checksum): boolean {
  return reply.state !== undefined && dominates(stateOf(reply.state, crc32).vector, before.vector);
}
