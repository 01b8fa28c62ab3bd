/** Wrong variants of what a disk has to have before anybody is told, and of what a node may have forgotten. */

import { utf8 } from '#kernel/bytes.ts';
import { ByteWriter } from '#kernel/binary.ts';
import { NODE, RECORDS } from '#replica/tables.ts';
import type { Dot } from './history.ts';
import type { Tampering } from './tampering.ts';
import type { Bug } from './bugs.ts';

const READ_ROUND = 'src/coordinator/read-round.ts';
const REPLICA = 'src/replica/replica.ts';
const GROUP_COMMIT = 'src/replica/group-commit.ts';
const NODE_STORAGE = 'src/replica/node-storage.ts';

export const DISK_BUGS: readonly Bug[] = [
  {
    name: 'ack-before-fsync',
    about: 'the disk calls a commit durable before it has synced it',
    tampering: () => ({
      disk: (disk) => ({
        get: (table, key) => disk.get(table, key),
        recall: (table, key) => disk.recall(table, key),
        recallUpTo: (table, key, upTo) => disk.recallUpTo(table, key, upTo),
        range: (table, options) => disk.range(table, options),
        commit: (run) => {
          disk.commit(run);
          return { durable: Promise.resolve() };
        },
        failure: () => disk.failure(),
        sizeBytes: () => disk.sizeBytes(),
        freeBytes: () => disk.freeBytes(),
        close: async () => await disk.close(),
      }),
    }),
    foundBy: { scenario: 'power-loss-after-ack' },
  },
  {
    name: 'replica-acks-before-fsync',
    about: 'a replica says that it has a write on stable storage when it has only committed it',
    edits: [
      {
        file: 'src/replica/store-together.ts',
        from: 'return this.#request.durable;',
        to: 'return false;',
      },
    ],
    foundBy: { scenario: 'power-loss-at-a-replica' },
  },
  {
    name: 'fsync-error-ignored',
    about: 'a group commit whose sync failed is acknowledged all the same',
    edits: [{ file: GROUP_COMMIT, from: 'failure = { error };', to: 'failure = undefined;' }],
    foundBy: { scenario: 'sync-fails-before-ack' },
  },
  {
    name: 'old-tenure-after-crash',
    about: 'states are sent while the local commit is in flight, and a node goes on in its old tenure after a crash',
    tampering: oldTenure,
    foundBy: { scenario: 'coordinator-forgets-what-it-sent' },
  },
  {
    name: 'tenure-kept-after-failed-commit',
    about: 'a node whose commit failed goes on as the same actor, though others have the write',
    edits: [
      {
        file: REPLICA,
        from: 'if (this.#spoken) this.#renewTenure();',
        to: '',
      },
    ],
    foundBy: { scenario: 'commit-fails-after-sending' },
  },
  {
    name: 'actor-reused-after-wipe',
    about: 'a node whose rows are gone goes on as the same actor',
    tampering: forgetsRows,
    foundBy: { scenario: 'coordinator-forgets-what-it-sent' },
  },
  {
    name: 'tenures-from-one',
    about: 'the tenures of a node are counted from one at each start',
    edits: [{ file: NODE_STORAGE, from: 'new Tenure(lastTenure, first)', to: 'new Tenure(lastTenure, 1)' }],
    foundBy: { scenario: 'coordinator-forgets-what-it-sent' },
  },
  {
    name: 'wiped-owner-counts',
    about: 'an owner that has lost its disk counts for reads before it was filled again',
    edits: [
      {
        file: 'src/replica/fetches.ts',
        from: 'if (knowledge.refilling())',
        to: 'if (knowledge.refilling() && false)',
      },
      { file: READ_ROUND, from: ".filter((owner) => owner.state !== 'refilling')", to: '' },
    ],
    foundBy: { scenario: 'an-owner-loses-its-disk' },
  },
  {
    name: 'leaf-not-in-the-transaction',
    about: 'what a write changes in the Merkle trees is kept in memory only',
    edits: [
      {
        file: 'src/repair/trees.ts',
        from: 'if (this.#changes.length > 0) {',
        to: 'if (this.#changes.length > 1_000_000) {',
      },
    ],
    foundBy: { seed: 14 },
  },
];

function oldTenure(): Tampering {
  const last = new Map<string, Dot>();
  return {
    minted: (machine, dot) => last.set(machine.id, dot),
    starting: ({ id, medium }) => {
      const dot = last.get(id);
      if (dot === undefined) return;
      medium.set(NODE, utf8('tenure'), number(dot.tenure));
      medium.set(NODE, utf8('clean'), number(1));
    },
  };
}

function forgetsRows(): Tampering {
  const resumed = oldTenure();
  return {
    ...resumed,
    starting: (machine) => {
      resumed.starting?.(machine);
      const { medium } = machine;
      if (!medium.snapshot().tables.has(RECORDS)) return;
      for (const [key] of [...medium.table(RECORDS).rows()]) medium.set(RECORDS, key, undefined);
    },
  };
}

function number(value: number): Uint8Array {
  const writer = new ByteWriter();
  writer.varint(value);
  return writer.finish();
}
