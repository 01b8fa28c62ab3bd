/** Wrong variants of buckets that are dropped. */

import type { Bug } from './bugs.ts';

export const BUCKET_BUGS: readonly Bug[] = [
  {
    name: 'drop-keeps-incarnation',
    about: 'a dropped bucket goes on in the same life, so its rows are still there',
    edits: [
      {
        file: 'src/buckets/change.ts',
        from: '(rowNamed(facts, name)?.incarnation ?? 0) + 1',
        to: '(rowNamed(facts, name)?.incarnation ?? 0)',
      },
    ],
    foundBy: { scenario: 'bucket-is-dropped' },
  },
  {
    name: 'dropping-takes-the-new-life-too',
    about: 'what a dropped bucket has left behind is taken away together with the rows of its present life',
    edits: [
      {
        file: 'src/replica/dropped-buckets.ts',
        from: 'to: recordPrefix(bucket, incarnation)',
        to: 'to: recordPrefix(bucket, incarnation + 1)',
      },
    ],
    foundBy: { scenario: 'bucket-is-dropped' },
  },
  {
    name: 'dropped-rows-stay',
    about: 'nobody takes away what a dropped bucket has left behind',
    edits: [
      {
        file: 'src/replica/dropped-buckets.ts',
        from: '(this.#emptyBelow.get(bucket) ?? 0) < incarnation',
        to: '(this.#emptyBelow.get(bucket) ?? 0) > incarnation',
      },
    ],
    foundBy: { scenario: 'bucket-is-dropped' },
  },
];
