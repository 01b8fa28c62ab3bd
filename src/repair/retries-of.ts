/** What travels beside the state of a row. */

import type { Replica } from '#replica/replica.ts';
import type { RetryRow } from '#replica/retry-codec.ts';
import { recordName } from '#replica/tables.ts';
import type { TreePlace } from './tree-tables.ts';

/** What requests with idempotency keys have become goes along with the state. */
export function retriesOf(
  replica: Pick<Replica, 'retries'>,
  place: TreePlace,
  rowKey: Uint8Array,
): readonly RetryRow[] {
  const { key, ...life } = recordName(rowKey);
  return replica.retries.ofKey({ ...place, ...life }, key);
}
