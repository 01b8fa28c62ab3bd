/** Wrong variants of fallbacks and their hints, and of deletions that nothing older may outlive. */

import type { Bug } from './bugs.ts';

const READ_ROUND = 'src/coordinator/read-round.ts';
const RECLAIM = 'src/repair/reclaim.ts';
const TALLY = 'src/quorum/tally.ts';

export const FALLBACK_BUGS: readonly Bug[] = [
  {
    name: 'fallback-actor-reused',
    about: 'a fallback that mints in the place of owners does so as the same actor each time',
    edits: [
      {
        file: 'src/handoff/mint-in-place.ts',
        from: '?? replica.tenureForOnce();',
        to: '?? (replica === undefined ? undefined : 1);',
      },
    ],
    foundBy: { scenario: 'fallback-writes-twice' },
  },
  {
    name: 'fallback-actor-goes-on-unknowing',
    about: 'a fallback goes on as an actor of which it has forgotten what that has minted',
    edits: [
      {
        file: 'src/handoff/in-place-actors.ts',
        from: 'covers(vector, last) && counterOf(vector, last) <= last.counter',
        to: 'counterOf(vector, last) <= last.counter',
      },
    ],
    foundBy: { scenario: 'fallback-writes-twice' },
  },
  {
    name: 'hint-deleted-without-revision',
    about: 'a hint is deleted when it was delivered, whatever has come to it meanwhile',
    edits: [
      {
        file: 'src/handoff/hint-table.ts',
        from: 'if (hint.revision !== revision) return false;',
        to: 'if (hint.revision === -revision) return false;',
      },
    ],
    foundBy: { scenario: 'hint-grows-while-delivered' },
  },
  {
    name: 'fallback-counted-as-primary',
    about: 'a fallback that has a write counts for pw',
    edits: [
      {
        file: TALLY,
        from: 'this.#places(acceptsAsPrimary, among, changedIn) >= pw',
        to: 'this.#places(accepts, among, changedIn) >= pw',
      },
    ],
    foundBy: { scenario: 'owners-are-asked-for' },
  },
  {
    name: 'absence-at-a-fallback-counted',
    about: 'a fallback that keeps nothing of a key counts as one that says that there is nothing',
    edits: [
      {
        file: READ_ROUND,
        from: 'if (place === undefined || this.#request.retryId !== undefined || this.#hasEnough) {',
        to: `if (place === undefined && reply.state === null) {
          this.#answers.push({ from: fallback.id, isOwner: false, state: null });
          this.#tally.accept(fallback.index);
          this.#decide();
          return;
        }
        if (place === undefined || this.#request.retryId !== undefined || this.#hasEnough) {`,
      },
    ],
    foundBy: { scenario: 'a-fallback-knows-nothing' },
  },
  {
    name: 'repair-towards-fallbacks',
    about: 'a fallback whose hint is behind is mended by reads, as if it were a replica',
    edits: [{ file: READ_ROUND, from: 'answers: parts.filter(({ isOwner }) => isOwner),', to: 'answers: parts,' }],
    foundBy: { scenario: 'a-fallback-is-behind' },
  },
  {
    name: 'hint-keyed-without-owner',
    about: 'hints for several owners of a key are one row',
    edits: [
      {
        file: 'src/handoff/tables.ts',
        from: 'u16(writer, owner); writer.u8(n);',
        to: 'u16(writer, owner * 0); writer.u8(n);',
      },
    ],
    foundBy: { scenario: 'kept-for-several-owners' },
  },
  {
    name: 'reclaim-by-those-who-are-there',
    about: 'tombstones are given up when the owners that can be reached have them, whatever hints wait',
    edits: [
      {
        file: RECLAIM,
        from: "const members = ring.members.filter(({ state }) => state !== 'removed');",
        to: 'const members = ring.members.filter(({ id }) => this.#reaches(id));',
      },
      {
        file: 'src/repair/reclaim-owner.ts',
        from: 'ring.members.filter((member) => member.index === index));',
        to: 'ring.members.filter((member) => member.index === index && (member.id === self || messaging.reachable(member.id))));',
      },
      { file: RECLAIM, from: 'if (low === 0 || low > floor) continue;', to: 'if (low >= 0) continue;' },
    ],
    foundBy: { scenario: 'deleted-while-one-is-away' },
  },
  {
    name: 'reclaim-ignores-hints',
    about: 'tombstones are given up when all owners have them, whatever hints wait',
    edits: [{ file: RECLAIM, from: 'if (low === 0 || low > floor) continue;', to: 'if (low >= 0) continue;' }],
    foundBy: { scenario: 'hint-is-older-than-a-deletion' },
  },
];
