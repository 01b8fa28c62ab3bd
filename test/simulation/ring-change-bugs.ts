/** Wrong variants of ring changes: rules without which other databases have lost writes while their rings changed. */

import type { Bug } from './bugs.ts';
import { WITHOUT_LEVELLING } from './strong-bugs.ts';

const MOVES = 'src/repair/moves.ts';

export const RING_CHANGE_BUGS: readonly Bug[] = [
  {
    name: 'w-over-the-union',
    about: 'while a partition moves a write needs enough of the old and new owners together, not of each set',
    edits: [
      {
        file: 'src/coordinator/environment.ts',
        from: 'return sets.map((set) => {',
        to: 'if (w > 0) return [{ w, pw, dw }]; return sets.map((set) => {',
      },
    ],
    foundBy: { scenario: 'one-of-the-old-and-the-new-one' },
  },
  {
    name: 'no-fence-by-owners',
    about: 'replicas carry out requests that rely on owners of earlier epochs',
    edits: [{ file: 'src/replica/scope.ts', from: 'if (changedIn > scope.epoch) {', to: 'if (changedIn < 0) {' }],
    foundBy: { scenario: 'a-reader-two-stages-behind' },
  },
  {
    name: 'no-barrier',
    about: 'a transfer begins, and a stage ends, though some owners do not know of it yet',
    edits: [
      {
        file: 'src/ring/moving.ts',
        from: "if (keepersOf(entry).some((index) => standing(index) === 'behind')) return false;",
        to: 'if (keepersOf(entry).length > 0) return true;',
      },
    ],
    foundBy: { scenario: 'writes-that-old-readers-miss' },
  },
  {
    name: 'one-arbitrary-source',
    about: 'a new owner takes over what any one of the old ones has',
    edits: [
      {
        file: MOVES,
        from: 'for (const index of new Set([...leavers, ...others])) {',
        to: 'for (const index of old.filter((one) => !leavers.includes(one)).slice(0, 1)) {',
      },
      {
        file: MOVES,
        from: "return this.#isEnough(place, merged, heardNeeded(old), 'old');",
        to: 'return merged >= 1;',
      },
    ],
    foundBy: { scenario: 'only-the-leaver-and-one-have-it' },
  },
  {
    name: 'read-new-skipped',
    about:
      'the new owners alone are written to as soon as they have everything, though some read from the old ones still',
    edits: [
      {
        file: 'src/operator/ring-change.ts',
        from: "return { owners: now, changedIn, move: { stage: 'read-new', others: old, ...owing(owed) } };",
        to: 'return over(now, [...old, ...owed], changedIn);',
      },
    ],
    foundBy: { scenario: 'writes-that-old-readers-miss' },
  },
  {
    name: 'round-keeps-to-the-old-rules',
    about: 'a write that has begun before a move counts by the rules from before, whatever it learns meanwhile',
    edits: [
      {
        file: 'src/coordinator/write-rules.ts',
        from: 'if (route === undefined || route.changedIn === this.#changedIn) return undefined;',
        to: 'if (route === undefined || route.changedIn >= 0) return undefined;',
      },
    ],
    foundBy: { scenario: 'a-write-older-than-the-move' },
  },
  {
    name: 'cleanup-by-deletion',
    about: 'a former owner deletes what it has instead of bringing it to the owners',
    edits: [
      { file: MOVES, from: 'for (const index of entry.owners) {', to: 'for (const index of entry.owners.slice(9)) {' },
      {
        file: MOVES,
        from: "if (!this.#isEnough(place, brought, broughtTo(entry, lost), 'new')) return false;",
        to: '',
      },
    ],
    foundBy: { scenario: 'a-former-owner-has-more' },
  },
  {
    name: 'leaver-is-given-up-at-once',
    about: 'a ring change goes on without what a leaver alone has as soon as it cannot be reached',
    edits: [
      {
        file: 'src/operator/ring-driver.ts',
        from: 'awayThen.has(index) && this.#options.away.for(id) >= leaverPatience',
        to: 'awayThen.has(index) && this.#options.away.for(id) >= 0 * leaverPatience',
      },
    ],
    foundBy: { scenario: 'a-leaver-is-back-in-time' },
  },
  {
    name: 'reclaim-ignores-former-owners',
    about: 'tombstones are given up while a former owner may have what they hide',
    edits: [
      {
        file: 'src/repair/reclaim-owner.ts',
        from: 'if (move !== undefined) return undefined;',
        to: 'if (move !== undefined && place.n < 0) return undefined;',
      },
      {
        file: 'src/repair/reclaim-member.ts',
        from: 'if (oldest === undefined || this.#moves(place)) return OLDEST;',
        to: 'if (oldest === undefined || (this.#moves(place) && i < 0)) return OLDEST;',
      },
    ],
    foundBy: { scenario: 'a-former-owner-has-what-was-deleted' },
  },
  {
    name: 'gossip-as-authority',
    about: 'a node goes by the ring that it proposes, and tells others of it, though no majority has accepted it',
    edits: [
      {
        file: 'src/consensus/epoch-proposer.ts',
        from: "if (accepted.kind !== 'majority') return await this.#notReached(accepted, electorate);",
        to: "if (accepted.kind === 'decided') return await this.#notReached(accepted, electorate);",
      },
    ],
    foundBy: { scenario: 'two-rings-are-proposed' },
  },
  {
    name: 'new-owners-vote-at-once',
    about: 'a new owner of strong keys votes before it knows what the old owners have chosen',
    edits: [
      {
        file: 'src/repair/moved-rows.ts',
        from: 'if (ring.change === undefined || !hasPlacement(ring, place.n)) return true;',
        to: 'if (ring.change === undefined || !hasPlacement(ring, place.n) || self >= 0) return true;',
      },
      {
        file: 'src/repair/move-votes.ts',
        from: 'const result = await takeRegisters(id);',
        to: "const result: TakenRegisters = wanted.size > 99 ? await takeRegisters(id) : { kind: 'taken', damaged: [] };",
      },
    ],
    foundBy: { scenario: 'strong-keys-of-two-leavers' },
  },
  {
    name: 'registers-of-one-old-owner',
    about: 'a new owner of strong keys takes over what any one of the old owners knows',
    edits: [
      {
        file: 'src/repair/votes-known.ts',
        from: "if (there.length < heardNeeded(old)) return 'lacking';",
        to: "if (there.length < 0) return 'lacking';",
      },
      {
        file: 'src/repair/move-votes.ts',
        from: "if (!wanted.has(index) || index === self || state === 'refilling' || !messaging.reachable(id)) continue;",
        to: "if (!wanted.has(index) || index === self || state === 'refilling' || heard.size > 1 || !messaging.reachable(id)) continue;",
      },
    ],
    foundBy: { scenario: 'strong-keys-of-two-leavers' },
  },
  {
    name: 'registers-for-a-namesake',
    about: 'a member that joins under the name of a removed one gets the registers of what that one owned: none',
    edits: [
      {
        file: 'src/coordinator/register-refill.ts',
        from: 'presentMember(knowledge.ring(), from);',
        to: 'knowledge.ring().members.find(({ id }) => id === from);',
      },
    ],
    foundBy: { scenario: 'strong-keys-of-names-that-join-again' },
  },
  {
    name: 'a-plan-forgets-debts',
    about: 'when a partition is planned to move again, nobody waits any more for what a former owner has to bring',
    edits: [
      {
        file: 'src/operator/ring-change.ts',
        from: "move: { stage: 'planned', others: row, ...owing(move?.others) } };",
        to: "move: { stage: 'planned', others: row, ...owing(move?.owed) } };",
      },
    ],
    foundBy: { scenario: 'a-debt-outlives-a-plan' },
  },
  {
    name: 'a-move-that-is-taken-back-forgets-debts',
    about:
      'when both sets of owners have taken writes and a change is aborted, only those that came with it bring what they have',
    edits: [
      {
        file: 'src/operator/ring-change.ts',
        from: 'return evidence.mayEnd() ? over(old, [...now, ...owed], changedIn) : entry;',
        to: 'return evidence.mayEnd() ? over(old, now, changedIn) : entry;',
      },
    ],
    foundBy: { scenario: 'a-debt-outlives-a-move' },
  },
  {
    name: 'former-owners-wait-for-each-other',
    about: 'a node that has brought what it had cannot leave while another former owner of a partition is away',
    edits: [
      {
        file: 'src/operator/ring-change.ts',
        from: 'const isOver = left.length < entry.move!.others.length && left.every(isAway);',
        to: 'const isOver = left.length === 0 && left.every(isAway);',
      },
    ],
    foundBy: { scenario: 'a-leaver-beside-one-that-is-away' },
  },
  {
    name: 'a-damaged-register-is-heard',
    about: 'a new owner counts an old one among those that it has heard, though the register is damaged there',
    edits: [
      {
        file: 'src/repair/votes-known.ts',
        from: 'return old.filter((index) => heard.has(index) && !damaged.has(index)).length < heardNeeded(old);',
        to: 'return old.filter((index) => heard.has(index) || damaged.has(index)).length < heardNeeded(old);',
      },
    ],
    foundBy: { scenario: 'a-register-is-damaged-while-its-owners-change' },
  },
  {
    name: 'a-damaged-register-is-given-up-at-once',
    about: 'a new owner takes a register over as damaged though an old one that it cannot reach has it',
    edits: [
      {
        file: 'src/repair/votes-known.ts',
        from: 'if (old.includes(self) || !old.every((index) => heard.has(index) || isLost(index)))',
        to: 'if (old.includes(self) || old.every((index) => !heard.has(index) && isLost(index)))',
      },
    ],
    foundBy: { scenario: 'a-register-is-damaged-while-its-owners-change' },
  },
  {
    name: 'a-leaver-takes-hints',
    about: 'a node that owns nothing any more stands in for others until it is removed, with what it keeps',
    edits: [
      {
        file: 'src/replica/scope.ts',
        from: 'if (isOnItsWayOut(knowledge.ring(), knowledge.self()))',
        to: 'if (scope.n < 1 && isOnItsWayOut(knowledge.ring(), knowledge.self()))',
      },
    ],
    foundBy: { scenario: 'a-hint-for-somebody-else-comes-to-a-leaver' },
  },
  {
    name: 'a-new-owner-mends-nothing',
    about: 'a node that takes a partition over forgets a damaged row without asking the owners what it was',
    edits: [
      {
        file: 'src/repair/mend.ts',
        from: 'const isOwner = entry !== undefined && writersOf(entry).includes(knowledge.self());',
        to: 'const isOwner = entry !== undefined && writersOf(entry).length > 0 && owners.includes(knowledge.self());',
      },
    ],
    foundBy: { scenario: 'a-row-of-a-new-owner-is-damaged' },
  },
  {
    name: 'a-stage-counts-for-the-next',
    about: 'that a node is done with a partition in one stage counts in all that follow',
    edits: [
      {
        file: 'src/repair/moved-rows.ts',
        from: 'return disk.get(MOVED, movedKey(place, changedIn)) !== undefined;',
        to: 'const row = [...treeKey(place)]; return changedIn >= 0 && (disk as DiskReader).range(MOVED, { limit: 65536 }).some(([key]) => row.every((byte, i) => byte === key[i]));',
      },
      {
        file: 'src/repair/moved-rows.ts',
        from: 'return view.getUint32(0) * 2 ** 32 + view.getUint32(4) === entry.changedIn;',
        to: 'return view.getUint32(0) * 2 ** 32 + view.getUint32(4) <= entry.changedIn;',
      },
    ],
    foundBy: { scenario: 'strong-keys-of-two-leavers' },
  },
  {
    name: 'others-are-given-up-too',
    about: 'where one owner is given up nobody waits for the others either, though a majority is left',
    edits: [
      {
        file: 'src/operator/given-up.ts',
        from: 'return left.length < heardNeeded(owners) ? left : owners;',
        to: 'return left.length < Math.max(owners.length, heardNeeded(owners)) ? left : owners;',
      },
    ],
    foundBy: { scenario: 'what-others-have-is-not-given-up' },
  },
  {
    name: 'who-is-given-up-owes-nothing',
    about: 'a leaver that was given up and is back in time is let go with what it has',
    edits: [
      {
        file: 'src/operator/given-up.ts',
        from: 'const owed = [...new Set([...(move.owed ?? []), ...old.filter((index) => lost.has(index))])];',
        to: 'const owed = [...new Set([...(move.owed ?? []), ...left.slice(0, 1)])];',
      },
    ],
    foundBy: { scenario: 'who-was-given-up-is-back-in-time' },
  },
  {
    name: 'a-newcomer-that-is-given-up-votes',
    about:
      'a newcomer that was given up is an owner like all others when it is back, with the votes that it has never had',
    edits: [
      ...WITHOUT_LEVELLING,
      {
        file: 'src/operator/ring-change.ts',
        from: "lost.has(index) && memberAt(index).state === 'refilling'),",
        to: 'lost.has(index)),',
      },
      {
        file: 'src/operator/given-up.ts',
        from: "empty.has(member.index) ? { ...member, state: 'refilling' } : member,",
        to: 'empty.has(member.index) ? { ...member } : member,',
      },
    ],
    foundBy: { scenario: 'a-newcomer-that-was-given-up-is-back' },
  },
];
