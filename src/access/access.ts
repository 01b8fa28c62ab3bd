/**
 * What one client may do: made once for each token, asked for every request.
 */

import { covers, coversAll, RIGHTS, type Right, type Scope } from './scope.ts';

export interface Access {
  /** The token's name; undefined when none was asked for. */
  readonly token: string | undefined;
  permits(right: Right, bucket: string): boolean;
  /** The right on all buckets and on what belongs to none. */
  permitsAll(right: Right): boolean;
  /** Whether there is anything that it may do with the bucket. */
  concerns(bucket: string): boolean;
}

/** Of everybody where no tokens are asked for. */
export const UNGUARDED: Access = {
  token: undefined,
  permits: () => true,
  permitsAll: () => true,
  concerns: () => true,
};

export function accessOf(token: string, scopes: readonly Scope[]): Access {
  const permits = (right: Right, bucket: string): boolean => scopes.some((scope) => covers(scope, right, bucket));
  return {
    token,
    permits,
    permitsAll: (right) => scopes.some((scope) => coversAll(scope, right)),
    concerns: (bucket) => RIGHTS.some((right) => permits(right, bucket)),
  };
}
