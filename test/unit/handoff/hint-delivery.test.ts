import { expect, test } from 'vitest';
import { hybridTimeAt } from '#causality/hybrid-clock.ts';
import { joinStates } from '#causality/join.ts';
import { encodeState } from '#causality/state-codec.ts';
import { hintKey, hintName } from '#handoff/tables.ts';
import { fromUtf8 } from '#kernel/bytes.ts';
import { epoch } from '#kernel/identity.ts';
import { ownersOf } from '#ring/preference-list.ts';
import { digest } from '#world/digest.ts';
import { contentOf, dot } from '../causality/examples.ts';
import { decoded, encoded, Holder, HOLDER, memberId, nameFor, OWNERS, RING, type OwnerAnswer } from './holder.ts';

const [A, B] = [OWNERS[0]!, OWNERS[1]!];
const TAKEN: OwnerAnswer = { kind: 'reply', reply: { durable: true } };

/** An answer that a test gives when it likes. */
function later(): { readonly answer: Promise<OwnerAnswer>; give(answer: OwnerAnswer): void } {
  let give: (answer: OwnerAnswer) => void = () => undefined;
  const answer = new Promise<OwnerAnswer>((resolve) => {
    give = resolve;
  });
  return { answer, give: (value) => give(value) };
}

test('an owner that comes back gets what waits for it, durably, and nobody else is bothered', async () => {
  const holder = new Holder();
  holder.delivery.start();
  await holder.store(A, 'k1', encoded(1, 5));
  await holder.store(A, 'k2', encoded(1, 6));
  await holder.store(B, 'k1', encoded(1, 5));
  await holder.run(60_000);
  expect(holder.given).toEqual([]);
  holder.cameBack(memberId(A));
  await holder.run(50);
  expect(holder.given.map(({ to }) => to)).toEqual([memberId(A), memberId(A)]);
  expect(holder.given[0]!.request).toMatchObject({
    durable: true,
    scope: { n: 3, partition: 0, bucket: 'b', epoch: 3 },
  });
  expect(holder.table.figures.of(A).rows).toBe(0);
  expect(holder.table.figures.of(B).rows).toBe(1);
  expect(holder.process.metrics.value('quoral_hints_delivered_total')).toBe(2);
  expect(holder.machine.log.entries.some(({ event }) => event === 'hints-delivered')).toBe(true);
});

test('a disk that cannot be read ends a delivery, and not the process; later it goes on', async () => {
  const holder = new Holder();
  holder.delivery.start();
  await holder.store(A, 'k', encoded(1, 5));
  const { table } = holder;
  const entries = table.entries.bind(table);
  table.entries = () => {
    throw new Error('a page of the disk is damaged');
  };
  holder.cameBack(memberId(A));
  await holder.run(50);
  expect(holder.given).toEqual([]);
  expect(holder.machine.log.entries.some(({ event }) => event === 'hints-not-delivered')).toBe(true);
  table.entries = entries;
  await holder.run(5000);
  expect(holder.given).toHaveLength(1);
});

test('what comes to a hint while it is being delivered is not lost', async () => {
  const holder = new Holder();
  holder.delivery.start();
  await holder.store(A, 'k', encoded(1, 5));
  const first = later();
  holder.answer = () => (holder.given.length === 1 ? first.answer : Promise.resolve(TAKEN));
  holder.cameBack(memberId(A));
  await holder.run(10);
  expect(holder.given).toHaveLength(1);
  await holder.store(A, 'k', encoded(2, 6));
  first.give(TAKEN);
  await holder.run(5000);
  expect(holder.given).toHaveLength(2);
  const both = joinStates(decoded(encoded(1, 5)), decoded(encoded(2, 6)), 'siblings');
  expect(decoded(holder.given[1]!.request.state)).toEqual(both);
  expect(holder.table.figures.rows).toBe(0);
});

test('killed between the answer and the removal it delivers once more, after the start, by itself', async () => {
  const holder = new Holder();
  holder.delivery.start();
  await holder.store(A, 'k', encoded(1, 5));
  holder.answer = () => {
    holder.crash();
    return Promise.resolve(TAKEN);
  };
  holder.cameBack(memberId(A));
  await holder.run(10);
  holder.answer = () => Promise.resolve(TAKEN);
  holder.boot();
  holder.delivery.start();
  await holder.run(holder.settings.interval + 10);
  expect(holder.given).toHaveLength(2);
  expect(holder.given[1]!.request.state).toEqual(holder.given[0]!.request.state);
  expect(holder.table.figures.rows).toBe(0);
});

test('a note about the own record delivers the record as it is then, and goes when the record is gone', async () => {
  const holder = new Holder();
  holder.delivery.start();
  const note = { state: null, own: true, sole: false, low: 1 };
  for (const key of ['k', 'gone'])
    await holder.machine.simulation.settle(holder.table.store(nameFor(A, key), note, 'siblings', true));
  holder.records.set('k', encoded(1, 8));
  holder.cameBack(memberId(A));
  await holder.run(2000);
  expect(holder.given.map(({ request }) => request.state)).toEqual([encoded(1, 8)]);
  expect(holder.table.figures.rows).toBe(0);
  expect(holder.process.metrics.value('quoral_hints_dropped_total', { reason: 'nothing-left' })).toBe(1);
});

test('when the owner has lost its place all current owners get the hint, and all must have taken it', async () => {
  const holder = new Holder();
  holder.delivery.start();
  await holder.store(HOLDER.index, 'k', encoded(1, 5));
  for (const owner of OWNERS) holder.reachable.add(memberId(owner));
  const refusals = new Set([memberId(B)]);
  holder.answer = (to) => Promise.resolve(refusals.has(to) ? { kind: 'not-sent', reason: 'unreachable' } : TAKEN);
  await holder.run(holder.settings.interval + 10);
  expect(holder.given.slice(0, 3).map(({ to }) => to)).toEqual(OWNERS.map(memberId));
  expect(holder.table.figures.rows).toBe(1);
  refusals.clear();
  await holder.run(60_000);
  expect(holder.table.figures.rows).toBe(0);
});

test('a hint for a member that has lost its place waits for those who have it now, also when it cannot be reached', async () => {
  const holder = new Holder();
  holder.delivery.start();
  const stranger = RING.members.find(({ index }) => !OWNERS.includes(index) && index !== HOLDER.index)!.index;
  await holder.store(stranger, 'k', encoded(1, 5));
  for (const owner of OWNERS.slice(1)) holder.cameBack(memberId(owner));
  await holder.run(60_000);
  expect(holder.given).toEqual([]);
  holder.cameBack(memberId(A));
  await holder.run(120_000);
  expect(holder.given.map(({ to }) => to)).toEqual(OWNERS.map(memberId));
  expect(holder.table.figures.rows).toBe(0);
});

test('a hint for a member that has lost its place goes on its way again after a failure, in the same epoch', async () => {
  const holder = new Holder();
  holder.delivery.start();
  const stranger = RING.members.find(({ index }) => !OWNERS.includes(index) && index !== HOLDER.index)!.index;
  await holder.store(stranger, 'k', encoded(1, 5));
  for (const owner of OWNERS) holder.cameBack(memberId(owner));
  holder.answer = () => Promise.resolve({ kind: 'refused', code: 'overloaded', detail: '', value: 0 });
  await holder.run(holder.settings.interval + 10);
  expect(holder.given).not.toEqual([]);
  expect(holder.table.figures.rows).toBe(1);
  holder.answer = () => Promise.resolve(TAKEN);
  await holder.run(60_000);
  expect(holder.table.figures.rows).toBe(0);
});

test('of what waits for one that cannot be reached only that is looked at for which others have taken its place', async () => {
  const holder = new Holder();
  holder.delivery.start();
  // Of partition 0 it is an owner; of another one it is not.
  const lost = Array.from({ length: RING.partitionCount }, (_, p) => p).find(
    (p) => !ownersOf(RING, 3, p).owners.includes(A),
  )!;
  await holder.store(A, 'k', encoded(1, 5));
  const hint = { state: encoded(1, 6), own: false, sole: true, low: 1 };
  const elsewhere = { ...nameFor(A, 'e'), partition: lost };
  await holder.machine.simulation.settle(holder.table.store(elsewhere, hint, 'siblings', true));
  const read: string[] = [];
  const { table } = holder;
  const reading = table.read.bind(table);
  table.read = (row) => {
    read.push(fromUtf8(hintName(row).key));
    return reading(row);
  };
  for (const { id, index } of RING.members) if (index !== A) holder.reachable.add(id);
  await holder.run(60_000);
  expect(new Set(read)).toEqual(new Set(['e']));
  expect(new Set(holder.given.map(({ to }) => to))).toEqual(new Set(ownersOf(RING, 3, lost).owners.map(memberId)));
  expect(holder.table.figures.rows).toBe(1);
});

test('a note for a member that has lost its place goes without a word when this node owns the key', async () => {
  const holder = new Holder();
  holder.delivery.start();
  const note = { state: null, own: true, sole: false, low: 1 };
  const mine = Array.from({ length: RING.partitionCount }, (_, p) => p).find((p) => {
    const { owners } = ownersOf(RING, 3, p);
    return owners.includes(HOLDER.index) && !owners.includes(A);
  })!;
  const names = [
    { ...nameFor(A, 'mine'), partition: mine },
    { ...nameFor(A, 'owned'), partition: mine },
  ] as const;
  holder.records.set('mine', encoded(1, 8));
  holder.records.set('owned', encoded(1, 8));
  await holder.machine.simulation.settle(holder.table.store(names[0], note, 'siblings', true));
  // A note that bears a state, perhaps the only copy, is delivered as any other hint is.
  const both = { ...note, state: encoded(1, 9) };
  await holder.machine.simulation.settle(holder.table.store(names[1], both, 'siblings', true));
  for (const { id, index } of RING.members) if (index !== A) holder.reachable.add(id);
  await holder.run(60_000);
  expect(new Set(holder.given.map(({ request }) => fromUtf8(request.key)))).toEqual(new Set(['owned']));
  expect(holder.process.metrics.value('quoral_hints_dropped_total', { reason: 'owner-left' })).toBe(1);
  expect(holder.table.figures.rows).toBe(0);
});

test('a disk that takes nothing away any more is told, and nothing breaks', async () => {
  const holder = new Holder();
  holder.delivery.start();
  await holder.store(A, 'k', encoded(1, 5));
  holder.table.forget = () => Promise.reject(new Error('no disk'));
  holder.cameBack(memberId(A));
  await holder.run(1000);
  expect(holder.table.figures.rows).toBe(1);
  const told = holder.machine.log.entries.find(({ event }) => event === 'hints-not-delivered');
  expect(told?.fields).toMatchObject({ peer: memberId(A), left: 1, reason: 'Error: no disk' });
});

test('an only copy that has grown old is given to the other owners; with a majority it makes room, without it stays', async () => {
  const holder = new Holder();
  holder.delivery.start();
  const old = hybridTimeAt(holder.process.clock.wall() - 2 * 3_600_000);
  await holder.store(A, 'k', encoded(1, 5), { low: old, sole: true });
  holder.cameBack(memberId(B));
  await holder.run(60_000);
  expect(holder.given.every(({ to }) => to === memberId(B))).toBe(true);
  expect(holder.table.read(hintKey(nameFor(A, 'k')))!.sole).toBe(true);
  holder.cameBack(memberId(OWNERS[2]!));
  await holder.run(2 * holder.settings.interval + 100);
  expect(new Set(holder.given.map(({ to }) => to))).toEqual(new Set(OWNERS.slice(1).map(memberId)));
  expect(holder.table.figures.rows).toBe(0);
  expect(holder.process.metrics.value('quoral_hints_dropped_total', { reason: 'age' })).toBe(1);
});

test('no hint goes for its age while this node does not serve, for its clock may have jumped', async () => {
  const holder = new Holder();
  const { metrics, clock } = holder.process;
  await holder.store(A, 'k', encoded(1, 5), { low: hybridTimeAt(clock.wall() - 2 * 3_600_000) });
  for (const ready of [false, true]) {
    holder.ready = ready;
    await holder.machine.simulation.settle(holder.room.make());
    expect(metrics.value('quoral_hints_dropped_total', { reason: 'age' })).toBe(ready ? 1 : 0);
  }
});

test('more only copies than fit on a page are given to the others, also behind those that cannot be', async () => {
  const holder = new Holder({ interval: 1000, bytesPerSecond: 1024 ** 2 });
  const old = hybridTimeAt(holder.process.clock.wall() - 2 * 3_600_000);
  for (let i = 0; i < 300; i++) await holder.store(A, `k${i}`, encoded(1, 5), { low: old + i, sole: true });
  // Of the first page nobody takes anything.
  holder.answer = (_to, { key }) =>
    Promise.resolve(
      Number(String.fromCharCode(...key).slice(1)) < 128
        ? { kind: 'refused', code: 'corrupt-row', detail: '', value: 0 }
        : TAKEN,
    );
  for (const owner of OWNERS.slice(1)) holder.reachable.add(memberId(owner));
  holder.delivery.start();
  await holder.run(5000);
  expect(holder.table.figures.rows).toBe(128);
});

test('hints of a dropped bucket are thrown away and counted, those of one not heard of yet wait', async () => {
  const holder = new Holder();
  holder.delivery.start();
  await holder.store(A, 'k', encoded(1, 5));
  const ahead = { ...nameFor(A, 'k'), incarnation: 2 };
  const hint = { state: encoded(1, 5), own: false, sole: true, low: 1 };
  await holder.machine.simulation.settle(holder.table.store(ahead, hint, 'siblings', true));
  holder.facts.bucket = { ...holder.facts.bucket, incarnation: 1, version: epoch(3) };
  holder.cameBack(memberId(A));
  await holder.run(5000);
  expect(holder.given).toEqual([]);
  expect(holder.table.read(hintKey(ahead))).toBeDefined();
  expect(holder.table.figures.rows).toBe(1);
  expect(holder.process.metrics.value('quoral_hints_dropped_total', { reason: 'bucket-dropped' })).toBe(1);
});

test('an owner that takes nothing is left alone for longer and longer, and its reason is told', async () => {
  const holder = new Holder();
  holder.delivery.start();
  await holder.store(A, 'k', encoded(1, 5));
  holder.answer = () => Promise.resolve({ kind: 'refused', code: 'overloaded', detail: '', value: 0 });
  holder.cameBack(memberId(A));
  await holder.run(120_000);
  expect(holder.given.length).toBeGreaterThan(5);
  expect(holder.given.length).toBeLessThan(12);
  const told = holder.machine.log.entries.find(({ event }) => event === 'hints-not-delivered');
  expect(told?.fields).toMatchObject({ peer: memberId(A), reason: `${memberId(A)}: overloaded`, left: 1 });
  holder.answer = () => Promise.resolve(TAKEN);
  holder.cameBack(memberId(A));
  await holder.run(10);
  expect(holder.table.figures.rows).toBe(0);
});

test('one hint that its owner cannot take does not stop the others', async () => {
  const holder = new Holder();
  holder.delivery.start();
  for (const key of ['bad', 'good', 'other']) await holder.store(A, key, encoded(1, 5));
  holder.answer = (_to, { key }) =>
    Promise.resolve(key.length === 3 ? { kind: 'refused', code: 'corrupt-row', detail: '', value: 0 } : TAKEN);
  holder.cameBack(memberId(A));
  await holder.run(100);
  expect(holder.table.figures.of(A).rows).toBe(1);
});

test('it keeps to its rate, to the hints under way and to the owners at once', async () => {
  const state = encoded(1, 5);
  const holder = new Holder({ bytesPerSecond: 1000, inFlightMax: 2, targetsMax: 1 });
  holder.delivery.start();
  for (let i = 0; i < 30; i++) await holder.store(i % 3 === 0 ? B : A, `key${i}`, state);
  const bytes = holder.table.figures.bytes;
  let underWay = 0;
  let most = 0;
  const targets = new Set<string>();
  holder.answer = async (to) => {
    most = Math.max(most, ++underWay);
    targets.add(to);
    await new Promise<void>((resolve) => holder.process.clock.after(5, resolve));
    underWay--;
    if (underWay === 0) targets.clear();
    expect(targets.size).toBeLessThanOrEqual(1);
    return TAKEN;
  };
  const start = holder.machine.simulation.now;
  holder.cameBack(memberId(A));
  holder.cameBack(memberId(B));
  await holder.machine.simulation.run(() => holder.table.figures.rows === 0, 60_000);
  const seconds = (holder.machine.simulation.now - start) / 1000;
  expect(seconds).toBeGreaterThan((bytes - 250) / 1000 - 0.3);
  expect(seconds).toBeLessThan(bytes / 1000 + 2);
  expect(most).toBeLessThanOrEqual(2);
  expect(RING.members).toHaveLength(5);
});

test('of large states few are on their way at once, each has the time that a slow way takes, and they count at their rate', async () => {
  const large = 700_000;
  const holder = new Holder({ timeout: 10_000, bytesPerSecond: 1_000_000 }, { bytesMax: 1024 ** 3, ageMax: 3_600_000 });
  holder.delivery.start();
  const content = { ...contentOf(''), value: new Uint8Array(large) };
  const state = { vector: [dot(1, 5)], versions: [{ dot: dot(1, 5), content, expiresAt: 0 }] };
  for (let i = 0; i < 10; i++) {
    holder.records.set(`key${i}`, encodeState(state, digest.crc32));
    await holder.note(A, `key${i}`);
  }
  let underWay = 0;
  let most = 0;
  holder.answer = async () => {
    most = Math.max(most, ++underWay);
    await new Promise<void>((resolve) => holder.process.clock.after(2000, resolve));
    underWay--;
    return TAKEN;
  };
  const start = holder.machine.simulation.now;
  holder.cameBack(memberId(A));
  await holder.machine.simulation.run(() => holder.table.figures.rows === 0, 60_000);
  expect(most).toBe(2);
  expect(holder.given).toHaveLength(10);
  for (const { patience } of holder.given) expect(patience).toBeGreaterThan(10_000 + large / 100);
  expect(holder.machine.simulation.now - start).toBeGreaterThan(6000);
});
