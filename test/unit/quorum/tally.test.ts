import { expect, test } from 'vitest';
import fc from 'fast-check';
import { nodeIndex } from '#kernel/identity.ts';
import type { Role } from '#quorum/tally.ts';
import { ReadTally, WriteTally } from '#quorum/tally.ts';

const [A, B, C, D] = [0, 1, 2, 3].map(nodeIndex) as [ReturnType<typeof nodeIndex>, ...ReturnType<typeof nodeIndex>[]];

function writeTo(needs: { w: number; pw: number; dw: number }, primaries = [A, B!, C!]): WriteTally {
  const tally = new WriteTally(needs);
  for (const node of primaries) tally.expect(node, 'primary');
  return tally;
}

test('a quorum of three', () => {
  const tally = writeTo({ w: 2, pw: 0, dw: 2 });
  expect(tally.decision()).toBe('pending');
  tally.accept(A, true);
  tally.accept(A, true);
  expect([tally.acked, tally.decision()]).toEqual([1, 'pending']);
  tally.accept(B!, false);
  expect([tally.acked, tally.durable, tally.decision()]).toEqual([2, 1, 'pending']);
  tally.accept(B!, true);
  expect([tally.acked, tally.durable, tally.decision()]).toEqual([2, 2, 'reached']);
  tally.fail(B!);
  expect(tally.decision()).toBe('reached');
});

test('impossible at once when too few are left, and possible again with a fallback', () => {
  const tally = writeTo({ w: 2, pw: 1, dw: 1 });
  tally.fail(A);
  expect(tally.decision()).toBe('pending');
  tally.fail(B!);
  expect([tally.decision(), tally.unanswered]).toEqual(['impossible', 1]);
  tally.expect(D!, 'fallback');
  expect(tally.decision()).toBe('pending');
  tally.accept(D!, true);
  tally.accept(C!, false);
  expect([tally.decision(), tally.primaries, tally.fallbacks]).toEqual(['reached', 1, 1]);
});

test('fallbacks are not enough while primaries may be, if those are waited for', () => {
  const waiting = (...primaries: readonly (typeof A)[]): WriteTally => {
    const tally = writeTo({ w: 2, pw: 0, dw: 2 }, [...primaries]);
    tally.waitForPrimaries(true);
    tally.expect(D!, 'fallback', C);
    tally.accept(A, true);
    tally.accept(D!, true, 'fallback');
    return tally;
  };
  const tally = waiting(A, B!);
  expect([tally.decision(), tally.acked]).toEqual(['pending', 2]);
  tally.accept(B!, true);
  expect([tally.decision(), tally.fallbacks]).toEqual(['reached', 1]);
  // It will not answer.
  const failing = waiting(A, B!);
  failing.fail(B!);
  expect(failing.decision()).toBe('reached');
  const late = waiting(A, B!);
  late.waitForPrimaries(false);
  expect(late.decision()).toBe('reached');
  // Nobody else is asked, or only one for whom somebody stands in.
  expect(waiting(A).decision()).toBe('reached');
  expect(waiting(A, C!).decision()).toBe('reached');
});

test('fallbacks never count for pw', () => {
  const tally = writeTo({ w: 1, pw: 1, dw: 0 }, [A]);
  tally.expect(D!, 'fallback');
  tally.accept(D!, true);
  expect([tally.acked, tally.decision()]).toEqual([1, 'pending']);
  tally.fail(A);
  expect(tally.decision()).toBe('impossible');
});

test('a bystander counts for nothing, whatever it answers', () => {
  const tally = writeTo({ w: 1, pw: 1, dw: 1 }, [A]);
  tally.expect(D!, 'bystander');
  tally.accept(D!, true);
  expect([tally.acked, tally.primaries, tally.durable, tally.fallbacks, tally.decision()]).toEqual([
    0,
    0,
    0,
    0,
    'pending',
  ]);
  tally.fail(A);
  expect(tally.decision()).toBe('impossible');
  const alone = new WriteTally({ w: 1, pw: 0, dw: 0 });
  alone.expect(D!, 'bystander');
  expect([alone.decision(), alone.unanswered]).toEqual(['impossible', 1]);
});

test('a node that accepts without durability may still report it, until it fails', () => {
  const tally = writeTo({ w: 1, pw: 0, dw: 1 }, [A]);
  tally.accept(A, false);
  expect(tally.decision()).toBe('pending');
  tally.fail(A);
  expect([tally.decision(), tally.acked]).toEqual(['impossible', 1]);
  tally.accept(A, true);
  expect(tally.decision()).toBe('reached');
});

test('a reply after failure counts, and a node that is asked again may answer', () => {
  const tally = writeTo({ w: 2, pw: 2, dw: 0 }, [A, B!]);
  tally.fail(A);
  tally.fail(B!);
  expect(tally.decision()).toBe('impossible');
  tally.accept(A, false);
  expect(tally.decision()).toBe('impossible');
  tally.expect(B!, 'primary');
  expect(tally.decision()).toBe('pending');
  tally.accept(B!, false);
  expect(tally.decision()).toBe('reached');
});

test('an owner and the fallback in its place count once, whoever answers first', () => {
  const tally = writeTo({ w: 2, pw: 0, dw: 0 });
  tally.expect(D!, 'fallback', B);
  tally.accept(D!, true);
  expect([tally.acked, tally.fallbacks]).toEqual([1, 1]);
  tally.accept(B!, true);
  expect([tally.acked, tally.durable, tally.fallbacks, tally.decision()]).toEqual([1, 1, 0, 'pending']);
  tally.accept(C!, true);
  expect(tally.decision()).toBe('reached');
});

test('a fallback that answers a read counts in the place of an owner that it keeps the key for', () => {
  const tally = new ReadTally({ r: 2, pr: 0 });
  tally.expect(A, 'primary');
  tally.expect(D!, 'fallback');
  tally.accept(A);
  expect(tally.decision()).toBe('pending');
  tally.accept(D!, A);
  expect(tally.decision()).toBe('impossible');
});

test('a fallback that becomes an owner is asked as both, and counts in each set in its place', () => {
  const tally = writeTo({ w: 2, pw: 0, dw: 0 });
  tally.expect(D!, 'fallback', A);
  tally.accept(B!, true);
  tally.expect(D!, 'primary');
  tally.require({ w: 2, pw: 0, dw: 0, among: [A, B!, C!] });
  tally.require({ w: 2, pw: 0, dw: 0, among: [B!, C!, D!] });
  tally.accept(D!, true, 'fallback');
  expect([tally.decision(), tally.acked]).toEqual(['pending', 1]);
  tally.fail(D!);
  tally.fail(C!);
  expect(tally.decision()).toBe('impossible');
  tally.accept(D!, true);
  expect(tally.decision()).toBe('reached');
});

test('programmer errors are noticed', () => {
  expect(() => new WriteTally({ w: 1, pw: 2, dw: 0 })).toThrow('within w=1');
  expect(() => new ReadTally({ r: 1, pr: 2 })).toThrow('within w=1');
  const tally = writeTo({ w: 1, pw: 0, dw: 0 }, [A]);
  expect(() => tally.accept(B!, true)).toThrow('node 1');
  expect(() => tally.fail(B!)).toThrow('node 1');
  expect(() => tally.expect(A, 'fallback')).toThrow('asked as a primary');
});

interface Event {
  readonly what: 'expect' | 'accept' | 'accept-durably' | 'fail';
  readonly node: number;
}

const anyEvents: fc.Arbitrary<Event[]> = fc.array(
  fc.record({
    what: fc.constantFrom('expect', 'accept', 'accept-durably', 'fail'),
    node: fc.integer({ min: 0, max: 6 }),
  }),
  { maxLength: 40 },
);

/** Nodes 0-3 are owners; in these histories the others stand in. */
function roleOf(node: number): Role {
  return node < 4 ? 'primary' : 'fallback';
}

/** The first two of them for owners 0 and 1, the last for nobody that is asked. */
function placeOf(node: number): ReturnType<typeof nodeIndex> {
  return nodeIndex(node === 4 || node === 5 ? node - 4 : node);
}

/** The dumb twin: goes through the whole history for every node, and tries out the best that can still happen. */
function twin(history: readonly Event[], w: number, pw: number, dw: number) {
  const after = (events: readonly Event[]) => {
    const nodes = (what: readonly string[]) => new Set(events.filter((e) => what.includes(e.what)).map((e) => e.node));
    const places = (from: Iterable<number>) => new Set([...from].map(placeOf)).size;
    const accepted = [...nodes(['accept', 'accept-durably'])];
    const acked = places(accepted);
    const durable = places(nodes(['accept-durably']));
    const primaries = accepted.filter((node) => roleOf(node) === 'primary').length;
    const reached = acked >= w && primaries >= pw && durable >= dw;
    return { acked, durable, primaries, fallbacks: acked - primaries, reached };
  };
  const open = [0, 1, 2, 3, 4, 5, 6].filter((node) => {
    const last = history.findLast((e) => e.node === node && (e.what === 'expect' || e.what === 'fail'));
    return last?.what === 'expect';
  });
  const best = after([...history, ...open.map((node): Event => ({ what: 'accept-durably', node }))]);
  const { reached, ...counts } = after(history);
  return { ...counts, decision: reached ? 'reached' : best.reached ? 'pending' : 'impossible' };
}

test('the write tally equals its dumb twin after every event of any history', () => {
  fc.assert(
    fc.property(
      anyEvents,
      fc.integer({ min: 1, max: 5 }),
      fc.nat({ max: 5 }),
      fc.nat({ max: 5 }),
      (events, w, anyPw, anyDw) => {
        const [pw, dw] = [Math.min(anyPw, w), Math.min(anyDw, w)];
        const tally = new WriteTally({ w, pw, dw });
        const history: Event[] = [];
        let wasReached = false;
        for (const event of events) {
          const node = nodeIndex(event.node);
          if (event.what !== 'expect' && !history.some((e) => e.node === event.node)) continue;
          history.push(event);
          if (event.what === 'expect') tally.expect(node, roleOf(node), placeOf(node));
          else if (event.what === 'fail') tally.fail(node);
          else tally.accept(node, event.what === 'accept-durably');

          const { acked, durable, primaries, fallbacks } = tally;
          const decision = tally.decision();
          expect({ acked, durable, primaries, fallbacks, decision }).toEqual(twin(history, w, pw, dw));
          expect(wasReached && decision !== 'reached', 'a reached decision was taken back').toBe(false);
          wasReached = decision === 'reached';
        }
      },
    ),
    { numRuns: 1000 },
  );
});

test('the read tally equals the same twin without durability', () => {
  fc.assert(
    fc.property(anyEvents, fc.integer({ min: 1, max: 5 }), fc.nat({ max: 5 }), (events, r, anyPr) => {
      const pr = Math.min(anyPr, r);
      const tally = new ReadTally({ r, pr });
      const history: Event[] = [];
      for (const event of events) {
        const node = nodeIndex(event.node);
        if (event.what !== 'expect' && !history.some((e) => e.node === event.node)) continue;
        history.push(event);
        if (event.what === 'expect') tally.expect(node, roleOf(node), placeOf(node));
        else if (event.what === 'fail') tally.fail(node);
        else tally.accept(node);

        const expected = twin(history, r, pr, 0);
        const { acked, primaries, fallbacks } = tally;
        const decision = tally.decision();
        expect({ acked, durable: expected.durable, primaries, fallbacks, decision }).toEqual(expected);
      }
    }),
    { numRuns: 500 },
  );
});

test('one that refuses what is older counts for older rules only, and for none where there is no newer one to meet', () => {
  const tally = new WriteTally({ w: 2, pw: 2, dw: 2, changedIn: 5 });
  for (const node of [A, B!, C!]) tally.expect(node, 'primary');
  tally.require({ w: 1, pw: 1, dw: 1, among: [A], changedIn: 7 });
  for (const node of [B!, C!]) {
    tally.refuses(node, 4);
    tally.fail(node);
  }
  expect(tally.decision()).toBe('impossible');
  for (const node of [B!, C!]) tally.refuses(node, 6);
  expect([tally.decision(), tally.acked]).toEqual(['pending', 0]);
  tally.accept(A, true);
  expect([tally.decision(), tally.acked]).toEqual(['reached', 1]);
});

test('no reader by the older rules misses what they count as reached', () => {
  const subsets = (nodes: readonly number[], size: number): number[][] =>
    size === 0
      ? [[]]
      : nodes.flatMap((node, at) => subsets(nodes.slice(at + 1), size - 1).map((rest) => [node, ...rest]));
  const owners = fc.integer({ min: 1, max: 5 });
  const input = owners.chain((n) =>
    fc.record({
      n: fc.constant(n),
      w: fc.integer({ min: 1, max: n }),
      answers: fc.array(fc.constantFrom('accepts', 'refuses', 'is lost'), { minLength: n, maxLength: n }),
    }),
  );
  fc.assert(
    fc.property(input, ({ n, w, answers }) => {
      const tally = new WriteTally({ w, pw: 0, dw: w, changedIn: 1 });
      for (const [i, answer] of answers.entries()) {
        const node = nodeIndex(i);
        tally.expect(node, 'primary');
        if (answer === 'accepts') tally.accept(node, true);
        else tally.fail(node);
        if (answer === 'refuses') tally.refuses(node, 1);
      }
      if (tally.decision() !== 'reached') return;
      const readable = answers.flatMap((answer, i) => (answer === 'refuses' ? [] : [i]));
      for (const readers of subsets(readable, n - w + 1))
        expect(readers.some((i) => answers[i] === 'accepts')).toBe(true);
    }),
  );
});
