/** Wrong variants of compacting vectors. */

import type { Bug } from './bugs.ts';

const COMPACTION = 'src/repair/compaction.ts';

export const VECTOR_BUGS: readonly Bug[] = [
  {
    name: 'horizon-unasked',
    about: 'a horizon is claimed although an owner knows a write within that the others do not',
    edits: [
      {
        file: COMPACTION,
        from: 'rows = same.flatMap((i) => rows[i] ?? []);',
        to: 'rows = same.length < 0 ? [] : rows;',
      },
      {
        file: COMPACTION,
        from: 'if (!this.#knowsSame(place, row, horizon, transaction)) return false;',
        to: '',
      },
    ],
    foundBy: { scenario: 'a-long-vector-lacks-a-write' },
  },
  {
    name: 'horizon-ignores-hints',
    about: 'a horizon is claimed while somebody keeps a hint with a write within',
    edits: [
      {
        file: 'src/repair/reclaim.ts',
        from: 'if (low === 0 || low > floor) continue;',
        to: "if (low === 0 || low > floor || !('rows' in batch)) continue;",
      },
    ],
    foundBy: { scenario: 'a-hint-beside-a-long-vector' },
  },
  {
    name: 'writes-within-a-horizon',
    about: 'a member that has lost its disk mints by its own clock, below the floor that it took for its promises',
    edits: [
      {
        file: 'src/replica/replica.ts',
        from: 'const after = Math.max(request.after, this.floors.highest(request.scope));',
        to: 'const { after } = request;',
      },
    ],
    foundBy: { scenario: 'a-late-clock-after-a-horizon' },
  },
  {
    name: 'horizon-takes-what-is-live',
    about: 'versions within a horizon are taken for superseded where the horizon is taken',
    edits: [
      {
        file: 'src/causality/compact.ts',
        from: 'return compacted({ vector: withDot(vector, horizon), versions });',
        to: 'return compacted({ vector: withDot(vector, horizon), versions: versions.filter(({ dot }) => !isWithin(horizon, dot)) });',
      },
    ],
    foundBy: { scenario: 'a-late-clock-after-a-horizon' },
  },
];
