/** Wrong variants of strong keys: rules that published implementations of CASPaxos and its relatives got wrong. */

import type { Bug } from './bugs.ts';
import type { SourceEdit } from './source-edits.ts';

const ROWS = 'src/coordinator/register-rows.ts';
const KEYED = 'src/coordinator/register-keyed.ts';
const PROPOSER = 'src/coordinator/register-proposer.ts';

/** Owners that compare what they have would soon have hidden what went wrong before. */
export const WITHOUT_LEVELLING: readonly SourceEdit[] = [
  {
    file: 'src/coordinator/register-upkeep.ts',
    from: 'const apart = await this.#level.level(rows.flatMap((row) => this.#look(row)));',
    to: 'const apart = 0 * rows.flatMap((row) => this.#look(row)).length;',
  },
  {
    file: 'src/coordinator/register-upkeep.ts',
    from: 'if (this.#isFast || this.#stopped) return;',
    to: 'if (this.#isFast || !this.#stopped) return;',
  },
];

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
      ...WITHOUT_LEVELLING,
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
    foundBy: { scenario: 'strong-key-damaged-after-a-promise' },
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
    foundBy: { scenario: 'strong-accept-below-a-promise' },
  },
  {
    name: 'strong-half-is-enough',
    about: 'half of the owners count as a majority',
    edits: [
      {
        file: 'src/coordinator/register-round.ts',
        from: 'majorityOf(route.owners.length)',
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
    foundBy: { scenario: 'strong-proposal-not-confirmed' },
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
    foundBy: { scenario: 'strong-attempt-not-confirmed' },
  },
  {
    name: 'strong-attempt-in-doubt-is-answered',
    about: 'a change is called answered, so that it may be forgotten, though its first proposer may still be making it',
    edits: [{ file: 'src/coordinator/attempts.ts', from: 'if (!inDoubt) {', to: 'if (!inDoubt || inDoubt) {' }],
    foundBy: { scenario: 'strong-attempt-answered-elsewhere' },
  },
  {
    name: 'strong-copy-made-again',
    about: 'a request that its client waits for no more is taken for a new one, since its row is gone',
    edits: [{ file: KEYED, from: "? { kind: 'given-up' } : undefined", to: '? undefined : undefined' }],
    foundBy: { scenario: 'strong-copy-arrives-late' },
  },
  {
    name: 'strong-requests-let-go-without-a-word',
    about: 'requests that are over are forgotten, and so is that they are over',
    edits: [
      {
        file: KEYED,
        from: '? row : { ...row, numbered };',
        to: '? row : { ...row, numbered: { ...numbered, answeredBelow: 0 } };',
      },
    ],
    foundBy: { scenario: 'strong-copy-arrives-late' },
  },
  {
    name: 'strong-erased-without-floor',
    about: 'a key that was erased is as if it had never been there, so a late message brings back what was deleted',
    edits: [
      {
        file: ROWS,
        from: 'emptyRegister(this.#bounds.floor(from, scope))',
        to: 'emptyRegister(null)',
      },
    ],
    foundBy: { scenario: 'strong-key-erased-while-late' },
  },
  {
    name: 'strong-erased-in-spite-of-promise',
    about: 'an owner takes away a key of which it has promised somebody something',
    edits: [
      ...WITHOUT_LEVELLING,
      {
        file: 'src/consensus/register.ts',
        from: 'return compareBallots(promised, ballot) === 0 && compareBallots(accepted.ballot, ballot) === 0;',
        to: 'return compareBallots(accepted.ballot, ballot) === 0;',
      },
    ],
    foundBy: { scenario: 'strong-key-erased-while-promised' },
  },
  {
    name: 'strong-votes-expire',
    about: 'owners forget what they have promised and accepted when it is old (scylladb#6149)',
    edits: [
      {
        file: ROWS,
        from: ': this.#decode({ bucket, incarnation, key }, row);',
        to: `: ((vote) =>
              vote.promised && vote.promised.time < this.#options.world.clock.wall() - 60000
                ? emptyRegister(this.#bounds.floor(from, scope))
                : vote)(this.#decode({ bucket, incarnation, key }, row));`,
      },
    ],
    foundBy: { scenario: 'strong-key-erased-while-late' },
  },
  {
    name: 'strong-vote-before-fsync',
    about: 'an owner answers that it has promised or accepted before that is on stable storage',
    edits: [
      {
        file: ROWS,
        from: 'bytes, durable: true, trace',
        to: 'bytes, durable: false, trace',
      },
    ],
    foundBy: { scenario: 'strong-vote-and-power-loss' },
  },
  {
    name: 'strong-damaged-row-is-empty',
    about: 'an owner whose row is damaged votes as if it had never promised or accepted anything',
    edits: [
      {
        file: ROWS,
        from: 'throw new Refusal(CORRUPT_ROW, `the register of this key is damaged: ${error.message}`);',
        to: 'return emptyRegister(null);',
      },
    ],
    foundBy: { scenario: 'strong-key-damaged' },
  },
  {
    name: 'strong-mended-below-its-promise',
    about: 'an owner that gets a damaged register back takes no heed of what the lost row may have promised',
    edits: [
      {
        file: 'src/coordinator/register-mend.ts',
        from: 'ballots.observe({ time: rows.ceiling, node: knowledge.self(), boot: 0 });',
        to: '',
      },
    ],
    foundBy: { scenario: 'strong-key-damaged-after-a-promise' },
  },
  {
    name: 'strong-vote-without-memory',
    about: 'an owner that has lost its disk votes before it has its registers back',
    edits: [
      ...WITHOUT_LEVELLING,
      {
        file: ROWS,
        from: "if (knowledge.refilling()) throw new Refusal(REFILLING, 'this node has lost its disk and has no vote yet');",
        to: '',
      },
      {
        file: 'src/coordinator/register-round.ts',
        from: ".filter(({ state }) => state !== 'refilling')",
        to: '',
      },
    ],
    foundBy: { scenario: 'strong-owner-loses-its-disk' },
  },
];
