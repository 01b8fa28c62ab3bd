/**
 * The answer to a client whose token lacks a right: it names the right, and says nothing about what is there.
 */

import type { Access } from '#access/access.ts';
import type { Right } from '#access/scope.ts';
import { Problem } from './problem.ts';

/** The problem of a client that lacks the right on the bucket. */
export function missingRight(access: Access, need: Right | 'concern', bucket: string): Problem | undefined {
  const permitted = need === 'concern' ? access.concerns(bucket) : access.permits(need, bucket);
  if (permitted) return undefined;
  const missing = need === 'concern' ? `any scope on bucket ${bucket}` : `the scope ${need}:${bucket}`;
  return new Problem('forbidden', `token ${access.token} lacks ${missing}`);
}

/** The same of what belongs to no bucket. */
export function missingOnAll(access: Access, need: Right | 'concern'): Problem | undefined {
  if (need !== 'concern' && access.permitsAll(need)) return undefined;
  return new Problem('forbidden', `token ${access.token} lacks the scope ${need}:*`);
}
