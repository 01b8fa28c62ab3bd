/**
 * Letting go of versions that have ended beside others that live. It is as if somebody had replaced them: their dots stay in
 * the vector, so whoever still has them lets go of them too. A replica that did so by its own clock could take away what a
 * touch that it has not heard of lets live longer; so all owners are asked first whether they know a later end (the room
 * `repair` does that), and a touch that comes after it finds at each of them that the version has ended.
 */

import { compacted } from './compact.ts';
import { compareDotsByActor, type Dot } from './dot.ts';
import type { State, Version } from './state.ts';
import { laterEnd } from './touch.ts';
import { covers } from './vector.ts';

export interface EndedVersion {
  readonly dot: Dot;
  /** Milliseconds since 1970; never 0. */
  readonly expiresAt: number;
}

/** Whether each of them was replaced here, or ends no later than is said. */
export function endNoLater(state: State, ended: readonly EndedVersion[]): boolean {
  const here = byDot(state, ended);
  return ended.every((version, i) => {
    const known = here[i];
    return known === undefined ? covers(state.vector, version.dot) : endsBy(known, version);
  });
}

/** Without those that end no later than is said; the state itself when it has none of them. */
export function withoutEnded(state: State, ended: readonly EndedVersion[]): State {
  const here = byDot(state, ended);
  const go = new Set(here.filter((known, i) => known !== undefined && endsBy(known, ended[i]!)));
  if (go.size === 0) return state;
  return compacted({ vector: state.vector, versions: state.versions.filter((version) => !go.has(version)) });
}

function endsBy({ expiresAt }: Version, end: EndedVersion): boolean {
  return laterEnd(expiresAt, end.expiresAt) === end.expiresAt;
}

/** The state's version of each dot; both are sorted. */
function byDot({ versions }: State, dots: readonly EndedVersion[]): readonly (Version | undefined)[] {
  let at = 0;
  return dots.map(({ dot }) => {
    while (at < versions.length && compareDotsByActor(versions[at]!.dot, dot) < 0) at++;
    const next = versions[at];
    return next !== undefined && compareDotsByActor(next.dot, dot) === 0 ? next : undefined;
  });
}
