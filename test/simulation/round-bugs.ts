/** Wrong variants of what a coordinator counts, and of what it says of it. */

import type { Bug } from './bugs.ts';

const WRITE_ROUND = 'src/coordinator/write-round.ts';
const WRITE_OUTCOME = 'src/coordinator/write-outcome.ts';
const READ_ROUND = 'src/coordinator/read-round.ts';
const TALLY = 'src/quorum/tally.ts';

export const ROUND_BUGS: readonly Bug[] = [
  {
    name: 'outline-shown-as-empty',
    about: 'a version of which an owner has only said that it has it is shown with an empty value',
    edits: [
      {
        file: 'src/causality/outline.ts',
        from: 'else if (!covers(known.vector, dot)) return undefined;',
        to: "else if (!covers(known.vector, dot)) versions.push({ dot, expiresAt: 0, content: { value: new Uint8Array(), contentType: '', contentEncoding: '', meta: [] } });",
      },
    ],
    foundBy: { scenario: 'coordinator-lacks-the-value' },
  },
  {
    name: 'outline-news-left-out',
    about: 'a version of which an owner has only said that it has it is taken for superseded',
    edits: [
      {
        file: 'src/causality/outline.ts',
        from: 'else if (!covers(known.vector, dot)) return undefined;',
        to: '',
      },
    ],
    foundBy: { scenario: 'coordinator-lacks-the-value' },
  },
  {
    name: 'same-without-a-look',
    about: 'an owner that is told what the coordinator has says that it has the same, whatever it has',
    edits: [
      {
        file: 'src/replica/fetched.ts',
        from: 'if (unless !== undefined && isAbridged(unless, encoded, state)) return',
        to: 'if (unless !== undefined) return',
      },
    ],
    foundBy: { scenario: 'coordinator-is-behind' },
  },
  {
    name: 'same-by-its-length',
    about: 'an owner takes what it has for the same as what the coordinator has when both are as long',
    edits: [
      {
        file: 'src/causality/abridged.ts',
        from: 'for (let i = 0; i < head.length; i++) if (head[i] !== encoded[i]) return false; return check === checkOf(encoded);',
        to: 'return check >= 0;',
      },
    ],
    foundBy: { scenario: 'coordinator-is-behind' },
  },
  {
    name: 'not-applied-though-sent',
    about: 'a write that failed after it was sent is called not applied',
    edits: [
      {
        file: WRITE_OUTCOME,
        from: "const kind = mayHold === 0 ? 'not-applied' : 'unknown';",
        to: "const kind = 'not-applied' as const;",
      },
    ],
    foundBy: { seed: 14 },
  },
  {
    name: 'forward-again-after-loss',
    about: 'a forwarded write whose answer was lost is called not applied',
    edits: [
      {
        file: 'src/coordinator/coordinator.ts',
        from: "return { kind: 'unknown', trouble,",
        to: "return { kind: 'not-applied', trouble,",
      },
    ],
    foundBy: { scenario: 'answer-to-a-forward-is-lost' },
  },
  {
    name: 'quorum-counts-errors',
    about: 'a replica that refused or did not answer counts for w',
    edits: [
      {
        file: WRITE_ROUND,
        from: 'this.#tally.fail(owner.index); this.#decide();',
        to: 'this.#tally.accept(owner.index, true); this.#decide();',
      },
    ],
    foundBy: { scenario: 'too-few-have-it' },
  },
  {
    name: 'same-node-counted-twice',
    about: 'a replica that accepts, and then says that it is durable, counts twice',
    edits: [
      {
        file: TALLY,
        from: 'this.#places(accepts, among, changedIn) >= w &&',
        to: 'this.#places(accepts, among, changedIn) + this.#places(durably, among, changedIn) >= w &&',
      },
      {
        file: TALLY,
        from: 'this.#places(acceptsAsPrimary, among, changedIn) >= pw',
        to: '2 * this.#places(acceptsAsPrimary, among, changedIn) >= pw',
      },
      {
        file: TALLY,
        from: 'this.#places(durably, among, changedIn) >= dw',
        to: '2 * this.#places(durably, among, changedIn) >= dw',
      },
    ],
    foundBy: { scenario: 'power-loss-at-a-replica' },
  },
  {
    name: 'error-read-as-absent',
    about: 'a replica that fails to answer a read counts as one that has nothing',
    edits: [
      {
        file: READ_ROUND,
        from: 'this.#tally.fail(owner.index);',
        to: 'this.#answers.push({ from: owner.id, state: null }); this.#tally.accept(owner.index);',
      },
    ],
    foundBy: { scenario: 'who-knows-dies' },
  },
  {
    name: 'read-ignores-newer',
    about: 'a read answers with the first state that came back',
    edits: [
      {
        file: 'src/coordinator/join-answers.ts',
        from: 'merged = joinStates(merged, whole, conflicts);',
        to: 'if (parts.length === 1) merged = whole;',
      },
    ],
    foundBy: { seed: 5 },
  },
  {
    name: 'write-without-deadline',
    about: 'a write waits for its quorum for ever',
    edits: [{ file: WRITE_ROUND, from: "return this.#end('deadline');", to: 'return;' }],
    foundBy: { scenario: 'disk-hangs' },
  },
];
