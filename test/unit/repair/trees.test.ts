/** The trees are what the rows say, whatever happens to the process, and their forms on disk do not change by accident. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { State } from '#causality/state.ts';
import { encodeState } from '#causality/state-codec.ts';
import { toHex, utf8 } from '#kernel/bytes.ts';
import { hash64ToHex } from '#kernel/siphash.ts';
import { nodeIndex } from '#kernel/identity.ts';
import { differences, leafOf, MerkleTree } from '#repair/merkle-tree.ts';
import { TreeHash } from '#repair/tree-hash.ts';
import { TreeRebuild } from '#repair/tree-rebuild.ts';
import {
  changesOfRow,
  entryOfKey,
  logRow,
  markRow,
  rangeOfLeaves,
  TREE_KEYS,
  treeKeysKey,
  treeOfRow,
  treeRow,
  TREES,
} from '#repair/tree-tables.ts';
import { recordKey, RECORDS } from '#replica/tables.ts';
import { digest } from '#world/digest.ts';
import { compareBytes } from '#kernel/bytes.ts';
import { TreeStore, SECRET } from './stores.ts';

const PLACE = { n: 3, partition: 7 };
const HASH = new TreeHash(digest, SECRET);

function state(counter: number, live = true): State {
  const dot = { node: nodeIndex(1), tenure: 5, counter };
  const content = { value: utf8('v'), contentType: 't', contentEncoding: '', meta: [] };
  return { vector: [dot], versions: live ? [{ dot, content, expiresAt: 0 }] : [] };
}

test('hashes are these bytes for ever, or their version changes', () => {
  const key = HASH.keyHash(recordKey('carts', 1, utf8('ann')));
  expect(hash64ToHex(key)).toBe('ed18449e0a06255b');
  expect(hash64ToHex(HASH.stateHash(key, state(2 ** 40 + 3)))).toBe('4af9a181d0c6f334');
  expect(HASH.fingerprint.toString(16)).toBe('28f6af37');
});

test('a hash is of versions, not of values or times', () => {
  const key = { high: 1, low: 2 };
  const one = state(9);
  const [version] = one.versions;
  const stripped: State = { ...one, versions: [{ ...version!, content: null, expiresAt: 77 }] };
  expect(HASH.stateHash(key, stripped)).toEqual(HASH.stateHash(key, one));
  expect(HASH.stateHash(key, state(9, false))).not.toEqual(HASH.stateHash(key, one));
  expect(HASH.stateHash(key, state(10))).not.toEqual(HASH.stateHash(key, one));
  expect(new TreeHash(digest, utf8('another secret')).keyHash(utf8('x'))).not.toEqual(HASH.keyHash(utf8('x')));
});

test('what is stored of trees', () => {
  expect(toHex(markRow(0x01020304))).toBe('0101020304');
  const change = { n: 3, partition: 258, leaf: 1023, high: 0xdeadbeef, low: 1 };
  const row = logRow([change], digest.crc32);
  expect(toHex(row)).toBe('03010203ffdeadbeef00000001' + toHex(row.subarray(13)));
  expect(changesOfRow(row, digest.crc32)).toEqual([change]);
  row[4]! ^= 1;
  expect(changesOfRow(row, digest.crc32)).toBeUndefined();
  const key = treeKeysKey(PLACE, { high: 0x01020304, low: 0x05060708 }, utf8('row'));
  expect(toHex(key)).toBe('0300070102030405060708726f77');
  expect(entryOfKey(key)).toEqual({ hash: { high: 0x01020304, low: 0x05060708 }, rowKey: utf8('row') });
  const tree = new MerkleTree();
  tree.change(1023, 7, 8);
  const stored = treeRow(tree, 5, 2 ** 33 + 1, digest.crc32);
  expect(stored.length).toBe(1 + 4 + 8 + 8192 + 4);
  expect(treeOfRow(stored, 5, digest.crc32)).toMatchObject({ asOf: 2 ** 33 + 1 });
  expect(treeOfRow(stored, 5, digest.crc32)?.tree.root()).toEqual({ high: 7, low: 8 });
  expect(treeOfRow(stored, 6, digest.crc32)).toBeUndefined();
});

test('a tree is the xor of its leaves on every level', () => {
  const tree = new MerkleTree();
  const other = new MerkleTree();
  for (let i = 0; i < 5000; i++) tree.change((i * 7919) % 1024, (i * 2654435761) >>> 0, i);
  tree.change(33, 1, 1);
  for (let i = 4999; i >= 0; i--) other.change((i * 7919) % 1024, (i * 2654435761) >>> 0, i);
  expect(differences(tree.nodeBytes(), other.nodeBytes())).toEqual([1]);
  expect(differences(tree.leafBytes(1), other.leafBytes(1))).toEqual([1]);
  other.change(33, 1, 1);
  expect(other.root()).toEqual(tree.root());
  expect(MerkleTree.fromBytes(tree.toBytes()).root()).toEqual(tree.root());
});

test('the leaves of a partition are ranges of the index', () => {
  fc.assert(
    fc.property(fc.nat(0xffffffff), fc.nat(0xffffffff), fc.nat(65_535), (high, low, partition) => {
      const place = { n: 3, partition };
      const leaf = leafOf({ high, low });
      const { from, to } = rangeOfLeaves(place, leaf, leaf + 1);
      const key = treeKeysKey(place, { high, low }, utf8('k'));
      return compareBytes(from!, key) <= 0 && compareBytes(key, to!) < 0;
    }),
  );
});

test('trees equal what the rows say, after any writes, failures, crashes and clean stops', async () => {
  const operation = fc.oneof(
    { weight: 12, arbitrary: fc.record({ kind: fc.constant('write' as const), key: fc.nat(40), live: fc.boolean() }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('remove' as const), key: fc.nat(40) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('forget' as const), key: fc.nat(40) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('refused' as const), key: fc.nat(40) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('full disk' as const), key: fc.nat(40) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('crash' as const) }) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { maxLength: 60 }), async (operations) => {
      const store = new TreeStore();
      let counter = 0;
      for (const one of operations) {
        counter += 1;
        if (one.kind === 'crash') store.crash();
        else if (one.kind === 'write') store.write(`k${one.key}`, state(counter, one.live));
        else if (one.kind === 'remove') store.remove(`k${one.key}`);
        else if (one.kind === 'forget') store.forget(`k${one.key}`);
        else if (one.kind === 'refused') store.write(`k${one.key}`, state(counter), true);
        else await store.writeToFullDisk(`k${one.key}`, state(counter));
        if (counter % 3 === 0) await store.settle();
        store.expectExact();
      }
      await store.settle();
      store.crash();
      store.expectExact();
    }),
    { numRuns: 150 },
  );
});

test('a long log is written out with the groups, and what is on disk then is exact', async () => {
  const store = new TreeStore({ logChangesMax: 50 });
  for (let i = 0; i < 400; i++) {
    store.write(`k${i % 90}`, state(i + 1));
    if (i % 7 === 0) await store.settle();
    if (i % 150 === 149) store.crash();
  }
  await store.settle();
  expect(store.metric('quoral_tree_log_changes')).toBeLessThan(120);
  store.crash();
  store.expectExact();
});

test('trees of another secret, and damaged ones, are built anew while writes go on', async () => {
  for (const harm of ['secret', 'row', 'mark'] as const) {
    const store = new TreeStore();
    for (let i = 0; i < 700; i++) store.write(`k${i}`, state(i + 1));
    await store.settle();
    if (harm === 'row') store.medium.set(TREES, Uint8Array.of(3, 0, 7), utf8('damaged'));
    if (harm === 'mark') store.medium.set(TREES, new Uint8Array(0), undefined);
    store.crash(harm === 'secret' ? utf8('another secret of the cluster') : SECRET);
    expect(store.trees.ready()).toBe(false);
    const rebuild = new TreeRebuild({ world: store.world, trees: store.trees, placeOf: () => store.place });
    rebuild.start();
    for (let i = 0; i < 300; i++) {
      store.write(`k${i * 3}`, state(1000 + i));
      await store.pass(1);
    }
    await store.settle();
    await store.pass(2000);
    expect(store.trees.ready()).toBe(true);
    store.expectExact();
    store.crash(harm === 'secret' ? utf8('another secret of the cluster') : SECRET);
    expect(store.trees.ready()).toBe(true);
    store.expectExact();
  }
});

test('a leaf that has drifted from its rows is found and corrected', async () => {
  const store = new TreeStore();
  store.write('a', state(1));
  await store.settle();
  store.medium.set(RECORDS, recordKey('b', 0, utf8('a')), encodeState(state(2), digest.crc32));
  for (let i = 0; i < 2; i++) {
    store.recheck('a');
    await store.settle();
    expect(store.metric('quoral_tree_drift_total')).toBe(1);
    store.expectExact();
  }
});

test('a row that the index lacks, and an entry without a row, are put right', async () => {
  const store = new TreeStore();
  store.write('a', state(1));
  store.write('b', state(2));
  await store.settle();
  const { disk } = store.world;
  for (const [key] of disk.range(TREE_KEYS, { limit: 1 })) store.medium.set(TREE_KEYS, key, undefined);
  store.medium.set(RECORDS, recordKey('b', 0, utf8('b')), undefined);
  store.recheck('a');
  store.recheck('b');
  await store.settle();
  store.expectExact();
});
