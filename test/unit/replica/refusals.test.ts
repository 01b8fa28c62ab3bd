/** What a peer is told when the disk did not take a write. */

import { expect, test } from 'vitest';
import { asRefusal } from '#replica/refusals.ts';
import { DiskError, type DiskFailureKind } from '#world/world.ts';

test.each<[DiskFailureKind, boolean, string]>([
  ['busy', false, 'overloaded'],
  ['full', false, 'disk-full'],
  ['failed', false, 'disk-failed'],
  ['corrupt', false, 'disk-failed'],
  ['failed', true, 'disk-uncertain'],
])('of a disk that is %s (uncertain: %s) it is %s', (kind, uncertain, code) => {
  expect(asRefusal(new DiskError(kind, 'why', uncertain))).toMatchObject({ code, message: 'why' });
});
