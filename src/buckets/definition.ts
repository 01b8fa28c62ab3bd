/**
 * What a bucket's definition says, with every default filled in. A bucket that nobody has defined has exactly the
 * defaults.
 */

import type { DataType } from '#causality/data-type.ts';
import type { Conflicts } from '#causality/state.ts';
import type { Epoch } from '#kernel/identity.ts';
import type { QuorumWord } from '#quorum/words.ts';

export interface BucketProperties {
  /** Replicas of each key, 1-7. */
  readonly n: number;
  readonly r: QuorumWord;
  readonly w: QuorumWord;
  readonly pr: QuorumWord;
  readonly pw: QuorumWord;
  readonly dw: QuorumWord;
  readonly sloppy: boolean;
  /** Of values; data types keep what is concurrent. */
  readonly conflicts: Conflicts;
  readonly consistency: 'eventual' | 'strong';
  readonly type: 'value' | DataType;
  /** Seconds that a value lives, or null for ever. */
  readonly ttl: number | null;
}

export const DEFAULT_PROPERTIES: BucketProperties = {
  n: 3,
  r: 'quorum',
  w: 'quorum',
  pr: 0,
  pw: 0,
  dw: 'quorum',
  sloppy: true,
  conflicts: 'lww',
  consistency: 'eventual',
  type: 'value',
  ttl: null,
};

/**
 * How concurrent versions are settled: as the bucket says where they are values, and by keeping all of them where they are the
 * entries of a data type.
 */
export function settlementOf({ type, conflicts }: BucketProperties): Conflicts {
  return type === 'value' ? conflicts : 'siblings';
}

export interface Bucket {
  readonly name: string;
  readonly incarnation: number;
  /** The epoch that decided the definition; 0 when nobody has defined the bucket. */
  readonly version: Epoch;
  readonly properties: BucketProperties;
  /** Whether requests for its keys are refused, because a fixed property is about to change; only there when it is so. */
  readonly frozen?: true;
}
