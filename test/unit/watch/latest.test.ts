import fc from 'fast-check';
import { expect, test } from 'vitest';
import { etagOf } from '#causality/etag.ts';
import { encodeGlimpse } from '#causality/glimpse.ts';
import { joinStates } from '#causality/join.ts';
import type { Conflicts, State } from '#causality/state.ts';
import { Latest } from '#watch/latest.ts';
import { dot, stateOf } from '../causality/examples.ts';
import { Cluster, history } from '../causality/history.ts';

function tagOf({ versions }: State): string | null {
  const live = versions.filter(({ content }) => content !== null);
  return live.length === 0 ? null : etagOf(live);
}

for (const conflicts of ['siblings', 'lww'] satisfies Conflicts[]) {
  test(`${conflicts}: whatever the order in which replicas tell, what is shown is the join so far, and only when it differs`, () => {
    fc.assert(
      fc.property(history, fc.array(fc.nat(), { maxLength: 20 }), (operations, order) => {
        const { states } = new Cluster(conflicts).run(operations);
        const latest = new Latest(10);
        let joined: State | undefined;
        let shown: string | null | undefined;
        for (const place of order) {
          const told = states[place % states.length]!;
          joined = joined === undefined ? told : joinStates(joined, told, conflicts);
          const tag = tagOf(joined);
          const news = latest.take('k', encodeGlimpse(told), conflicts, 0);
          expect(news).toBe(shown === tag ? undefined : tag);
          shown = tag;
        }
      }),
    );
  });
}

test('a value that has expired is news as deleted, once, though a replica has it still', () => {
  const [version] = stateOf([dot(1, 10)], [dot(1, 10)]).versions;
  const expiring: State = { vector: [dot(1, 10)], versions: [{ ...version!, expiresAt: 1000 }] };
  const stripped: State = { vector: [dot(1, 10)], versions: [{ ...version!, content: null, expiresAt: 1000 }] };
  const latest = new Latest(10);
  expect(latest.take('k', encodeGlimpse(expiring), 'lww', 500)).toBe(tagOf(expiring));
  expect(latest.take('k', encodeGlimpse(stripped), 'lww', 1500)).toBe(null);
  expect(latest.take('k', encodeGlimpse(expiring), 'lww', 1600)).toBeUndefined();
});

test('what was told while it was to end earlier is not over for that, and is when its end is told', () => {
  const [version] = stateOf([dot(1, 10)], [dot(1, 10)]).versions;
  const until = (expiresAt: number, content = version!.content, counter = 10): Uint8Array =>
    encodeGlimpse({ vector: [dot(1, counter)], versions: [{ ...version!, content, expiresAt }] });
  const touched = new Latest(10);
  expect(touched.take('k', until(1000), 'lww', 1500)).toBeUndefined();
  expect(touched.take('k', until(2000, version!.content, 11), 'lww', 1500)).toBeTypeOf('string');
  expect(touched.take('k', until(1000, null), 'lww', 1500)).toBeUndefined();
  const ended = new Latest(10);
  expect(ended.take('k', until(1000), 'lww', 1500)).toBeUndefined();
  expect(ended.take('k', until(1000, null), 'lww', 1500)).toBe(null);
  expect(ended.take('k', until(1000, null), 'lww', 1500)).toBeUndefined();
});

test('of changes that come after each other the latest holds, and of the same one what shows less', () => {
  const [version] = stateOf([dot(1, 10)], [dot(1, 10)]).versions;
  const older = stateOf([dot(2, 5)], [dot(2, 5)]);
  const ending: State = { vector: [dot(1, 10)], versions: [{ ...version!, expiresAt: 1000 }] };
  // What is left of it is not told from a deletion.
  const ended: State = { vector: [dot(1, 10)], versions: [{ dot: dot(1, 10), content: null, expiresAt: 0 }] };
  const latest = new Latest(10);
  const take = (state: State): string | null | undefined => latest.take('k', encodeGlimpse(state), 'in-order', 500);
  expect(take(ending)).toBe(tagOf(ending));
  expect(latest.has('k', encodeGlimpse(ending))).toBe(true);
  expect(latest.has('k', encodeGlimpse(ended))).toBe(false);
  expect(take(older)).toBeUndefined();
  expect(take(ended)).toBe(null);
  expect([take(ending), take(older)]).toEqual([undefined, undefined]);
  expect(take(stateOf([dot(2, 11)], [dot(2, 11)]))).toBeTypeOf('string');
});

test('to somebody who remembers nothing of a key, nothing is shown that is older than what others were shown', () => {
  const [older, newer] = [stateOf([dot(1, 10)], [dot(1, 10)]), stateOf([dot(1, 20)], [dot(1, 20)])];
  const others = new Latest(10);
  const own = new Latest(10, { latest: others, from: 0, to: 0 });
  others.take('k', encodeGlimpse(newer), 'lww', 0);
  expect(own.take('k', encodeGlimpse(older), 'lww', 0)).toBe(tagOf(newer));
  expect(own.take('k', encodeGlimpse(newer), 'lww', 0)).toBeUndefined();
});

test('to somebody who was shown what others were, it is no news a second time; what was told before or after is', () => {
  const others = new Latest(10);
  const glimpse = (counter: number): Uint8Array => encodeGlimpse(stateOf([dot(1, counter)], [dot(1, counter)]));
  const tag = (counter: number): string | null => tagOf(stateOf([dot(1, counter)], [dot(1, counter)]));
  for (const name of ['before', 'meanwhile', 'replaced', 'after']) others.take(name, glimpse(10), 'lww', 0);
  others.take('replaced', glimpse(20), 'lww', 0);
  const own = new Latest(10, { latest: others, from: 1, to: 3 });
  expect(own.take('before', glimpse(10), 'lww', 0)).toBe(tag(10));
  expect(own.take('meanwhile', glimpse(10), 'lww', 0)).toBeUndefined();
  expect(own.take('meanwhile', glimpse(5), 'lww', 0)).toBeUndefined();
  expect(own.take('meanwhile', glimpse(30), 'lww', 0)).toBe(tag(30));
  expect(own.take('replaced', glimpse(10), 'lww', 0)).toBe(tag(20));
  expect(own.take('after', glimpse(10), 'lww', 0)).toBe(tag(10));
});

test('the keys that were told of longest ago are forgotten', () => {
  const latest = new Latest(2);
  const glimpse = encodeGlimpse(stateOf([dot(1, 10)], [dot(1, 10)]));
  for (const name of ['a', 'b', 'c']) expect(latest.take(name, glimpse, 'lww', 0)).toBeTypeOf('string');
  expect(latest.size).toBe(2);
  expect(latest.take('c', glimpse, 'lww', 0)).toBeUndefined();
  expect(latest.take('a', glimpse, 'lww', 0)).toBeTypeOf('string');
});
