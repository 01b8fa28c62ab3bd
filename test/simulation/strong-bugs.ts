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
    foundBy: { scenario: 'strong-keys-in-doubt' },
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
    foundBy: { scenario: 'strong-keys-in-doubt' },
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
    foundBy: { scenario: 'strong-keys-in-doubt' },
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
    foundBy: { scenario: 'strong-keys-in-doubt' },
  },
  {
    name: 'strong-ballot-used-twice',
    about: 'a proposer whose accept was not confirmed proposes another value under the same ballot',
    edits: [
      { file: 'src/coordinator/register-cache.ts', from: 'this.#drop(name, entry);', to: '' },
      { file: 'src/consensus/register.ts', from: 'if (order <= 0)', to: 'if (order < 0)' },
    ],
    foundBy: { scenario: 'strong-keys-in-doubt' },
  },
  {
    name: 'strong-attempt-made-twice',
    about: 'an attempt whose fate is not known is made again without looking for it',
    edits: [
      {
        file: 'src/coordinator/register-value.ts',
        from: 'return recent.find((change) => equalBytes(change.id, id));',
        to: 'return recent.find((change) => equalBytes(change.id, id) && false);',
      },
    ],
    foundBy: { scenario: 'strong-keys-in-doubt' },
  },
];
