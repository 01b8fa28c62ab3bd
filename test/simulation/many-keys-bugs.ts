/** Wrong variants of listings, batches and watches. */

import type { Bug } from './bugs.ts';

export const MANY_KEYS_BUGS: readonly Bug[] = [
  {
    name: 'listing-trusts-one-replica',
    about: 'a listing asks one owner of each partition, whatever that one lacks',
    edits: [
      {
        file: 'src/coordinator/list.ts',
        from: 'return Math.min(inChange ? Math.max(r, majorityOf(owners)) : r, owners);',
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
  {
    name: 'watch-follows-the-first-members',
    about:
      'a watch follows the logs of those that were members when it began, and of nobody who becomes an owner later',
    edits: [
      {
        file: 'src/watch/hub.ts',
        from: 'if (this.#tails.has(member.index)) continue;',
        to: 'if (this.#tails.has(member.index) || this.#watchers.size > 0) continue;',
      },
    ],
    foundBy: { scenario: 'watched-while-its-owners-change' },
  },
  {
    name: 'watch-goes-on-with-what-comes-next',
    about: 'a watch that comes back with a cursor is told of what comes next, and not of what it has missed',
    edits: [
      {
        file: 'src/watch/hub.ts',
        from: 'place.storage === storage && place.group >= position;',
        to: 'place.storage === storage && position >= 0;',
      },
      {
        file: 'src/watch/hub.ts',
        from: 'if (place?.storage !== tail.storage || place.group < from) {',
        to: 'if (place?.storage !== tail.storage) {',
      },
    ],
    foundBy: { scenario: 'watched-again-while-more-comes' },
  },
  {
    name: 'watch-believes-one-owner',
    about: 'a watch tells of what one owner of a strong key has accepted, whatever comes of it',
    edits: [
      {
        file: 'src/watch/watches.ts',
        from: 'strong: () => bucket(name).strong,',
        to: 'strong: () => false,',
      },
    ],
    foundBy: { scenario: 'watched-what-came-to-nothing' },
  },
  {
    name: 'watch-keeps-its-first-definition',
    about: 'whether a watched bucket is strong is looked up once, when it is watched for the first time',
    edits: [
      {
        file: 'src/watch/watches.ts',
        from: 'strong: () => bucket(name).strong,',
        to: 'strong: ((first) => () => first)(bucket(name).strong),',
      },
    ],
    foundBy: { scenario: 'watched-what-came-to-nothing' },
  },
  {
    name: 'expired-deleted-locally',
    about: 'each replica deletes what has expired, row and vector, as if nobody had anything older',
    edits: [
      {
        file: 'src/repair/expiry.ts',
        from: 'replica.records.write(transaction, at, key, before, {',
        to: 'replica.records.remove(transaction, at, key, before); if (now > 0) return; replica.records.write(transaction, at, key, before, {',
      },
    ],
    foundBy: { scenario: 'expired-while-one-is-away' },
  },
];
