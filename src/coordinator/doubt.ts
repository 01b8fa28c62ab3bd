/** What may be said of a change of a strong key that more than one proposer was given. Pure. */

import type { Proposed } from './register-proposer.ts';
import type { ChangeResult } from './register-value.ts';

export type Failure = Extract<Proposed, { readonly kind: 'failed' }>;

/** Refusals that hold for the moment of the answer only: what is refused now may be made a moment later. */
const FOR_NOW: ReadonlySet<ChangeResult['kind']> = new Set([
  'precondition-failed',
  'unfitting',
  'too-many-keys',
  'held',
]);

/**
 * What one proposer does not know of does not undo the doubt about an earlier one: that may still be about to make the
 * change, and find that what stood against it here is gone.
 */
export function withDoubt(proposed: Proposed, triedAt: number): Proposed {
  if (triedAt === 0) return proposed;
  // Whoever is told that he was turned away takes that for "nothing was done".
  if (proposed.kind === 'failed')
    return { ...proposed, reason: proposed.reason === 'overloaded' ? 'unavailable' : proposed.reason, mayBeMade: true };
  if (!FOR_NOW.has(proposed.result.kind)) return proposed;
  return unavailable('an owner that was given the change before has not answered, and may still make it', true);
}

export function unavailable(detail: string, mayBeMade: boolean): Failure {
  return { kind: 'failed', reason: 'unavailable', detail, mayBeMade };
}
