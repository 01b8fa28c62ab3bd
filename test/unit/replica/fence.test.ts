import { expect, test } from 'vitest';
import { clusterId, epoch, nodeId, storageId, type Epoch, type NodeIndex } from '#kernel/identity.ts';
import { fence, type KnownBucket, type Knowledge, type Scope } from '#replica/scope.ts';
import { foundRing } from '#ring/founding.ts';
import { ownersOf } from '#ring/preference-list.ts';
import type { Ring } from '#ring/ring.ts';
import { Refusal } from '#wire/message.ts';

const RING = foundRing({
  clusterId: clusterId('0'.repeat(32)),
  founders: ['a', 'b', 'c', 'd'].map((id, i) => ({
    id: nodeId(id),
    peer: `${id}:1`,
    url: '',
    zone: 'z',
    weight: 1,
    storageId: storageId(String(i).repeat(32)),
  })),
  partitionCount: 8,
  hashSeed: '0'.repeat(32),
});
const BUCKET: KnownBucket = { n: 3, incarnation: 0, version: epoch(4), conflicts: 'lww' };
const { owners } = ownersOf(RING, 3, 0);

function knowledge(
  changes: { epoch?: Epoch; ring?: Ring; self?: NodeIndex; bucket?: Partial<KnownBucket> } = {},
): Knowledge {
  return {
    epoch: () => changes.epoch ?? epoch(6),
    ring: () => changes.ring ?? RING,
    self: () => changes.self ?? owners[0]!,
    bucket: () => ({ ...BUCKET, ...changes.bucket }),
    refilling: () => false,
    catchUp: () => Promise.resolve(false),
  };
}

function scope(changes: Partial<Scope> = {}): Scope {
  return { epoch: epoch(6), n: 3, partition: 0, bucket: 'b', incarnation: 0, definition: epoch(4), ...changes };
}

function refusal(asked: Scope, known: Knowledge): { code: string; value: number } {
  try {
    fence(asked, known);
  } catch (error) {
    expect(error).toBeInstanceOf(Refusal);
    return { code: (error as Refusal).code, value: (error as Refusal).value };
  }
  throw new Error('the fence let it pass');
}

test('a request that relies on what this node knows passes, also one of an older epoch that changed nothing here', () => {
  expect(fence(scope(), knowledge())).toEqual(BUCKET);
  expect(fence(scope({ epoch: epoch(5) }), knowledge())).toEqual(BUCKET);
});

test('a request that relies on more than this node knows does not', () => {
  expect(refusal(scope({ epoch: epoch(7) }), knowledge())).toEqual({ code: 'behind', value: 6 });
});

test('a request from before the last change of the owners is stale', () => {
  const placements = RING.placements.map((placement) => ({
    ...placement,
    partitions: placement.partitions.map((partition, i) =>
      i === 0 ? { ...partition, changedIn: epoch(6) } : partition,
    ),
  }));
  const ring = { ...RING, placements };
  expect(refusal(scope({ epoch: epoch(5) }), knowledge({ ring }))).toEqual({ code: 'stale-epoch', value: 6 });
  expect(
    fence(scope({ epoch: epoch(5), partition: 1 }), knowledge({ ring, self: ownersOf(ring, 3, 1).owners[0]! })),
  ).toEqual(BUCKET);
});

test('a request by an older definition, of another life or another n is stale', () => {
  expect(refusal(scope({ definition: epoch(3) }), knowledge()).code).toBe('stale-epoch');
  expect(refusal(scope({ incarnation: 1 }), knowledge()).code).toBe('stale-epoch');
  expect(refusal(scope(), knowledge({ bucket: { incarnation: 1 } })).code).toBe('stale-epoch');
  expect(refusal(scope(), knowledge({ bucket: { n: 2 } })).code).toBe('stale-epoch');
});

test('who is no owner, or knows no such owner list, says so', () => {
  const stranger = RING.members.find(({ index }) => !owners.includes(index))!.index;
  expect(refusal(scope(), knowledge({ self: stranger })).code).toBe('not-owner');
  expect(refusal(scope({ n: 5 }), knowledge()).code).toBe('not-owner');
  expect(refusal(scope({ partition: 8 }), knowledge()).code).toBe('not-owner');
});
