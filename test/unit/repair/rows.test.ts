/** Rows that are taken over unseen: every row of the leaves that were asked for, once, however the pages fall. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { State } from '#causality/state.ts';
import { encodeState } from '#causality/state-codec.ts';
import { toHex, utf8 } from '#kernel/bytes.ts';
import { epoch, nodeIndex } from '#kernel/identity.ts';
import type { Hash64 } from '#kernel/siphash.ts';
import { RowsMessage, type RowsReply } from '#repair/exchange-messages.ts';
import { leafOf, LEAVES, rangesOf } from '#repair/merkle-tree.ts';
import { TreeSource, type TreeSourceOptions } from '#repair/tree-source.ts';
import { recordName } from '#replica/tables.ts';
import { encode } from '#wire/codec.ts';
import { digest } from '#world/digest.ts';
import { TreeStore } from './stores.ts';

function state(counter: number, bytes: number): State {
  const dot = { node: nodeIndex(1), tenure: 5, counter };
  const content = { value: new Uint8Array(bytes), contentType: 't', contentEncoding: '', meta: [] };
  return { vector: [dot], versions: [{ dot, content, expiresAt: 0 }] };
}

function sourceOf(store: TreeStore): TreeSource {
  const partitions = Array.from({ length: 8 }, () => ({ owners: [nodeIndex(0)], changedIn: epoch(1) }));
  const ring = { placements: [{ n: 3, partitions }], members: [] };
  return new TreeSource({
    world: store.world,
    trees: store.trees,
    knowledge: { ring: () => ring, self: () => nodeIndex(0), refilling: () => false },
    replica: { retries: { any: () => false }, damaged: { list: () => [] } },
  } as unknown as TreeSourceOptions);
}

async function filled(keys: number, bytes: (i: number) => number): Promise<TreeStore> {
  const store = new TreeStore();
  for (let i = 0; i < keys; i++) store.write(`key-${i}`, state(i + 1, bytes(i)));
  await store.settle();
  return store;
}

function allOf(source: TreeSource, store: TreeStore, leaves: readonly number[]): { names: string[]; pages: number } {
  const names: string[] = [];
  let after: Hash64 | undefined;
  for (let pages = 1; ; pages++) {
    const { rows, last }: RowsReply = source.rows({ place: store.place, leaves, after });
    names.push(...rows.map(([rowKey]) => new TextDecoder().decode(recordName(rowKey).key)));
    if (last === undefined) return { names, pages };
    after = last;
  }
}

test('page after page, each row of the leaves once', async () => {
  const store = await filled(700, () => 10);
  const source = sourceOf(store);
  const all = allOf(
    source,
    store,
    Array.from({ length: LEAVES }, (_, leaf) => leaf),
  );
  expect(all.names.toSorted()).toEqual(Array.from({ length: 700 }, (_, i) => `key-${i}`).toSorted());
  expect(all.pages).toBe(6);
  const leafOfName = (name: string): number =>
    leafOf(
      store.trees.index
        .entries(store.world.disk, store.place, [0, LEAVES], 1000)
        .find(({ rowKey }) => new TextDecoder().decode(recordName(rowKey).key) === name)!.hash,
    );
  const leaves = [...new Set(['key-1', 'key-2', 'key-3', 'key-4'].map(leafOfName))].toSorted((a, b) => a - b);
  const some = allOf(source, store, leaves);
  expect(new Set(some.names.map(leafOfName))).toEqual(new Set(leaves));
});

test('a page ends where it gets large, with one state at the least', async () => {
  const store = await filled(12, (i) => (i % 3 === 0 ? 300_000 : 50_000));
  const { names, pages } = allOf(
    sourceOf(store),
    store,
    Array.from({ length: LEAVES }, (_, leaf) => leaf),
  );
  expect(new Set(names).size).toBe(12);
  expect(names).toHaveLength(12);
  expect(pages).toBeGreaterThanOrEqual(4);
});

test('ranges hold all leaves that were asked for, and otherwise only empty ones', () => {
  const subset = fc.uniqueArray(fc.integer({ min: 0, max: 40 })).map((list) => list.toSorted((a, b) => a - b));
  fc.assert(
    fc.property(subset, subset, (leaves, taken) => {
      const isEmpty = (leaf: number): boolean => !taken.includes(leaf);
      const ranges = rangesOf(leaves, isEmpty);
      const covered = ranges.flatMap(([first, end]) => Array.from({ length: end - first }, (_, i) => first + i));
      expect(covered).toEqual(covered.toSorted((a, b) => a - b));
      expect(new Set(covered).size).toBe(covered.length);
      for (const leaf of leaves) expect(covered).toContain(leaf);
      for (const leaf of covered) expect(leaves.includes(leaf) || isEmpty(leaf)).toBe(true);
      // Between two ranges there is something that was not asked for.
      for (const [i, [first]] of ranges.entries()) {
        if (i === 0) continue;
        const end = ranges[i - 1]![1];
        expect(Array.from({ length: first - end }, (_, at) => end + at).some((leaf) => !isEmpty(leaf))).toBe(true);
      }
    }),
  );
});

test('these bytes travel', () => {
  const basis = { fingerprint: 7, epoch: 9 };
  const request = { basis, place: { n: 3, partition: 5 }, leaves: [1, 1023], after: { high: 2, low: 3 }, vouch: true };
  expect(toHex(encode(RowsMessage.encodeRequest(request)))).toMatchInlineSnapshot(`"959207099203059201cd03ff920203c3"`);
  expect(RowsMessage.decodeRequest(RowsMessage.encodeRequest(request))).toEqual(request);
  const reply: RowsReply = {
    rows: [[utf8('k'), encodeState(state(1, 1), digest.crc32), []]],
    last: { high: 1, low: 2 },
  };
  expect(toHex(encode(RowsMessage.encodeReply(reply)))).toMatchInlineSnapshot(
    `"929193c4016bc4170101010501019795ffef00010001740000010063234f3490920102"`,
  );
  expect(RowsMessage.decodeReply(RowsMessage.encodeReply(reply))).toEqual(reply);
  expect(RowsMessage.decodeReply(RowsMessage.encodeReply({ rows: [], last: undefined })).last).toBeUndefined();
  expect(() => RowsMessage.decodeRequest([[7, 9], [3, 5], [1024], null, true])).toThrow('leaf');
});
