/** Wrong variants of which version has seen which. */

import type { Bug } from './bugs.ts';

const JOIN = 'src/causality/join.ts';
const WRITE = 'src/causality/write.ts';
const REPLICA = 'src/replica/replica.ts';

export const VERSION_BUGS: readonly Bug[] = [
  {
    name: 'touch-raises',
    about: 'a touch writes what is there anew, and so raises what it does not know to be deleted',
    edits: [
      {
        file: 'src/causality/touch.ts',
        from: 'meant.has(version) ? { ...version, expiresAt: laterEnd(version.expiresAt, expiresAt) } : version,',
        to: 'meant.has(version) ? { ...version, dot, expiresAt: laterEnd(version.expiresAt, expiresAt) } : version,',
      },
    ],
    foundBy: { scenario: 'touched-where-it-lives-on' },
  },
  {
    name: 'wall-clock-lww',
    about: 'last write wins by the wall clock, whatever the write had seen',
    edits: [
      {
        file: WRITE,
        from: 'const counter = Math.max(tick, highestCounter(context) + 1, highestCounter(state.vector) + 1);',
        to: 'const counter = tick;',
      },
      {
        file: WRITE,
        from: 'if (dot.counter <= latest)',
        to: 'if (dot.counter <= latest && false)',
      },
      {
        file: 'src/causality/hybrid-clock.ts',
        from: 'this.#last = checked(this.#isFollowed(wall) ? Math.max(this.#last + 1, wall) : this.#last + 1);',
        to: 'this.#last = checked(wall + ((this.#last + 1) % 4096));',
      },
    ],
    foundBy: { scenario: 'clocks-disagree' },
  },
  {
    name: 'merge-drops-sibling',
    about: 'a merge keeps only the versions of the side that knows more',
    edits: [
      {
        file: JOIN,
        from: 'if (order > 0 && !covers(a.vector, fromB!.dot))',
        to: 'if (order > 0 && a.versions.length === 0)',
      },
    ],
    foundBy: { seed: 9 },
  },
  {
    name: 'merge-revives-superseded',
    about: 'a merge keeps versions that the other side has superseded',
    edits: [{ file: JOIN, from: 'if (order < 0 && !covers(b.vector, fromA!.dot))', to: 'if (order < 0)' }],
    foundBy: { scenario: 'both-sides-write' },
  },
  {
    name: 'store-overwrites',
    about: 'a replica puts what it is sent in the place of what it has',
    edits: [
      {
        file: REPLICA,
        from: 'const united = joinStates(before, incoming, conflicts);',
        to: 'const united = incoming;',
      },
    ],
    foundBy: { seed: 5 },
  },
  {
    name: 'write-replaces-unseen',
    about: 'a write supersedes all that its replica has, seen by the client or not',
    edits: [
      {
        file: WRITE,
        from: 'state.versions.filter((version) => !covers(context, version.dot))',
        to: 'state.versions.filter(() => false)',
      },
    ],
    foundBy: { seed: 17 },
  },
  {
    name: 'context-covers-unseen',
    about: "a write's answer carries a context that covers siblings which the client was not shown",
    edits: [
      {
        file: 'src/api/outcome.ts',
        from: 'if (alone && outcome.context.length > 0)',
        to: 'if ((alone || true) && outcome.context.length > 0)',
      },
    ],
    foundBy: { seed: 11 },
  },
  {
    name: 'delete-forgets-vector',
    about: 'a delete leaves nothing behind, so older copies elsewhere come back',
    edits: [
      {
        file: WRITE,
        from: 'return settle({ vector, versions }, conflicts);',
        to: 'return versions.length === 0 ? { vector: [dot], versions } : settle({ vector, versions }, conflicts);',
      },
    ],
    foundBy: { seed: 5 },
  },
  {
    name: 'lww-delete-without-rank',
    about: 'a delete in a last-write-wins bucket leaves no marker, so an older write that arrives later wins',
    edits: [{ file: WRITE, from: "else if (conflicts === 'lww')", to: "else if (conflicts === 'lww' && false)" }],
    foundBy: { seed: 14 },
  },
];
