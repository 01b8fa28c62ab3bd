import { clusterId, epoch, nodeId, storageId } from '#kernel/identity.ts';
import type { Facts } from '#consensus/facts.ts';
import { foundRing } from '#ring/founding.ts';

/** The first facts of a cluster of `count` nodes n1, n2, … with a small ring. */
export function exampleFacts(count = 3): Facts {
  const founders = Array.from({ length: count }, (_, i) => ({
    id: nodeId(`n${i + 1}`),
    peer: `n${i + 1}.test:1`,
    url: `http://n${i + 1}.test`,
    zone: 'z',
    weight: 1,
    storageId: storageId(String(i + 1).padStart(32, '0')),
  }));
  const ring = foundRing({
    clusterId: clusterId('ab'.repeat(16)),
    founders,
    partitionCount: 2,
    hashSeed: '12'.repeat(16),
  });
  return { epoch: epoch(1), ring, buckets: [], tokens: [] };
}
