import fc from 'fast-check';
import { expect, test } from 'vitest';
import { epoch, nodeIndex } from '#kernel/identity.ts';
import { chooseDrops } from '#handoff/choose-drops.ts';
import { recipientsOf } from '#handoff/recipients.ts';
import { Throttle } from '#handoff/throttle.ts';
import { nameFor, OWNERS, RING } from './holder.ts';

const entries = fc.array(
  fc.record({
    row: fc.uint8Array({ minLength: 3, maxLength: 3 }),
    sole: fc.boolean(),
    low: fc.nat(100),
    bytes: fc.integer({ min: 1, max: 50 }),
  }),
  { maxLength: 12 },
);

test('what is dropped: never a sole copy, all that is too old, then the oldest and no more than needed', () => {
  fc.assert(
    fc.property(entries, fc.nat(300), fc.nat(100), (all, bytes, before) => {
      const drops = chooseDrops(all, { bytes, before });
      const dropped = drops.map(({ entry }) => entry);
      const kept = all.filter((entry) => !entry.sole && !dropped.includes(entry));
      expect(dropped.some(({ sole }) => sole)).toBe(false);
      expect(kept.every(({ low }) => low >= before)).toBe(true);
      for (const entry of dropped) expect(kept.every(({ low }) => low >= entry.low)).toBe(true);
      const freed = dropped.reduce((sum, entry) => sum + entry.bytes, 0);
      if (kept.length > 0) expect(freed).toBeGreaterThanOrEqual(bytes);
      const forSpace = drops.filter(({ reason }) => reason === 'space');
      if (forSpace.length > 0) expect(freed - forSpace.at(-1)!.entry.bytes).toBeLessThan(bytes);
    }),
  );
});

test('the throttle holds its rate over any time, and everything passes in the end', () => {
  const step = fc.record({ bytes: fc.nat(5000), idle: fc.nat(300) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const throttle = new Throttle(1000, 200, 0);
      let now = 0;
      let before = 0;
      for (const { bytes, idle } of steps) {
        now += idle;
        const wait = throttle.take(bytes, now);
        expect(Number.isFinite(wait) && wait >= 0).toBe(true);
        now += wait;
        // Whatever went before this one has been paid for, but for the burst.
        expect(before).toBeLessThanOrEqual(200 + now + 1e-6);
        before += bytes;
      }
    }),
  );
});

test('who gets a hint: its owner while it owns the key, then all that do; nobody when the bucket is gone', () => {
  const bucket = { n: 3, incarnation: 0, version: epoch(2), conflicts: 'lww' as const };
  const known = { epoch: epoch(5), ring: RING, bucket };
  const scope = { epoch: 5, n: 3, partition: 0, bucket: 'b', incarnation: 0, definition: 2 };
  const hint = nameFor(OWNERS[1]!, 'k');
  expect(recipientsOf(hint, known)).toEqual({ kind: 'deliver', to: [OWNERS[1]], scope });
  const stranger = RING.members.find(({ index }) => !OWNERS.includes(index))!.index;
  expect(recipientsOf(nameFor(stranger, 'k'), known)).toEqual({ kind: 'deliver', to: OWNERS, scope });
  expect(recipientsOf(nameFor(nodeIndex(999), 'k'), known)).toEqual({ kind: 'deliver', to: OWNERS, scope });
  expect(recipientsOf(hint, { ...known, bucket: { ...bucket, incarnation: 1 } })).toEqual({ kind: 'discard' });
  expect(recipientsOf({ ...hint, incarnation: 1 }, known)).toEqual({ kind: 'wait' });
  expect(recipientsOf(hint, { ...known, bucket: { ...bucket, n: 5 } })).toEqual({ kind: 'wait' });
  expect(recipientsOf({ ...hint, partition: 8 }, known)).toEqual({ kind: 'wait' });
});
