/** Rows of earlier lives go, with their leaves in whichever tree they are; the rows of the present life stay. */

import { expect, test } from 'vitest';
import { encodeState } from '#causality/state-codec.ts';
import type { State } from '#causality/state.ts';
import { toHex, utf8 } from '#kernel/bytes.ts';
import { nodeIndex } from '#kernel/identity.ts';
import { treeOfRow } from '#repair/tree-of-row.ts';
import { TREE_TABLES } from '#repair/tree-tables.ts';
import { MerkleTrees } from '#repair/trees.ts';
import { DroppedBuckets, type Life } from '#replica/dropped-buckets.ts';
import { GroupCommit } from '#replica/group-commit.ts';
import { Records } from '#replica/records.ts';
import { recordKey, recordName, RECORDS, REGISTERS, REPLICA_TABLES } from '#replica/tables.ts';
import { hashKey, partitionOf } from '#ring/locate.ts';
import { exampleFacts } from '../consensus/examples.ts';
import { OneMachine } from '../replica/worlds.ts';

const { ring } = exampleFacts(3);

function setup(bytesPerSecond = 1024 ** 3) {
  const machine = new OneMachine([...REPLICA_TABLES, ...TREE_TABLES]);
  const world = machine.boot();
  const trees = new MerkleTrees({ world, secret: utf8('the secret of a test cluster') });
  const records = new Records({ ...world, participants: [trees], damaged: () => undefined });
  const commits = new GroupCommit({
    ...world,
    prologue: () => trees.groupBegins(),
    epilogue: (transaction) => trees.groupEnds(transaction),
    beforeCommit: () => undefined,
    takeBack: () => trees.groupFailed(),
    onFailure: () => undefined,
    ...{ groupSizeMax: 8, queueMax: 10_000, queueBytesMax: 1e9 },
  });
  const lives: Life[] = [];
  const others = { rounds: 0 };
  const dropped = new DroppedBuckets({
    world,
    commits,
    records,
    lives: () => lives,
    others: async () => void (others.rounds += 1),
    placeOf: (transaction, rowKey) => treeOfRow(transaction, trees.hash, ring, rowKey),
    bytesPerSecond,
  });
  const partition = (bucket: string, key: string): number => partitionOf(ring, hashKey(ring, bucket, utf8(key)));
  const write = async (bucket: string, incarnation: number, n: number, key: string, bytes = 10): Promise<void> => {
    const place = { n, partition: partition(bucket, key), bucket, incarnation };
    const after = stateOf(bytes);
    const written = commits.submit({
      run: (transaction) => records.write(transaction, place, utf8(key), undefined, after),
      ...{ bytes: 0, durable: true },
    });
    await machine.simulation.settle(written);
  };
  const stateOf = (bytes: number): { state: State; encoded: Uint8Array } => {
    const dot = { node: nodeIndex(1), tenure: 5, counter: 7 };
    const content = { value: new Uint8Array(bytes), contentType: 't', contentEncoding: '', meta: [] };
    const state: State = { vector: [dot], versions: [{ dot, content, expiresAt: 0 }] };
    return { state, encoded: encodeState(state, world.digest.crc32) };
  };
  const pass = async (milliseconds: number): Promise<void> =>
    machine.simulation.run(machine.simulation.now + milliseconds);
  const rows = (): string[] =>
    world.disk.range(RECORDS, { limit: 10_000 }).map(([rowKey]) => {
      const { bucket, incarnation, key } = recordName(rowKey);
      return `${bucket} ${incarnation} ${new TextDecoder().decode(key)}`;
    });
  return { others, machine, world, trees, dropped, lives, write, pass, rows, partition };
}

test('in whichever tree they are, damaged or not', async () => {
  const { others, world, trees, dropped, lives, write, pass, rows, partition } = setup();
  for (const n of [2, 3]) for (let i = 0; i < 40; i++) await write('b', n - 2, n, `k${i}`);
  await write('b', 2, 3, 'now');
  await write('ba', 0, 3, 'other');
  await write('a', 0, 3, 'other');
  // One that cannot be read, one that no tree has.
  world.disk.commit((transaction) => {
    transaction.put(RECORDS, recordKey('b', 0, utf8('k3')), utf8('damaged'));
    transaction.put(RECORDS, recordKey('b', 1, utf8('stray')), utf8('whatever'));
    for (const life of [1, 2]) transaction.put(REGISTERS, recordKey('b', life, utf8('strong')), utf8('a vote'));
  });
  lives.push({ bucket: 'b', incarnation: 2 });
  dropped.start();
  await pass(1000);
  expect(rows()).toEqual(['a 0 other', 'b 2 now', 'ba 0 other']);
  expect(world.metrics.value('quoral_dropped_rows_total')).toBe(82);
  expect(world.disk.range(REGISTERS, { limit: 10 }).map(([rowKey]) => recordName(rowKey).incarnation)).toEqual([2]);
  expect(others.rounds).toBe(1);
  for (const n of [2, 3]) {
    for (let p = 0; p < ring.partitionCount; p++) {
      const kept = [
        ['b', 'now', recordKey('b', 2, utf8('now'))],
        ['ba', 'other', recordKey('ba', 0, utf8('other'))],
        ['a', 'other', recordKey('a', 0, utf8('other'))],
      ] as const;
      const expected = kept
        .filter(([bucket, key]) => n === 3 && partition(bucket, key) === p)
        .map(([, , rowKey]) => rowKey);
      const indexed = trees.index
        .entries(world.disk, { n, partition: p }, [0, 1024], 100)
        .map(({ rowKey }) => toHex(rowKey));
      expect(new Set(indexed)).toEqual(new Set(expected.map(toHex)));
      const fresh = trees.root({ n, partition: p });
      let [high, low] = [0, 0];
      for (let leaf = 0; leaf < 1024; leaf++) {
        const should = trees.index.leafHash(world.disk, { n, partition: p }, leaf);
        high ^= should.high;
        low ^= should.low;
      }
      expect(fresh).toEqual({ high: high >>> 0, low: low >>> 0 });
    }
  }
});

test('no faster than the setting says, and large rows one by one', async () => {
  const { dropped, lives, write, pass, rows } = setup(100 * 1024);
  for (let i = 0; i < 20; i++) await write('b', 0, 3, `k${i}`, 50 * 1024);
  lives.push({ bucket: 'b', incarnation: 1 });
  dropped.start();
  await pass(2100);
  // A first page of four, then two a second.
  expect(rows().length).toBeGreaterThan(10);
  expect(rows().length).toBeLessThan(17);
  dropped.stop();
  await pass(2000);
  const stopped = rows().length;
  await pass(10_000);
  expect(rows()).toHaveLength(stopped);
  dropped.start();
  await pass(20_000);
  expect(rows()).toEqual([]);
});

test('looks again when the facts change, and finds what came meanwhile', async () => {
  const { dropped, lives, write, pass, rows, world } = setup();
  dropped.start();
  await write('b', 0, 3, 'k');
  await write('c', 0, 3, 'k');
  lives.push({ bucket: 'b', incarnation: 1 });
  dropped.look();
  lives.push({ bucket: 'c', incarnation: 1 });
  dropped.look();
  await pass(100);
  expect(rows()).toEqual([]);
  await write('b', 1, 3, 'k');
  lives.splice(0, 1, { bucket: 'b', incarnation: 2 });
  expect(world.metrics.value('quoral_dropped_buckets_waiting')).toBe(1);
  dropped.look();
  await pass(100);
  expect(rows()).toEqual([]);
  expect(world.metrics.value('quoral_dropped_buckets_waiting')).toBe(0);
});
