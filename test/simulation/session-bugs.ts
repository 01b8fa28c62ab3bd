/** Wrong variants of sessions. */

import type { Bug } from './bugs.ts';

const KEY_VALUE = 'src/api/key-value.ts';

export const SESSION_BUGS: readonly Bug[] = [
  {
    name: 'session-ignores-its-token',
    about: 'a read in a session answers with what its replicas know, whatever the session has seen',
    edits: [
      {
        file: 'src/coordinator/read-round.ts',
        from: 'return least === undefined || dominates(this.#known, least);',
        to: 'return true;',
      },
    ],
    foundBy: { scenario: 'session-goes-elsewhere' },
  },
  {
    name: 'session-forgets-its-writes',
    about: "a session's token does not learn of its writes",
    edits: [
      {
        file: KEY_VALUE,
        from: 'return showsAll ? joinVectors(outcome.context, [outcome.written]) : [outcome.written];',
        to: 'return EMPTY_VECTOR;',
      },
    ],
    foundBy: { scenario: 'session-goes-elsewhere' },
  },
  {
    name: 'session-forgets-its-reads',
    about: "a session's token does not learn of what was read",
    edits: [
      {
        file: KEY_VALUE,
        from: "session?.answer(answer, outcome.kind === 'found' ? outcome.context : EMPTY_VECTOR)",
        to: 'session?.answer(answer, EMPTY_VECTOR)',
      },
    ],
    foundBy: { scenario: 'session-goes-elsewhere' },
  },
  {
    name: 'session-write-by-the-clock',
    about: 'a write in a session gets the time of its node, which may be earlier than what the session has seen',
    edits: [
      {
        file: 'src/replica/mint.ts',
        from: 'Math.max(counterFor(clock.tick(), context, before), after + 1)',
        to: 'counterFor(clock.tick(), context, before)',
      },
    ],
    foundBy: { scenario: 'session-with-slow-clocks' },
  },
  {
    name: 'condition-by-the-clock',
    about:
      'a write whose condition has passed gets the time of its node, which may be earlier than what it was judged by',
    edits: [
      {
        file: 'src/coordinator/before-write.ts',
        from: 'const after = highestCounter(state.vector);',
        to: 'const after = 0;',
      },
    ],
    foundBy: { scenario: 'made-anew-by-a-slow-clock' },
  },
];
