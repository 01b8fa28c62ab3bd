/**
 * The bug bank: variants of the product that are known to be wrong, so that it is known that the simulator would see them.
 * A bug is a small edit of the source text, made while the module is loaded, or something between a node and its disk. The
 * product has no switches for them; an edit that does not fit the source any more is an error.
 */

import { present } from '#kernel/assert.ts';
import type { ScenarioName } from './scenarios.ts';
import type { SourceEdit } from './source-edits.ts';
import { MANY_KEYS_BUGS } from './many-keys-bugs.ts';
import { SESSION_BUGS } from './session-bugs.ts';
import { RING_CHANGE_BUGS } from './ring-change-bugs.ts';
import { STRONG_BUGS } from './strong-bugs.ts';
import { TYPE_BUGS } from './type-bugs.ts';
import type { Tampering } from './tampering.ts';
import { VECTOR_BUGS } from './vector-bugs.ts';
import { MEMBER_BUGS } from './member-bugs.ts';
import { DISK_BUGS } from './disk-bugs.ts';
import { VERSION_BUGS } from './version-bugs.ts';
import { ATTEMPT_BUGS } from './attempt-bugs.ts';
import { BUCKET_BUGS } from './bucket-bugs.ts';
import { FALLBACK_BUGS } from './fallback-bugs.ts';
import { ROUND_BUGS } from './round-bugs.ts';

export interface Bug {
  readonly name: string;
  /** What is wrong, in a line. */
  readonly about: string;
  readonly edits?: readonly SourceEdit[];
  readonly tampering?: () => Tampering;
  /**
   * Where it is certainly seen: in one of a few random runs, of which the named one has shown it with the least work and is
   * made first, or in a script.
   */
  readonly foundBy: { readonly seed: (typeof BUG_RUNS.seeds)[number] } | { readonly scenario: ScenarioName };
}

/** The random runs in which bugs are seen that no script shows; short ones, so that there can be more of them. */
export const BUG_RUNS = {
  seeds: [5, 9, 11, 14, 17],
  changes: { duration: 20_000, types: false, touches: false },
} as const;

/** Bugs of mechanisms that are not built yet. */
export const BUGS_TO_COME: Readonly<Record<string, string>> = {};

export const BUGS: readonly Bug[] = [
  ...MEMBER_BUGS,
  ...DISK_BUGS,
  ...VERSION_BUGS,
  ...ATTEMPT_BUGS,
  ...BUCKET_BUGS,
  ...FALLBACK_BUGS,
  ...ROUND_BUGS,
  ...MANY_KEYS_BUGS,
  ...STRONG_BUGS,
  ...RING_CHANGE_BUGS,
  ...TYPE_BUGS,
  ...SESSION_BUGS,
  ...VECTOR_BUGS,
];

export function bugNamed(name: string): Bug {
  return present(
    BUGS.find((bug) => bug.name === name),
    `bug ${name}`,
  );
}
