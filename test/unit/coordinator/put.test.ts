/** What becomes of a state that an owner refused because it knows a newer epoch than the coordinator. */

import { expect, test } from 'vitest';
import { DEFAULT_PROPERTIES, type Bucket } from '#buckets/definition.ts';
import { DEFAULT_COORDINATOR_SETTINGS, type Environment } from '#coordinator/environment.ts';
import { writeHere } from '#coordinator/put.ts';
import type { WriteOutcome, WriteRequest } from '#coordinator/requests.ts';
import { utf8 } from '#kernel/bytes.ts';
import { clusterId, epoch, nodeId, nodeIndex, storageId, type Epoch } from '#kernel/identity.ts';
import type { StoreRequest } from '#replica/messages.ts';
import { STALE } from '#replica/scope.ts';
import { foundRing } from '#ring/founding.ts';
import { hashKey, partitionOf } from '#ring/locate.ts';
import type { Member } from '#ring/ring.ts';
import type { CallResult } from '#wire/messaging.ts';
import { OneMachine } from '../replica/worlds.ts';

const SELF = nodeId('n1');
const RING = foundRing({
  clusterId: clusterId('0'.repeat(32)),
  founders: ['n1', 'n2', 'n3'].map((id, i) => ({
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
const BEFORE: Bucket = { name: 'b', incarnation: 0, version: epoch(0), properties: DEFAULT_PROPERTIES };

interface Played {
  readonly outcome: WriteOutcome;
  /** The epochs that the states offered to n2 relied on. */
  readonly offers: readonly Epoch[];
  /** Everybody who was given anything. */
  readonly asked: ReadonlySet<string>;
}

/**
 * n2 refuses as long as it is offered less than epoch 2; n3 never answers, or refuses likewise; learning brings the bucket `after` and
 * the ring `newer`.
 */
async function play(after: Bucket, newer = RING, silent = true): Promise<Played> {
  const machine = new OneMachine();
  const { clock, digest, log, metrics } = machine.boot();
  let [known, bucket] = [epoch(1), BEFORE];
  const offers: Epoch[] = [];
  const asked = new Set<string>();
  const dot = { node: nodeIndex(0), tenure: 1, counter: 1 };
  const minted = { state: { vector: [], versions: [] }, encoded: utf8('state'), dot, retry: null };
  const environment = {
    world: { clock, digest, log, metrics },
    self: SELF,
    settings: DEFAULT_COORDINATOR_SETTINGS,
    replica: {
      now: () => 1,
      mint: (_request: unknown, send: (state: typeof minted) => boolean) => {
        expect(send(minted)).toBe(true);
        return Promise.resolve(minted);
      },
    },
    peers: {
      isSlow: () => false,
      isGathering: () => false,
      consider: () => 'usable',
      asked: () => undefined,
      assess: () => 'usable',
      usable: () => true,
    },
    hints: { note: () => Promise.resolve() },
    hedging: { standInAfter: () => 150 },
    messaging: {
      call: (to: string, _type: unknown, { scope }: StoreRequest): Promise<CallResult<{ durable: boolean }>> => {
        asked.add(to);
        if (to === 'n3' && silent) return Promise.resolve({ kind: 'lost', reason: 'timeout' });
        if (to === 'n4') return Promise.resolve({ kind: 'reply', reply: { durable: true } });
        offers.push(scope.epoch);
        if (scope.epoch < 2) return Promise.resolve({ kind: 'refused', code: STALE, detail: '', value: 2 });
        return Promise.resolve({ kind: 'reply', reply: { durable: true } });
      },
    },
    knowledge: {
      epoch: () => known,
      ring: () => (known > 1 ? newer : RING),
      self: () => nodeIndex(0),
      catchUp: (atLeast: Epoch) => {
        [known, bucket] = [atLeast, after];
        return Promise.resolve(true);
      },
    },
    resolveBucket: () => bucket,
  } as unknown as Environment;
  const request: WriteRequest = {
    requestId: 'r',
    bucket: BEFORE,
    key: utf8('k'),
    deadline: 1000,
    content: { value: utf8('v'), contentType: 'a/b', contentEncoding: '', meta: [] },
    context: null,
    ttl: 0,
    ...{ r: 2, pr: 0, w: 2, pw: 0, dw: 2 },
    sloppy: true,
    returnBody: false,
    conditions: null,
    mark: null,
  };
  return { outcome: await machine.simulation.settle(writeHere(environment, request)), offers, asked };
}

test('it is offered again under the newer epoch when the key still lives there under the same rules', async () => {
  const { outcome, offers } = await play({ ...BEFORE, version: epoch(2) });
  expect(offers).toEqual([1, 2]);
  expect(outcome).toMatchObject({ kind: 'applied', agreement: { acked: 2 } });
});

test('it is not when the bucket was given other rules meanwhile; that it may surface is told', async () => {
  for (const properties of [{ n: 2 }, { n: 1 }, { conflicts: 'siblings' }] as const) {
    const { outcome, offers } = await play({
      ...BEFORE,
      version: epoch(2),
      properties: { ...DEFAULT_PROPERTIES, ...properties },
    });
    expect(offers, JSON.stringify(properties)).toEqual([1]);
    expect(outcome).toMatchObject({ kind: 'unknown', trouble: 'quorum-timeout', agreement: { acked: 1 } });
  }
  const { offers } = await play({ ...BEFORE, version: epoch(2), incarnation: 1 });
  expect(offers).toEqual([1]);
});

test('an owner that is none any more by a newer ring does not stand in for itself, and a new one gets the write', async () => {
  const n4: Member = {
    ...RING.members[2]!,
    id: nodeId('n4'),
    index: nodeIndex(3),
    storageId: storageId('4'.repeat(32)),
  };
  const owners = [0, 2, 3].map(nodeIndex);
  const partitions = RING.placements[0]!.partitions.map(({ owners: before }, p) => ({
    // n2 owns something still, so it is a fallback elsewhere.
    ...{ owners: p === partitionOf(RING, hashKey(RING, 'b', utf8('k'))) ? owners : before, changedIn: epoch(2) },
  }));
  const { outcome, asked } = await play(
    { ...BEFORE, version: epoch(2) },
    { ...RING, members: [...RING.members, n4], placements: [{ n: 3, partitions }] },
  );
  expect(outcome).toMatchObject({ kind: 'applied', agreement: { acked: 2 } });
  expect(asked).toEqual(new Set(['n2', 'n3', 'n4']));
});

test('old owners that are none any more and refuse stand in nobody’s way when the new owners have the write', async () => {
  const partitions = RING.placements[0]!.partitions.map(() => ({ owners: [nodeIndex(0)], changedIn: epoch(2) }));
  const alone = { ...RING, placements: [{ n: 3, partitions }] };
  const { outcome, asked } = await play({ ...BEFORE, version: epoch(2) }, alone, false);
  expect(outcome).toMatchObject({ kind: 'applied', agreement: { acked: 1 } });
  expect(asked).toEqual(new Set(['n2', 'n3']));
  // With n2, which refuses, and this node, which has it, two of three are enough for w=2.
  const { outcome: withOneSilent } = await play({ ...BEFORE, version: epoch(2) }, alone);
  expect(withOneSilent).toMatchObject({ kind: 'applied', agreement: { acked: 1 } });
});

test('what refused was only the sender, which is a member no more: nothing is known of other readers', async () => {
  const partitions = RING.placements[0]!.partitions.map(() => ({ owners: [nodeIndex(0)], changedIn: epoch(2) }));
  const members = RING.members.map((one) => (one.id === SELF ? { ...one, state: 'removed' as const } : one));
  const { outcome } = await play(
    { ...BEFORE, version: epoch(2) },
    { ...RING, members, placements: [{ n: 3, partitions }] },
    false,
  );
  expect(outcome.kind).toBe('unknown');
});
