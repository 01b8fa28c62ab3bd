/** While a partition moves, a write needs its numbers in two sets of owners: one tally for both. */

import { expect, test } from 'vitest';
import fc from 'fast-check';
import { nodeIndex, type NodeIndex } from '#kernel/identity.ts';
import { WriteTally, type Decision, type WriteNeeds } from '#quorum/tally.ts';

const [A, B, C, D, E, F] = [0, 1, 2, 3, 4, 5].map(nodeIndex) as [
  NodeIndex,
  NodeIndex,
  NodeIndex,
  NodeIndex,
  NodeIndex,
  NodeIndex,
];
const [OLD, NEW] = [
  [A, B, C],
  [B, C, D],
];

function both(w: number, pw = 0, dw = 0): WriteTally {
  const tally = new WriteTally({ w, pw, dw, among: OLD }, { w, pw, dw, among: NEW });
  for (const node of [A, B, C, D]) tally.expect(node, 'primary');
  return tally;
}

test('one node counts in both sets, and enough of the union is not enough', () => {
  const tally = both(2);
  tally.accept(A, true);
  tally.accept(D, true);
  expect([tally.acked, tally.decision()]).toEqual([1, 'pending']);
  tally.accept(B, true);
  expect([tally.acked, tally.decision()]).toEqual([2, 'reached']);
});

test('impossible as soon as one of the sets cannot give enough', () => {
  const tally = both(2);
  tally.accept(A, true);
  tally.accept(B, true);
  tally.fail(C);
  expect(tally.decision()).toBe('pending');
  tally.fail(D);
  expect(tally.decision()).toBe('impossible');
});

test('pw and dw are asked of both sets', () => {
  const tally = both(2, 2, 2);
  tally.accept(B, true);
  tally.accept(C, false);
  expect(tally.decision()).toBe('pending');
  tally.accept(C, true);
  expect(tally.decision()).toBe('reached');
});

test('a fallback counts in the sets of the owner that it stands in for, and in no other', () => {
  const onlyNew = both(2);
  onlyNew.expect(F, 'fallback', D);
  onlyNew.accept(A, true);
  onlyNew.accept(B, true);
  onlyNew.accept(F, true);
  expect([onlyNew.decision(), onlyNew.primariesSuffice()]).toEqual(['reached', false]);
  const onlyOld = both(2);
  onlyOld.expect(F, 'fallback', A);
  onlyOld.accept(F, true);
  onlyOld.accept(B, true);
  expect(onlyOld.decision()).toBe('pending');
  const inBoth = both(2);
  inBoth.expect(F, 'fallback', C);
  inBoth.accept(B, true);
  inBoth.accept(F, true);
  expect(inBoth.decision()).toBe('reached');
  const strict = both(2, 2);
  strict.expect(F, 'fallback', C);
  strict.accept(B, true);
  strict.accept(F, true);
  expect(strict.decision()).toBe('pending');
});

test('rules that come later have to be met beside those that were there', () => {
  const tally = new WriteTally({ w: 2, pw: 0, dw: 0 });
  for (const node of [A, B, C]) tally.expect(node, 'primary');
  tally.accept(A, true);
  tally.expect(D, 'primary');
  tally.require({ w: 2, pw: 0, dw: 0, among: OLD });
  tally.require({ w: 2, pw: 0, dw: 0, among: NEW });
  tally.accept(D, true);
  expect(tally.decision()).toBe('pending');
  tally.accept(C, true);
  expect(tally.decision()).toBe('reached');
});

interface Event {
  readonly what: 'accept' | 'accept-durably' | 'fail';
  readonly node: number;
}

/** Nodes 0 to 4 are owners, 5 to 7 stand in for the owners whose turn is `place`. */
function naive(needs: readonly WriteNeeds[], events: readonly Event[], places: readonly number[]): Decision {
  const met = (history: readonly Event[]): boolean =>
    needs.every(({ w, pw, dw, among }) => {
      const inPlaces = (isWanted: (event: Event) => boolean): number =>
        new Set(
          history
            .filter(isWanted)
            .map(({ node }) => (node > 4 ? places[node - 5]! : node))
            .filter((place) => among!.some((index) => index === place)),
        ).size;
      const accepted = ({ what }: Event): boolean => what !== 'fail';
      return (
        inPlaces(accepted) >= w &&
        inPlaces((event) => accepted(event) && event.node <= 4) >= pw &&
        inPlaces(({ what }) => what === 'accept-durably') >= dw
      );
    });
  if (met(events)) return 'reached';
  const failed = new Set(events.filter(({ what }) => what === 'fail').map(({ node }) => node));
  const open = [0, 1, 2, 3, 4, 5, 6, 7].filter((node) => !failed.has(node));
  return met([...events, ...open.map((node): Event => ({ what: 'accept-durably', node }))]) ? 'pending' : 'impossible';
}

test('it equals a naive count over any two sets, after every event of any history', () => {
  const set = fc.uniqueArray(fc.nat(4), { minLength: 1, maxLength: 5 });
  const event = fc.record({
    what: fc.constantFrom<Event['what']>('accept', 'accept-durably', 'fail'),
    node: fc.nat(7),
  });
  const numbers = fc.tuple(fc.integer({ min: 0, max: 3 }), fc.nat(3), fc.nat(3));
  fc.assert(
    fc.property(
      fc.tuple(set, set),
      fc.tuple(numbers, numbers),
      fc.array(fc.nat(4), { minLength: 3, maxLength: 3 }),
      fc.array(event, { maxLength: 16 }),
      (sets, asked, places, events) => {
        const needs = sets.map((among, i): WriteNeeds => {
          const [w, pw, dw] = asked[i]!;
          return { w, pw: Math.min(w, pw), dw: Math.min(w, dw), among: among.map(nodeIndex) };
        });
        const tally = new WriteTally(...needs);
        for (const node of [A, B, C, D, E]) tally.expect(node, 'primary');
        places.forEach((place, i) => tally.expect(nodeIndex(5 + i), 'fallback', nodeIndex(place)));
        const history: Event[] = [];
        for (const { what, node } of events) {
          history.push({ what, node });
          if (what === 'fail') tally.fail(nodeIndex(node));
          else tally.accept(nodeIndex(node), what === 'accept-durably');
          expect(tally.decision()).toBe(naive(needs, history, places));
        }
      },
    ),
    { numRuns: 1000 },
  );
});

/** The reason for all this: whoever reads `r` of one set, of either, meets somebody who has what was written. */
test('what has reached both sets is met by every read of either', () => {
  const set = fc.uniqueArray(fc.nat(6), { minLength: 3, maxLength: 3 });
  fc.assert(
    fc.property(set, set, fc.integer({ min: 1, max: 3 }), fc.array(fc.nat(6)), (old, now, w, accepts) => {
      const needs = [old, now].map((among) => ({ w, pw: w, dw: 0, among: among.map(nodeIndex) }));
      const tally = new WriteTally(...needs);
      for (const node of new Set([...old, ...now])) tally.expect(nodeIndex(node), 'primary');
      const holders = new Set<number>();
      for (const node of accepts.filter((one) => old.includes(one) || now.includes(one))) {
        tally.accept(nodeIndex(node), false);
        holders.add(node);
      }
      if (tally.decision() !== 'reached') return;
      const r = 3 - w + 1;
      for (const owners of [old, now]) expect(owners.filter((node) => !holders.has(node)).length).toBeLessThan(r);
    }),
    { numRuns: 1000 },
  );
});
