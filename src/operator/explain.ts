/**
 * Why the replicas of a key differ, in words. Pure: what the nodes reported in, what a person reads out.
 */

import type { Dot } from '#causality/dot.ts';
import { timeOf } from '#causality/hybrid-clock.ts';
import { isHorizon } from '#causality/horizon.ts';
import { sameDot } from '#causality/dot.ts';
import { covers } from '#causality/vector.ts';
import type { StateReport } from './key-report.ts';

/** How to say who and when. */
export interface Words {
  readonly member: (index: number) => string;
  /** Milliseconds since 1970 as people write it. */
  readonly time: (milliseconds: number) => string;
}

export type Role = 'primary' | 'former';

/** What became of asking one replica. */
export interface Sighting {
  readonly node: string;
  readonly role: Role;
  /** Why there is no report; empty when there is one. */
  readonly silence: string;
  readonly refilling: boolean;
  readonly record: StateReport | null;
  readonly damage: string;
}

export interface WaitingHint {
  readonly at: string;
  readonly for: string;
  readonly state: StateReport | null;
}

/** Whether every owner answered and all of them have the very same. */
export function agree(sightings: readonly Sighting[]): boolean {
  const owners = sightings.filter(({ role }) => role === 'primary');
  const digests = new Set(owners.map(({ record }) => record?.digest ?? 'absent'));
  return digests.size <= 1 && owners.every(({ silence, damage }) => silence === '' && damage === '');
}

/** One sentence for each thing that is not as it should be. */
export function differences(
  sightings: readonly Sighting[],
  hints: readonly WaitingHint[],
  words: Words,
): readonly string[] {
  const known = [...sightings.map(({ record }) => record), ...hints.map(({ state }) => state)].filter(
    (state) => state !== null,
  );
  const sentences: string[] = [];
  for (const sighting of sightings) {
    const { node, role, silence, damage, record, refilling } = sighting;
    if (silence !== '') sentences.push(`${node} did not answer: ${silence}`);
    else if (damage !== '') sentences.push(`${node} has a record that cannot be read: ${damage}`);
    else if (role === 'former') sentences.push(`${node} does not own the key any more and still has a record of it`);
    else {
      const why = waitingFor(node, hints) ?? (refilling ? 'it has lost its disk and is being filled' : undefined);
      for (const lack of lacks(record, known, words)) sentences.push(`${node} ${lack}${because(why)}`);
    }
  }
  return sentences;
}

function waitingFor(node: string, hints: readonly WaitingHint[]): string | undefined {
  const keepers = hints.filter((hint) => hint.for === node).map(({ at }) => at);
  return keepers.length === 0 ? undefined : `a hint for it waits at ${[...new Set(keepers)].join(', ')}`;
}

function because(reason: string | undefined): string {
  return reason === undefined ? '' : `; ${reason}`;
}

/** What a record is behind in, compared with all that is known anywhere. */
function lacks(record: StateReport | null, known: readonly StateReport[], words: Words): readonly string[] {
  const vector = record?.vector ?? [];
  const mine = record?.versions ?? [];
  const written = distinct(known.flatMap(({ versions }) => versions.map(({ dot }) => dot)));
  const replacedBy = (dot: Dot): boolean =>
    known.some((state) => covers(state.vector, dot) && !state.versions.some((version) => sameDot(version.dot, dot)));
  const unheard = written
    .filter((dot) => !covers(vector, dot) && !replacedBy(dot))
    .map((dot) => `has not heard of ${nameDot(dot, words)}, written ${timeOfDot(dot, words)}`);
  const obsolete = mine
    .filter(({ dot }) => replacedBy(dot))
    .map(({ dot }) => `still has ${nameDot(dot, words)}, which was replaced or deleted elsewhere`);
  if (unheard.length + obsolete.length > 0) return [...unheard, ...obsolete];
  const behind = known.flatMap((state) => state.vector).filter((dot) => !covers(vector, dot));
  const first = behind.find((dot) => !isHorizon(dot)) ?? behind[0];
  if (first === undefined) return [];
  return isHorizon(first)
    ? [`has not heard yet that all owners know all writes up to ${timeOfDot(first, words)}`]
    : [`has not heard of a write of ${words.member(first.node)} that was replaced since`];
}

function distinct(dots: readonly Dot[]): readonly Dot[] {
  return dots.filter((dot, i) => dots.findIndex((other) => sameDot(dot, other)) === i);
}

/** The dot as people read it: who minted it, in which tenure, at which hybrid time. A horizon: all members up to which, until when. */
export function nameDot(dot: Dot, words: Words): string {
  const { node, tenure, counter } = dot;
  return `${isHorizon(dot) ? '*' : words.member(node)}/${tenure}/${counter}`;
}

/** When the write was made, by the clock of the node that made it. */
export function timeOfDot({ counter }: Dot, words: Words): string {
  return words.time(timeOf(counter));
}
