import { beforeEach, expect, test } from 'vitest';
import { joinStates } from '#causality/join.ts';
import { hybridTimeAt } from '#causality/hybrid-clock.ts';
import { HINTS_FULL } from '#handoff/hint-table.ts';
import { HINT_AGES, HINTS, hintKey, ownerPrefix } from '#handoff/tables.ts';
import { decoded, encoded, Holder, nameFor, OWNERS } from './holder.ts';

const [A, B] = [OWNERS[0]!, OWNERS[1]!];

const byNumber = (a: number, b: number): number => a - b;

let holder: Holder;

beforeEach(() => {
  holder = new Holder();
});

/** Rows and index agree, and the figures say what is there. */
function check(): number {
  const { disk } = holder.process;
  const rows = disk.range(HINTS, { limit: 10_000 });
  const entries = OWNERS.flatMap((owner) => holder.table.entries(owner, ownerPrefix(owner), 10_000));
  expect(entries).toHaveLength(rows.length);
  expect(disk.range(HINT_AGES, { limit: 10_000 })).toHaveLength(rows.length);
  expect(holder.table.figures.rows).toBe(rows.length);
  expect(holder.table.figures.bytes).toBe(entries.reduce((sum, { bytes }) => sum + bytes, 0));
  return rows.length;
}

test('a second hint for the same key joins the row, one for another owner is another row', async () => {
  await holder.store(A, 'k', encoded(1, 5), { low: 9 });
  await holder.store(A, 'k', encoded(2, 6), { low: 4, sole: true });
  await holder.store(B, 'k', encoded(2, 6), { low: 7 });
  expect(check()).toBe(2);
  const hint = holder.table.read(hintKey(nameFor(A, 'k')))!;
  expect(decoded(hint.state!)).toEqual(joinStates(decoded(encoded(1, 5)), decoded(encoded(2, 6)), 'siblings'));
  expect(hint).toMatchObject({ low: 4, sole: true });
  expect(holder.table.oldest(A)).toBe(4);
  const found = await holder.table.find(nameFor(A, 'k'), nameFor(A, 'k').key);
  expect(found.map(({ owner }) => owner).toSorted(byNumber)).toEqual([A, B].toSorted(byNumber));
});

test('a row is forgotten only at the revision that was seen, and a new one has a new revision', async () => {
  const row = hintKey(nameFor(A, 'k'));
  const { revision } = await holder.store(A, 'k', encoded(1, 5));
  await holder.store(A, 'k', encoded(1, 6));
  expect(await holder.machine.simulation.settle(holder.table.forget(row, revision))).toBe(false);
  const later = holder.table.read(row)!.revision;
  expect(await holder.machine.simulation.settle(holder.table.forget(row, later))).toBe(true);
  expect(check()).toBe(0);
  const again = await holder.store(A, 'k', encoded(1, 5));
  expect([revision, later]).not.toContain(again.revision);
});

test('a hint is settled only when nothing came to it, and nothing else waits in its row', async () => {
  const row = hintKey(nameFor(A, 'k'));
  const first = await holder.store(A, 'k', encoded(1, 5), { sole: true });
  const second = await holder.store(A, 'k', encoded(2, 6), { sole: true });
  expect(second.revision).toBe(0);
  await holder.machine.simulation.settle(holder.table.settle(row, first.revision));
  expect(holder.table.read(row)!.sole).toBe(true);
  const other = await holder.store(A, 'other', encoded(1, 5), { sole: true });
  await holder.machine.simulation.settle(holder.table.settle(hintKey(nameFor(A, 'other')), other.revision));
  expect(holder.table.read(hintKey(nameFor(A, 'other')))!.sole).toBe(false);
  expect(check()).toBe(2);
});

test('what a former process left is counted after a start, whatever happens meanwhile', async () => {
  for (let i = 0; i < 5; i++) await holder.store(i % 2 === 0 ? A : B, `k${i}`, encoded(1, 5));
  holder.crash();
  holder.boot();
  await holder.store(A, 'k0', encoded(1, 6));
  await holder.store(A, 'new', encoded(1, 6));
  await holder.run(10);
  expect(check()).toBe(6);
  expect(holder.table.figures.of(B).rows).toBe(2);
});

test('too many bytes: the oldest make room, sole copies stay, and more than fits is refused', async () => {
  holder = new Holder({}, { bytesMax: 4000, ageMax: 3_600_000 });
  const refused = async (key: string): Promise<string> => {
    try {
      await holder.store(A, key, encoded(1, 5), { sole: true });
      return 'stored';
    } catch (error) {
      return (error as { code: string }).code;
    }
  };
  for (let i = 0; i < 10; i++) await holder.store(B, `droppable${i}`, encoded(1, 5));
  let stored = 0;
  while ((await refused(`sole${stored}`)) === 'stored') stored++;
  expect(await refused('one more')).toBe(HINTS_FULL);
  expect(holder.process.metrics.value('quoral_hints_refused_total')).toBe(2);
  expect(holder.table.figures.bytes).toBeLessThanOrEqual(4000);
  await holder.machine.simulation.settle(holder.room.make());
  const left = check();
  expect(holder.table.figures.bytes).toBeLessThanOrEqual(3600);
  expect(holder.table.entries(A, ownerPrefix(A), 100).filter(({ sole }) => sole)).toHaveLength(stored);
  expect(holder.process.metrics.value('quoral_hints_dropped_total', { reason: 'space' })).toBe(10 + stored - left);
  expect(await refused('fits again')).toBe('stored');
});

test('what is too old is given up, unless it may be the only copy', async () => {
  const old = hybridTimeAt(holder.process.clock.wall() - 3_600_001);
  await holder.store(A, 'old', encoded(1, 5), { low: old });
  await holder.store(A, 'sole', encoded(1, 5), { low: old, sole: true });
  await holder.store(A, 'young', encoded(1, 5));
  await holder.machine.simulation.settle(holder.room.make());
  expect(check()).toBe(2);
  expect(holder.table.read(hintKey(nameFor(A, 'old')))).toBeUndefined();
  expect(holder.process.metrics.value('quoral_hints_dropped_total', { reason: 'age' })).toBe(1);
  const dropped = holder.machine.log.entries.find(({ event }) => event === 'hints-dropped');
  expect(dropped?.fields).toMatchObject({ reasons: ['age'], count: 1 });
});

test('a full disk refuses a hint and leaves the figures as they were', async () => {
  await holder.store(A, 'k', encoded(1, 5));
  holder.machine.medium.capacityBytes = 0;
  await expect(holder.store(A, 'k2', encoded(1, 5))).rejects.toThrow('full');
  expect(check()).toBe(1);
});

test('what cannot be synced is refused to whoever asks for it', async () => {
  const storing = holder.table.store(
    nameFor(A, 'k'),
    { state: encoded(1, 5), own: false, sole: true, low: 1 },
    'siblings',
    false,
  );
  holder.machine.medium.failNextSync();
  await holder.machine.simulation.settle(storing);
  const found = holder.table.find(nameFor(A, 'k'), nameFor(A, 'k').key);
  await expect(holder.machine.simulation.settle(found)).rejects.toMatchObject({ code: 'disk-uncertain' });
});
