/** What is read for an exchange is sent with a time from before it was read: tombstones are given up by it. */

import { expect, test } from 'vitest';
import { decodeState } from '#causality/state-codec.ts';
import type { State } from '#causality/state.ts';
import { epoch, nodeId, nodeIndex } from '#kernel/identity.ts';
import { Pages } from '#repair/at-once.ts';
import { exchange, type ExchangeEnvironment } from '#repair/exchange.ts';
import { KeysMessage, LeavesMessage, NodesMessage, PushMessage, type PushRequest } from '#repair/exchange-messages.ts';
import { HASH_BYTES, LEAVES_OF_NODE, NODES } from '#repair/merkle-tree.ts';
import { TreeSource } from '#repair/tree-source.ts';
import { recordName } from '#replica/tables.ts';
import { fromUtf8 } from '#kernel/bytes.ts';
import { TreeStore } from './stores.ts';

function value(counter: number, bytes: number): State {
  const dot = { node: nodeIndex(1), tenure: 5, counter };
  const content = { value: new Uint8Array(bytes), contentType: 't', contentEncoding: '', meta: [] };
  return { vector: [dot], versions: [{ dot, content, expiresAt: 0 }] };
}

function tombstone(counter: number): State {
  return { vector: [{ node: nodeIndex(1), tenure: 5, counter }], versions: [] };
}

test('a value that is deleted while others are on their way is not sent as if it had been read after that', async () => {
  const keys = Array.from({ length: 6 }, (_, i) => `key-${i}`);
  const store = new TreeStore();
  for (const [i, key] of keys.entries()) store.write(key, value(i + 1, 700_000));
  await store.settle();

  let time = 0;
  let deletedAt: number | undefined;
  const pushed: PushRequest[] = [];
  const answers: Record<string, (request: unknown) => unknown> = {
    [NodesMessage.name]: () => new Uint8Array(NODES * HASH_BYTES),
    [LeavesMessage.name]: (request) =>
      new Uint8Array((request as { nodes: unknown[] }).nodes.length * LEAVES_OF_NODE * HASH_BYTES),
    [KeysMessage.name]: () => ({ entries: new Uint8Array(), recent: new Uint8Array(), more: false }),
    [PushMessage.name]: (request) => {
      pushed.push(request as PushRequest);
      return { joined: (request as PushRequest).rows.length, refusals: [] };
    },
  };
  const partitions = Array.from({ length: 8 }, () => ({ owners: [nodeIndex(0)], changedIn: epoch(1) }));
  const common = {
    world: { ...store.world, clock: store.world.clock },
    trees: store.trees,
    knowledge: {
      ring: () => ({ placements: [{ n: 3, partitions }], members: [] }),
      self: () => nodeIndex(0),
      refilling: () => false,
      epoch: () => epoch(1),
    },
    replica: { now: () => ++time, retries: { any: () => false, ofKey: () => [] }, damaged: { list: () => [] } },
    pace: { take: () => Promise.resolve() },
    pages: new Pages(),
  };
  const environment = {
    ...common,
    source: new TreeSource(common as never),
    messaging: {
      call: async (_peer: unknown, { name }: { name: string }, request: unknown) => {
        const reply = answers[name]!(request);
        if (name === PushMessage.name && deletedAt === undefined) {
          deletedAt = ++time;
          for (const [i, key] of keys.entries()) store.write(key, tombstone(i + 101));
          await store.settle();
        }
        return { kind: 'reply', reply };
      },
    },
    callTimeout: 1000,
  } as unknown as ExchangeEnvironment;
  const options = { settle: 0, keysMax: Infinity, direction: 'push' } as const;
  const { pushed: count } = await exchange(environment, nodeId('b'), store.place, options);

  expect(count).toBe(keys.length);
  expect(pushed.length).toBeGreaterThan(1);
  const seen = pushed.flatMap(({ origin, rows }) =>
    rows.map(([rowKey, encoded]) => {
      const live = decodeState(encoded, store.world.digest.crc32).versions.length > 0;
      return { key: fromUtf8(recordName(rowKey).key), stale: live && origin > deletedAt! };
    }),
  );
  expect(seen.filter(({ stale }) => stale)).toEqual([]);
});
