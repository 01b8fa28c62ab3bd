/** Wrong variants of listings, batches and watches. */

import type { Bug } from './bugs.ts';

export const MANY_KEYS_BUGS: readonly Bug[] = [
  {
    name: 'listing-trusts-one-replica',
    about: 'a listing asks one owner of each partition, whatever that one lacks',
    edits: [
      {
        file: 'src/coordinator/list.ts',
        from: 'return Math.min(inChange ? Math.max(r, Math.floor(owners / 2) + 1) : r, owners);',
        to: 'return Math.min(inChange ? 1 : 1, owners);',
      },
    ],
    foundBy: { scenario: 'listings-beside-a-replica-that-is-behind' },
  },
  {
    name: 'listing-shows-the-farthest-page',
    about: 'a page goes as far as the replica that looked farthest, although others have not looked there',
    edits: [
      {
        file: 'src/coordinator/list-merge.ts',
        from: 'compareBytes(page.upTo, upTo) < 0',
        to: 'compareBytes(page.upTo, upTo) > 0',
      },
    ],
    foundBy: { scenario: 'listings-page-by-page' },
  },
];
