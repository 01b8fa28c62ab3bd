/** The log of changes: what is told, in which order, when it may be shown, and what is let go of. */

import { expect, test } from 'vitest';
import { decodeGlimpse } from '#causality/glimpse.ts';
import { encodeState } from '#causality/state-codec.ts';
import { EMPTY_STATE, type State } from '#causality/state.ts';
import { fromUtf8, toHex, utf8 } from '#kernel/bytes.ts';
import { Changes, CHANGES, CHANGES_TABLES, logBoot } from '#replica/changes.ts';
import { GroupCommit } from '#replica/group-commit.ts';
import { Records } from '#replica/records.ts';
import { recordPrefix, REPLICA_TABLES } from '#replica/tables.ts';
import { dot, stateOf } from '../causality/examples.ts';
import { OneMachine, type OneProcess } from './worlds.ts';

const PLACE = { n: 3, partition: 7, bucket: 'b', incarnation: 0 };
const PREFIX = recordPrefix('b', 0);

class Store {
  readonly machine = new OneMachine([...REPLICA_TABLES, ...CHANGES_TABLES]);
  readonly limits: { readonly logBytesMax: number; readonly logAgeMax: number };
  world: OneProcess;
  changes: Changes;
  boot = 1;
  /** Whether this node serves: not while its clock is in doubt, for one thing. */
  ready = true;
  #records: Records;
  #commits: GroupCommit;

  constructor(limits = { logBytesMax: 1_000_000, logAgeMax: 3_600_000 }) {
    this.limits = limits;
    this.world = this.machine.boot();
    ({ changes: this.changes, records: this.#records, commits: this.#commits } = this.#open());
  }

  /** `unlogged` boots of a program that keeps no log come before it. */
  reboot(unlogged = 0): void {
    this.boot += 1 + unlogged;
    this.machine.host.kill();
    this.world = this.machine.boot();
    ({ changes: this.changes, records: this.#records, commits: this.#commits } = this.#open());
  }

  /** Each entry is a key and its state; all in one group. */
  async write(entries: readonly (readonly [key: string, state: State, before?: State])[], bucket = 'b'): Promise<void> {
    const all = entries.map(([key, state, before]) =>
      this.#commits.submit({
        run: (transaction) => {
          const after = { state, encoded: encodeState(state, this.world.digest.crc32) };
          this.#records.write(transaction, { ...PLACE, bucket }, utf8(key), before, after);
          if (key.startsWith('refused')) throw new Error('refused after it was written');
        },
        bytes: 0,
        durable: true,
      }),
    );
    await this.machine.simulation.settle(Promise.allSettled(all));
  }

  read(after: number, limit = 1000): readonly string[] {
    return this.changes
      .read(this.world.disk, after, PREFIX, limit)
      .changes.map(({ group, rowKey }) => `${group} ${fromUtf8(rowKey.subarray(PREFIX.length))}`);
  }

  #open() {
    this.world.disk.commit((transaction) => logBoot(transaction, this.limits, this.boot, this.world.clock.wall()));
    const changes = new Changes(this.world, this.limits, this.boot, () => this.ready);
    const records = new Records({ ...this.world, participants: [changes], damaged: () => undefined });
    const commits = new GroupCommit({
      ...this.world,
      prologue: () => changes.groupBegins(),
      epilogue: (transaction) => changes.groupEnds(transaction),
      beforeCommit: () => undefined,
      onSynced: () => changes.groupSynced(),
      takeBack: () => changes.groupFailed(),
      onFailure: () => undefined,
      groupSizeMax: 128,
      queueMax: 8192,
      queueBytesMax: 1e9,
    });
    return { changes, records, commits };
  }
}

const one = (counter: number): State => stateOf([dot(1, counter)], [dot(1, counter)]);

test('a group is one row; its changes come in order, of one bucket only, and what failed alone is not among them', async () => {
  const store = new Store();
  await store.write([
    ['a', one(1)],
    ['refused', one(1)],
    ['b', one(2)],
  ]);
  await store.write([['x', one(3)]], 'other');
  await store.write([['a', one(4), one(1)]]);
  expect(store.read(0)).toEqual(['2 a', '2 b', '4 a']);
  expect(store.read(2)).toEqual(['4 a']);
  // The first is that of the boot.
  expect(store.world.disk.range(CHANGES, { limit: 10 }).length).toBe(4);
});

test('golden bytes of a row', async () => {
  const store = new Store();
  await store.write([['a', one(9)]]);
  const rows = store.world.disk.range(CHANGES, { limit: 2 });
  // Without the six bytes of the time. The first is that of the boot.
  expect(rows.map(([key, row]) => [toHex(key), toHex(row.subarray(0, 4)), toHex(row.subarray(10))]))
    .toMatchInlineSnapshot(`
      [
        [
          "0000000000000001",
          "01010100",
          "00",
        ],
        [
          "0000000000000002",
          "0101010b",
          "01076200000000006109820101010901000901",
        ],
      ]
    `);
  const { changes } = store.changes.read(store.world.disk, 0, PREFIX, 10);
  expect(decodeGlimpse(changes[0]!.glimpse).vector).toEqual([dot(1, 9)]);
});

test('what shows a reader nothing new is not logged: a vector that grows, a tombstone that is given up', async () => {
  const store = new Store();
  const dead: State = { vector: [dot(1, 5)], versions: [] };
  await store.write([['a', one(1)]]);
  await store.write([['a', dead, one(1)]]);
  await store.write([['a', { vector: [dot(1, 5), dot(2, 6)], versions: [] }, dead]]);
  await store.write([['a', EMPTY_STATE, dead]]);
  expect(store.read(0)).toEqual(['2 a', '3 a']);
});

test('after a restart the numbers go on, and what was synced is still there', async () => {
  const store = new Store();
  await store.write([['a', one(1)]]);
  await store.write([['b', one(2)]]);
  store.reboot();
  expect([store.changes.synced, store.read(0)]).toEqual([4, ['2 a', '3 b']]);
  await store.write([['c', one(3)]]);
  expect(store.read(2)).toEqual(['3 b', '5 c']);
});

test('what was changed in a boot that logged nothing is missing, so nobody may go on from before it', async () => {
  const store = new Store();
  await store.write([['a', one(1)]]);
  store.reboot();
  expect([store.changes.synced, store.changes.reaches(1)]).toEqual([3, true]);
  await store.write([['b', one(2)]]);
  store.reboot(1);
  expect([1, 2, 3, 4].map((group) => store.changes.reaches(group))).toEqual([false, false, false, false]);
  const from = store.changes.synced;
  await store.write([['c', one(3)]]);
  expect([store.changes.reaches(from), store.read(from)]).toEqual([true, ['7 c']]);
  expect(store.changes.before(store.world.disk, 0)).toBeUndefined();
  store.reboot();
  expect([1, 4, from].map((group) => store.changes.reaches(group))).toEqual([false, false, true]);
});

test('boots that were killed before they committed anything have changed nothing: whoever was shown something goes on', async () => {
  const store = new Store();
  await store.write([['a', one(1)]]);
  const shown = store.changes.synced;
  for (let boots = 0; boots < 3; boots++) store.reboot();
  expect(store.changes.reaches(shown)).toBe(true);
  await store.write([['b', one(2)]]);
  expect(store.read(shown).map((entry) => entry.split(' ')[1])).toEqual(['b']);
});

test('a commit that fails leaves no gap and no change', async () => {
  const store = new Store();
  await store.write([['a', one(1)]]);
  store.machine.medium.capacityBytes = 1;
  await store.write([['b', one(2)]]);
  store.machine.medium.capacityBytes = Number.POSITIVE_INFINITY;
  await store.write([['c', one(3)]]);
  expect(store.read(0)).toEqual(['2 a', '3 c']);
});

test('the oldest go when the log is too long or too old, and whoever wants them is told', async () => {
  const store = new Store({ logBytesMax: 1000, logAgeMax: 60_000 });
  for (let i = 1; i <= 100; i++) await store.write([[`k${i}`, one(i)]]);
  expect(store.changes.reaches(0)).toBe(false);
  expect(store.changes.reaches(90)).toBe(true);
  expect(store.changes.reaches(101)).toBe(true);
  expect(store.changes.reaches(102)).toBe(false);
  const kept = store.world.disk.range(CHANGES, { limit: 1000 });
  expect(kept.reduce((sum, [, row]) => sum + row.length, 0)).toBeLessThan(1200);
  await store.machine.simulation.run(store.machine.simulation.now + 120_000);
  await store.write([['new', one(200)]]);
  expect(store.world.disk.range(CHANGES, { limit: 1000 }).length).toBe(1);
  store.reboot();
  expect(store.changes.reaches(100)).toBe(false);
  expect(store.read(101)).toEqual(['102 new']);
});

test('nothing goes for its age while this node does not serve, for its clock may have jumped', async () => {
  const store = new Store({ logBytesMax: 1_000_000, logAgeMax: 60_000 });
  await store.write([['k1', one(1)]]);
  await store.machine.simulation.run(store.machine.simulation.now + 120_000);
  store.ready = false;
  await store.write([['k2', one(2)]]);
  expect(store.read(0)).toEqual(['2 k1', '3 k2']);
  store.ready = true;
  await store.machine.simulation.run(store.machine.simulation.now + 20_000);
  await store.write([['k3', one(3)]]);
  expect(store.read(2)).toEqual(['3 k2', '4 k3']);
  expect(store.changes.reaches(0)).toBe(false);
});

test('a time leads to the group before it; a time that the log does not reach leads nowhere', async () => {
  const store = new Store({ logBytesMax: 600, logAgeMax: 3_600_000 });
  const times: number[] = [];
  for (let i = 1; i <= 5; i++) {
    await store.machine.simulation.run(store.machine.simulation.now + 1000);
    times.push(store.world.clock.wall());
    await store.write([[`k${i}`, one(i)]]);
  }
  expect(times.map((time) => store.changes.before(store.world.disk, time))).toEqual([1, 2, 3, 4, 5]);
  expect(store.changes.before(store.world.disk, times[4]! + 60_000)).toBe(6);
  for (let i = 6; i <= 60; i++) await store.write([[`k${i}`, one(i)]]);
  expect(store.changes.before(store.world.disk, times[0]!)).toBeUndefined();
});
