import fc from 'fast-check';
import { createHash } from 'node:crypto';
import { nodeId, nodeIndex } from '#kernel/identity.ts';
import { clusterIdOf, foundRing } from '#ring/founding.ts';
import type { Member, Ring } from '#ring/ring.ts';

export const SEED = '000102030405060708090a0b0c0d0e0f';

export function sha256(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(bytes).digest());
}

export function member(index: number, overrides: Partial<Member> = {}): Member {
  return {
    index: nodeIndex(index),
    id: nodeId(`n${index}`),
    storageId: null,
    peer: `127.0.0.1:${7200 + index}`,
    url: '',
    zone: 'z1',
    weight: 1,
    state: 'active',
    ...overrides,
  };
}

/** A founded ring with one node per given zone: n1, n2, … */
export function ringOf(zones: readonly string[], partitionCount = 256): Ring {
  const founders = zones.map((zone, i) => {
    const port = 7201 + i;
    return { id: nodeId(`n${i + 1}`), peer: `127.0.0.1:${port}`, url: '', zone, weight: 1, storageId: null };
  });
  return foundRing({ clusterId: clusterIdOf(founders, sha256), founders, partitionCount, hashSeed: SEED });
}

/** 1-12 active members in up to 5 zones with weights 1-4. */
export const anyMembers: fc.Arbitrary<Member[]> = fc
  .array(fc.record({ zone: fc.integer({ min: 1, max: 5 }), weight: fc.constantFrom(1, 1, 1, 2, 3, 4, 0.5) }), {
    minLength: 1,
    maxLength: 12,
  })
  .map((rows) => rows.map(({ zone, weight }, i) => member(i, { zone: `z${zone}`, weight })));
