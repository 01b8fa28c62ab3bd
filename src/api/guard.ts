/**
 * What a client may do, once it is known who it is (identify.ts). A request is judged before anything of it is looked at that
 * could tell what is there: without a valid token every path gets the same answer, with one that lacks the right the answer
 * names the right and not whether the bucket or the key exists.
 */

import { UNGUARDED, type Access } from '#access/access.ts';
import { decodeBucket } from './key-path.ts';
import { Problem } from './problem.ts';
import { missingOnAll, missingRight } from './rights.ts';
import { methodAt, ROUTES, type Need, type Route } from './routes.ts';
import type { Target } from './raw-path.ts';

/** What the client must be allowed; paths and methods that do not exist are known to holders of tokens only. */
export function needOf(route: Route | undefined, method: string): Need {
  return (route === undefined ? undefined : methodAt(route, method)?.[0]) ?? 'token';
}

/** Why the client may not do it; undefined when it may. */
export function objection(access: Access, need: Need, route: Route, target: Target): Problem | undefined {
  switch (need) {
    case 'open':
    case 'figures':
    case 'token':
      return undefined;
    case 'concern':
    case 'read':
    case 'write':
    case 'admin': {
      if (access === UNGUARDED) return undefined;
      const at = BUCKET_SEGMENTS.get(route.path) ?? -1;
      if (at === -1) return missingOnAll(access, need);
      const bucket = decodeBucket(target.segments[at] ?? '');
      return bucket instanceof Problem ? bucket : missingRight(access, need, bucket);
    }
  }
}

/** Which of a path's segments is the bucket. */
const BUCKET_SEGMENTS: ReadonlyMap<string, number> = new Map(
  ROUTES.map(({ path }) => [path, path.split('/').indexOf(':bucket') - 1] as const).filter(([, at]) => at >= 0),
);
