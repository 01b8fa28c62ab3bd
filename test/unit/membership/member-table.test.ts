/** What is believed merges: the order in which news come does not matter, and only a member raises its own incarnation. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { nodeIndex } from '#kernel/identity.ts';
import { MemberTable, STANDINGS, type News, type Standing } from '#membership/member-table.ts';

const SELF = nodeIndex(0);
const A = nodeIndex(1);
const B = nodeIndex(2);
const C = nodeIndex(3);

const anyNews: fc.Arbitrary<News> = fc.record({
  member: fc.constantFrom(A, B, C),
  standing: fc.constantFrom(...STANDINGS),
  incarnation: fc.integer({ min: 0, max: 4 }),
  from: fc.constantFrom(SELF, A, B, C),
});

function table(): MemberTable {
  const made = new MemberTable(SELF, 10);
  made.setMembers([SELF, A, B, C]);
  return made;
}

function beliefs(of: MemberTable): unknown {
  return of.others.map((member) => {
    const { standing, incarnation } = of.belief(member)!;
    return [member, standing, incarnation, standing === 'suspect' ? of.accusers(member) : 0];
  });
}

function news(member: News['member'], standing: Standing, incarnation: number, from = B): News {
  return { member, standing, incarnation, from };
}

test('the same news in any order, any of them twice, end in the same beliefs', () => {
  fc.assert(
    fc.property(fc.array(anyNews), fc.array(fc.nat()), (all, order) => {
      const first = table();
      for (const item of all) first.apply(item);
      const shuffled = all
        .map((item, i) => ({ item, rank: order[i] ?? 0 }))
        .sort((a, b) => a.rank - b.rank)
        .flatMap(({ item }, i) => (i % 3 === 0 ? [item, item] : [item]));
      const second = table();
      for (const item of shuffled) second.apply(item);
      expect(beliefs(second)).toEqual(beliefs(first));
    }),
  );
});

test('a belief never becomes older', () => {
  fc.assert(
    fc.property(fc.array(anyNews), (all) => {
      const t = table();
      for (const item of all) {
        const before = t.belief(item.member)!;
        t.apply(item);
        const after = t.belief(item.member)!;
        expect(after.incarnation).toBeGreaterThanOrEqual(before.incarnation);
        if (after.incarnation === before.incarnation) {
          expect(STANDINGS.indexOf(after.standing)).toBeGreaterThanOrEqual(STANDINGS.indexOf(before.standing));
        }
      }
    }),
  );
});

test('an accused node raises its incarnation above the accusation, and nobody else can', () => {
  const t = table();
  expect(t.apply(news(SELF, 'alive', 10))).toEqual({ kind: 'known' });
  expect(t.apply(news(SELF, 'suspect', 9))).toEqual({ kind: 'known' });
  expect(t.apply(news(SELF, 'suspect', 10))).toMatchObject({ kind: 'refuted' });
  expect(t.incarnation).toBe(11);
  expect(t.apply(news(SELF, 'dead', 17))).toMatchObject({ kind: 'refuted' });
  expect(t.ownNews()).toMatchObject({ standing: 'alive', incarnation: 18 });
  // An earlier life of this node went further, before the calendar was put back.
  expect(t.apply(news(SELF, 'alive', 30))).toMatchObject({ kind: 'refuted' });
  expect(t.incarnation).toBe(31);
});

test('a node that leaves does not refute', () => {
  const t = table();
  expect(t.leave()).toMatchObject({ standing: 'left', incarnation: 10 });
  expect(t.apply(news(SELF, 'dead', 10))).toEqual({ kind: 'known' });
});

test('accusers of one suspicion are counted once each; a newer life clears them', () => {
  const t = table();
  t.apply(news(A, 'alive', 1, A));
  expect(t.apply(news(A, 'suspect', 1, B))).toMatchObject({ kind: 'changed' });
  expect(t.apply(news(A, 'suspect', 1, B))).toEqual({ kind: 'known' });
  expect(t.apply(news(A, 'suspect', 1, C))).toEqual({ kind: 'confirmed', accusers: 2 });
  expect(t.apply(news(A, 'alive', 2, A))).toMatchObject({ kind: 'changed' });
  expect(t.accusers(A)).toBe(1);
});

test('strangers are not taken in, and former members are forgotten', () => {
  const t = table();
  expect(t.apply(news(nodeIndex(9), 'alive', 1))).toEqual({ kind: 'stranger' });
  t.apply(news(A, 'dead', 5));
  t.setMembers([SELF, B]);
  expect(t.others).toEqual([B]);
  t.setMembers([SELF, A, B]);
  expect(t.belief(A)).toMatchObject({ standing: 'alive', incarnation: 0 });
});
