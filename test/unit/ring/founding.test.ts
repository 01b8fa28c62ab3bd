import { expect, test } from 'vitest';
import { clusterId, nodeId } from '#kernel/identity.ts';
import { shares } from '#ring/balance.ts';
import { clusterIdOf, foundRing } from '#ring/founding.ts';
import { SEED, ringOf, sha256 } from './rings.ts';

const FOUNDERS = [
  { id: 'n2', peer: '127.0.0.1:7202' },
  { id: 'n1', peer: '127.0.0.1:7201' },
  { id: 'n3', peer: '127.0.0.1:7203' },
];

test('the cluster id depends on the list, not on its order', () => {
  // printf 'quoral cluster\nn1=127.0.0.1:7201\nn2=127.0.0.1:7202\nn3=127.0.0.1:7203\n' | sha256sum
  expect(clusterIdOf(FOUNDERS, sha256)).toBe('213bd15f92d58a82f8c80820c44a7b99');
  expect(clusterIdOf(FOUNDERS.toReversed(), sha256)).toBe(clusterIdOf(FOUNDERS, sha256));
  const moved = FOUNDERS.with(0, { id: 'n2', peer: '127.0.0.1:7299' });
  expect(clusterIdOf(moved, sha256)).not.toBe(clusterIdOf(FOUNDERS, sha256));
});

test('a list that names someone twice, or nobody, is refused', () => {
  expect(() => clusterIdOf([], sha256)).toThrow('at least one');
  expect(() => clusterIdOf([...FOUNDERS, { id: 'n1', peer: 'h:1' }], sha256)).toThrow('id n1 stands twice');
  expect(() => clusterIdOf([...FOUNDERS, { id: 'n4', peer: '127.0.0.1:7201' }], sha256)).toThrow('peer 127.0.0.1:7201');
});

test('a founded ring', () => {
  const founders = FOUNDERS.map(({ id, peer }) => {
    return { id: nodeId(id), peer, url: '', zone: '', weight: 1, storageId: null };
  });
  const options = { clusterId: clusterId('ab'.repeat(16)), partitionCount: 64, hashSeed: SEED };
  const ring = foundRing({ ...options, founders });
  expect(ring.members.map((one) => `${one.index} ${one.id} ${one.state}`)).toEqual([
    '0 n1 active',
    '1 n2 active',
    '2 n3 active',
  ]);
  expect(ring.voters).toEqual([0, 1, 2]);
  expect(ring.placements.map((placement) => placement.n)).toEqual([3]);
  expect(ring.placements[0]!.partitions.every((one) => one.changedIn === 1 && one.owners.length === 3)).toBe(true);
  expect(foundRing({ ...options, founders: founders.toReversed() })).toEqual(ring);
  expect(shares(ring).get(ring.members[0]!.index)).toEqual({ partitions: 64, share: 1 / 3 });

  const withWeight = (weight: number) => founders.map((founder) => ({ ...founder, weight }));
  expect(() => foundRing({ ...options, founders, partitionCount: 100 })).toThrow('power of two');
  expect(() => foundRing({ ...options, founders, partitionCount: 32_768 })).toThrow('power of two');
  expect(() => foundRing({ ...options, founders, hashSeed: 'x' })).toThrow('32 hex digits');
  for (const weight of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(() => foundRing({ ...options, founders: withWeight(weight) }), `${weight}`).toThrow('above 0');
  }
});

test('voters are up to seven and spread over zones', () => {
  expect(ringOf(['a']).voters).toEqual([0]);
  expect(ringOf(['a', 'a', 'b', 'b']).voters).toEqual([0, 1, 2, 3]);
  // Twelve of zone a before two of b and one of c: all of the small zones vote.
  const zones = 'a a a a a a a a a a a a b b c'.split(' ');
  const ring = ringOf(zones);
  const voting = ring.members.filter((one) => ring.voters.includes(one.index)).map((one) => one.zone);
  expect(voting.toSorted().join('')).toBe('aaaabbc');
  expect(ring.voters).toEqual(ring.voters.toSorted((a, b) => a - b));
});

test('shares of one table and of all', () => {
  const ring = ringOf(['a', 'a', 'a', 'a']);
  const values = [...shares(ring, 3).values()];
  expect(values.map((one) => one.partitions)).toEqual([192, 192, 192, 192]);
  expect(values.map((one) => one.share)).toEqual([0.25, 0.25, 0.25, 0.25]);
  const doubled = { ...ring, placements: [...ring.placements, { ...ring.placements[0]!, n: 4 }] };
  expect([...shares(doubled).values()].map((one) => one.partitions)).toEqual([384, 384, 384, 384]);
  expect([...shares(ring, 2).values()][0]).toEqual({ partitions: 0, share: 0 });
});
