/**
 * In which tree a row is, for those who do not know with which n it was written: the index of the trees does.
 */

import { recordName } from '#replica/tables.ts';
import { hashKey, partitionOf } from '#ring/locate.ts';
import { REPLICAS_MAX, type Ring } from '#ring/ring.ts';
import type { DiskReader } from '#world/world.ts';
import type { TreeHash } from './tree-hash.ts';
import { TREE_KEYS, treeKeysKey, type TreePlace } from './tree-tables.ts';

/** Undefined when it is in none. */
export function treeOfRow(
  reader: Pick<DiskReader, 'get'>,
  hash: TreeHash,
  ring: Ring,
  rowKey: Uint8Array,
): TreePlace | undefined {
  const { bucket, key } = recordName(rowKey);
  const partition = partitionOf(ring, hashKey(ring, bucket, key));
  const keyHash = hash.keyHash(rowKey);
  for (let n = 1; n <= REPLICAS_MAX; n++) {
    const place = { n, partition };
    if (reader.get(TREE_KEYS, treeKeysKey(place, keyHash, rowKey)) !== undefined) return place;
  }
  return undefined;
}
