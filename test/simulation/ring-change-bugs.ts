/** Wrong variants of ring changes, as edits of the source; each has to be found by runs of ring-change-run.ts. */

import type { SourceEdit } from './source-edits.ts';

const MOVES = 'src/repair/moves.ts';

export const RING_CHANGE_BUGS: Readonly<Record<string, readonly SourceEdit[]>> = {
  'w-over-the-union': [
    {
      file: 'src/coordinator/environment.ts',
      from: 'return sets.map((set) => {',
      to: 'if (w > 0) return [{ w, pw, dw }]; return sets.map((set) => {',
    },
  ],
  'no-fence-by-owners': [
    { file: 'src/replica/scope.ts', from: 'if (changedIn > scope.epoch) {', to: 'if (changedIn < 0) {' },
  ],
  'no-barrier': [
    {
      file: 'src/ring/moving.ts',
      from: "if (keepersOf(entry).some((index) => standing(index) === 'behind')) return false;",
      to: 'if (keepersOf(entry).length > 0) return true;',
    },
  ],
  'one-arbitrary-source': [
    {
      file: MOVES,
      from: 'for (const index of new Set([...leavers, ...old])) {',
      to: 'for (const index of old.filter((one) => !leavers.includes(one)).slice(0, 1)) {',
    },
    { file: MOVES, from: 'return merged >= old.length - Math.floor(old.length / 2);', to: 'return merged >= 1;' },
  ],
  'read-new-skipped': [
    {
      file: 'src/operator/ring-change.ts',
      from: "return { owners: now, changedIn, move: { stage: 'read-new', others: old } };",
      to: 'return over(now, old, changedIn);',
    },
  ],
  'round-keeps-to-the-old-rules': [
    {
      file: 'src/coordinator/write-rules.ts',
      from: 'if (route === undefined || route.changedIn === this.#changedIn) return undefined;',
      to: 'if (route === undefined || route.changedIn >= 0) return undefined;',
    },
  ],
};
