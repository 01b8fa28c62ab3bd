/** Wrong variants of requests that are sent again. */

import type { Bug } from './bugs.ts';

const WRITE_ROUND = 'src/coordinator/write-round.ts';
const BEFORE_WRITE = 'src/coordinator/before-write.ts';
const REPLICA = 'src/replica/replica.ts';

export const ATTEMPT_BUGS: readonly Bug[] = [
  {
    name: 'retry-mints-again',
    about: 'nobody asks whether a request with an idempotency key was carried out before',
    edits: [
      { file: BEFORE_WRITE, from: 'if (mark !== null) {', to: 'if (mark !== null && false) {' },
      {
        file: REPLICA,
        from: 'if (known !== undefined) throw new AlreadyMinted(',
        to: 'if (false) throw new AlreadyMinted(',
      },
    ],
    foundBy: { seed: 11 },
  },
  {
    name: 'retry-row-stays-home',
    about: 'what a request has become is not given to the other owners with the state, nor named by the version',
    edits: [
      { file: WRITE_ROUND, from: 'retries: retry === null ? [] : [retry]', to: 'retries: []' },
      {
        file: REPLICA,
        from: 'request: mark === null ? undefined : toHex(mark.fingerprint),',
        to: 'request: undefined,',
      },
    ],
    foundBy: { seed: 11 },
  },
  {
    name: 'retry-row-after-the-write',
    about: 'what a request has become is written in a transaction of its own, after that of the write',
    edits: [
      {
        file: REPLICA,
        from: 'if (retry !== null) this.#retries.add(transaction, request.scope, request.key, retry);',
        to: 'if (retry !== null) this.#options.world.clock.after(100, () => void this.#commits.submit({ run: (later) => this.#retries.add(later, request.scope, request.key, retry), bytes: 0, durable: true }));',
      },
      { file: WRITE_ROUND, from: 'retries: retry === null ? [] : [retry]', to: 'retries: []' },
      {
        file: REPLICA,
        from: 'request: mark === null ? undefined : toHex(mark.fingerprint),',
        to: 'request: undefined,',
      },
    ],
    foundBy: { seed: 11 },
  },
  {
    name: 'retry-asks-one-owner',
    about: 'one owner that knows of no earlier attempt is enough to mint',
    edits: [
      {
        file: BEFORE_WRITE,
        from: "return Math.max(resolveQuorum('quorum', owners), owners - w + 1);",
        to: "return Math.min(1, resolveQuorum('quorum', owners), owners - w + 1);",
      },
    ],
    foundBy: { scenario: 'retried-where-nobody-knows' },
  },
  {
    name: 'new-to-one-is-new',
    about: 'of owners of whom one knows the request and another does not, the other is believed',
    edits: [
      {
        file: 'src/coordinator/get.ts',
        from: "if (isNewTo === 'all') return nothingKnown(round);",
        to: "if (isNewTo !== 'none') return nothingKnown(round);",
      },
    ],
    foundBy: { scenario: 'retried-where-one-missed-it' },
  },
  {
    name: 'new-whatever-its-row-says',
    about: 'an owner calls a request new of which it has a row',
    edits: [
      {
        file: 'src/replica/fetched.ts',
        from: 'fingerprint !== undefined && retry === undefined && !retriesFull',
        to: 'fingerprint !== undefined && !retriesFull',
      },
    ],
    foundBy: { scenario: 'retried-where-one-missed-it' },
  },
  {
    name: 'condition-before-retry',
    about: 'the condition of a request that was carried out before is judged again',
    edits: [
      { file: BEFORE_WRITE, from: 'if (mark !== null) {', to: 'if (mark !== null && request.conditions === null) {' },
    ],
    foundBy: { scenario: 'created-once' },
  },
  {
    name: 'repeats-stay-siblings',
    about: 'two attempts of one request that meet stay beside each other',
    edits: [
      {
        file: 'src/causality/repeats.ts',
        from: 'if (attempts.size === named.length) return state;',
        to: 'if (attempts.size <= named.length) return state;',
      },
      {
        file: 'src/replica/settle-retries.ts',
        from: "if (repeat === undefined || conflicts !== 'siblings'",
        to: "if (repeat === undefined || conflicts !== 'siblings' || conflicts.length > 0",
      },
    ],
    foundBy: { scenario: 'attempts-meet' },
  },
  {
    name: 'lww-drops-repeats',
    about: 'the later attempt of a request goes in last-write-wins buckets too, against the order that settles there',
    edits: [
      {
        file: 'src/replica/settle-retries.ts',
        from: "if (repeat === undefined || conflicts !== 'siblings'",
        to: 'if (repeat === undefined || conflicts.length === 0',
      },
    ],
    foundBy: { scenario: 'attempts-meet' },
  },
];
