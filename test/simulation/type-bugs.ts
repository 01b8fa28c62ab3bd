/** Wrong variants of data types. */

import type { Bug } from './bugs.ts';

const OPERATE = 'src/causality/operate.ts';

export const TYPE_BUGS: readonly Bug[] = [
  {
    name: 'counter-actor-goes-on',
    about: 'a node that may have forgotten its increments goes on as the same actor, from the number that it remembers',
    edits: [
      {
        file: 'src/replica/node-storage.ts',
        from: 'new Tenure(lastTenure, first)',
        to: 'new Tenure(lastTenure, 1)',
      },
    ],
    foundBy: { scenario: 'counter-forgets-what-it-sent' },
  },
  {
    name: 'counter-is-taken-over',
    about: 'an increment goes on from the number of whichever actor, as if nobody else could do the same',
    edits: [
      {
        file: OPERATE,
        from: "leaf.kind === 'total' && sameActor(version.dot, actor)",
        to: "leaf.kind === 'total' && (sameActor(version.dot, actor) || true)",
      },
    ],
    foundBy: { scenario: 'both-sides-count' },
  },
  {
    name: 'keyed-increment-is-added-up',
    about: 'an increment that may be sent again goes into the total, where nobody can tell it from another',
    edits: [
      {
        file: OPERATE,
        from: "keyed && !alone ? { kind: 'increment', amount: by } : { kind: 'total', amount: total }",
        to: "{ kind: 'total', amount: total }",
      },
    ],
    foundBy: { scenario: 'increments-meet' },
  },
  {
    name: 'increments-of-one-request-both-count',
    about: 'two attempts at one increment that meet stay beside each other',
    edits: [
      {
        file: OPERATE,
        from: 'request !== undefined && isIncrement(bytes) ? { ...version, request } : version',
        to: 'request !== undefined && isIncrement(bytes) ? version : version',
      },
      {
        file: 'src/replica/settle-retries.ts',
        from: "if (repeat === undefined || conflicts !== 'siblings'",
        to: "if (repeat === undefined || conflicts !== 'siblings' || conflicts.length > 0",
      },
    ],
    foundBy: { scenario: 'increments-meet' },
  },
  {
    name: 'increments-are-added-up-too-soon',
    about: 'increments go into a total although an owner that may have another attempt at one of them cannot be asked',
    edits: [
      {
        file: 'src/coordinator/fold-increments.ts',
        from: 'if (answers.includes(undefined)) return undefined;',
        to: 'for (let i = 0; i < answers.length; i++) answers[i] ??= () => true;',
      },
    ],
    foundBy: { scenario: 'an-attempt-waits-to-be-known' },
  },
  {
    name: 'removal-ignores-its-context',
    about: 'a removal takes away all that its replica knows, whatever the client had seen',
    edits: [
      {
        file: OPERATE,
        from: "return which === 'all' || context === null || covers(context, dot);",
        to: 'return true;',
      },
    ],
    foundBy: { scenario: 'added-again-before-it-is-taken' },
  },
  {
    name: 'removal-takes-only-what-is-here',
    about: 'a removal with a context is made where what it names may not be known',
    edits: [
      {
        file: 'src/coordinator/before-write.ts',
        from: 'return takesAway(operation) ||',
        to: 'return (context === null && takesAway(operation)) ||',
      },
    ],
    foundBy: { scenario: 'taken-where-it-is-not-known' },
  },
  {
    name: 'removal-covers-what-it-has-not-read',
    about: 'a removal adds its context to what is known, with what the replica has never held: that is gone with it',
    edits: [
      {
        file: 'src/coordinator/before-write.ts',
        from: 'return takesAway(operation) ||',
        to: 'return (context === null && takesAway(operation)) ||',
      },
      {
        file: 'src/replica/mint.ts',
        from: 'const actor = { node, tenure };',
        to: 'before = { ...before, vector: [...before.vector, ...context].sort((a, b) => a.node - b.node || a.tenure - b.tenure || b.counter - a.counter).filter((a, i, all) => i === 0 || all[i - 1]!.node !== a.node || all[i - 1]!.tenure !== a.tenure) }; const actor = { node, tenure };',
      },
    ],
    foundBy: { scenario: 'taken-where-it-is-not-known' },
  },
];
