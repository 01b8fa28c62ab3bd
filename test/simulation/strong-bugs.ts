/** Wrong variants of strong keys: rules that published implementations of CASPaxos and its relatives got wrong. */

import type { Bug } from './bugs.ts';

const PROPOSER = 'src/coordinator/register-proposer.ts';

export const STRONG_BUGS: readonly Bug[] = [
  {
    name: 'strong-read-trusts-one-owner',
    about: 'a read answers with what one owner has accepted, though others have accepted something else',
    edits: [
      {
        file: PROPOSER,
        from: 'agreedValue(phase.values, round.majority)',
        to: 'agreedValue(phase.values, 1)',
      },
    ],
    foundBy: 'random',
  },
  {
    name: 'strong-read-after-prepare-only',
    about: 'a read answers with the value that it found, without having it accepted (CASSANDRA-12126)',
    edits: [
      {
        file: PROPOSER,
        from: "if ('kind' in base) return base;",
        to: `if ('kind' in base) return base;
             if (batch.every(({ request }) => request.change.kind === 'look')) {
               const confirmation = { acked: round.majority, needed: round.majority, of: round.of };
               for (const { task, result } of this.#change(base, batch).results) task.settle({ kind: 'done', result, confirmation });
               return undefined;
             }`,
      },
    ],
    foundBy: 'random',
  },
  {
    name: 'strong-promise-forgotten',
    about: 'an owner accepts what is below its promise',
    edits: [
      {
        file: 'src/consensus/register.ts',
        from: 'if (promised !== null && compareBallots(ballot, promised) < 0)',
        to: 'if (promised !== null && compareBallots(ballot, promised) < 0 && false)',
      },
    ],
    foundBy: 'random',
  },
  {
    name: 'strong-half-is-enough',
    about: 'half of the owners count as a majority',
    edits: [
      {
        file: 'src/coordinator/register-round.ts',
        from: 'Math.floor(route.owners.length / 2) + 1',
        to: 'Math.max(1, Math.floor(route.owners.length / 2))',
      },
    ],
    foundBy: 'random',
  },
];
