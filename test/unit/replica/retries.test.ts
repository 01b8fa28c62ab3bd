/** What a replica remembers of requests with idempotency keys, and for how long. */

import { expect, test, vi } from 'vitest';
import { HybridClock } from '#causality/hybrid-clock.ts';
import { EMPTY_STATE, type State } from '#causality/state.ts';
import { applyWrite } from '#causality/write.ts';
import { ByteWriter } from '#kernel/binary.ts';
import { toHex, utf8 } from '#kernel/bytes.ts';
import { nodeIndex } from '#kernel/identity.ts';
import { keyOfNumber } from '#kernel/number-key.ts';
import { AlreadyMinted } from '#replica/refusals.ts';
import { Retries } from '#replica/retries.ts';
import { decodeEntry, type RetryRow } from '#replica/retry-codec.ts';
import { settleRetry } from '#replica/settle-retries.ts';
import { NODE, RETRIES, RETRY_COUNT, RETRY_EXPIRY, RETRY_LOG } from '#replica/tables.ts';
import { Refusal } from '#wire/message.ts';
import { digest } from '#world/digest.ts';
import { DiskError, type Row } from '#world/world.ts';
import { CONTENT, KEY, mark, OneReplica, SCOPE, WINDOW } from './one-replica.ts';

const MINUTE = 60_000;

/** As earlier releases have stored a row. */
function oldRow({ dot, until, fingerprint }: RetryRow): Uint8Array {
  const writer = new ByteWriter();
  writer.u8(1);
  for (const number of [dot.node, dot.tenure, dot.counter, until]) writer.varint(number);
  writer.raw(fingerprint);
  writer.u32(digest.crc32(writer.written(0)));
  return writer.finish();
}

/** What another owner made of the same request, or of another one. */
function elsewhere(
  counter: number,
  node = 7,
  before: State = EMPTY_STATE,
  context: State['vector'] = [],
  request?: string,
) {
  const dot = { node: nodeIndex(node), tenure: 1, counter };
  const conflicts = 'siblings';
  const state = applyWrite(before, { context, dot, content: CONTENT, expiresAt: 0, conflicts, request });
  return { state, dot, row: { ...mark(1), dot, until: Number.MAX_SAFE_INTEGER } };
}

test('the row is written with the write, and found again after a restart', async () => {
  const one = await OneReplica.boot();
  const minted = await one.settle(one.mint(1));
  expect(minted.retry).toMatchObject({ ...mark(1), dot: minted.dot });
  expect(minted.retry!.until - WINDOW - one.process.clock.wall()).toBeCloseTo(0, -2);
  one.machine.host.kill();
  const again = await OneReplica.boot('siblings', {}, one.machine);
  const asked = { scope: SCOPE, requestId: 'r', key: KEY, retryId: mark(1).id };
  expect(again.replica.fetch(asked, Infinity)).toMatchObject({ retry: minted.retry });
  expect(again.replica.retries.ofKey(SCOPE, KEY)).toEqual([minted.retry]);
  expect(again.replica.retries.ofKey(SCOPE, utf8('other'))).toEqual([]);
  await expect(again.settle(again.mint(1))).rejects.toThrow(AlreadyMinted);
});

test('to who asks only whether a request is new, that is all that is said, and whatever is known of it otherwise', async () => {
  const one = await OneReplica.boot('siblings', { retriesMax: 2 });
  const ask = (id: number, key = KEY) => {
    const { fingerprint, id: retryId } = mark(id);
    return one.replica.fetch({ scope: SCOPE, requestId: 'r', key, retryId, fingerprint }, Infinity);
  };
  expect(ask(1)).toEqual({ isNew: true });
  const minted = await one.settle(one.mint(1));
  expect(ask(1)).toMatchObject({ state: minted.encoded, retry: minted.retry });
  expect(ask(2)).toEqual({ isNew: true });
  // The same key with another request is known, too.
  expect(
    one.replica.fetch(
      { scope: SCOPE, requestId: 'r', key: KEY, retryId: mark(1).id, fingerprint: mark(2).fingerprint },
      0,
    ),
  ).toMatchObject({
    retry: minted.retry,
  });
  // A version that names the request, whose row has not come.
  const foreign = elsewhere(4096 * one.process.clock.wall(), 7, EMPTY_STATE, [], toHex(mark(3).fingerprint));
  await one.store(foreign.state, []);
  expect(ask(3)).toMatchObject({ retry: null, retriesFull: false });
  await one.settle(one.mint(4));
  expect(ask(5)).toMatchObject({ retry: null, retriesFull: true });
});

test('what a group has counted is not there when it was not committed', async () => {
  const one = await OneReplica.boot();
  await one.settle(one.mint(1));
  one.machine.medium.capacityBytes = 8;
  await expect(one.settle(one.mint(2))).rejects.toMatchObject({ kind: 'full' });
  one.machine.medium.capacityBytes = Infinity;
  expect(one.rows()).toEqual([1, 1]);
  await one.settle(one.mint(3));
  expect(one.rows()).toEqual([2, 2]);
});

test('a row that was written anew stays until its own time is over', async () => {
  const one = await OneReplica.boot();
  const now = one.process.clock.wall();
  const first = elsewhere(5);
  await one.store(first.state, [{ ...first.row, until: now }]);
  // Beyond the window of the first: a new request that has taken the row over.
  const second = elsewhere(4096 * (now + WINDOW), 8);
  await one.store(second.state, [{ ...second.row, until: now + WINDOW }]);
  await one.machine.simulation.run(one.machine.simulation.now + 2 * MINUTE);
  expect(one.rows()).toEqual([1, 1]);
  await one.machine.simulation.run(one.machine.simulation.now + WINDOW);
  expect(one.rows()).toEqual([0, 0]);
});

test('two attempts in one group are one write', async () => {
  const one = await OneReplica.boot();
  const both = await one.settle(Promise.allSettled([one.mint(1), one.mint(1), one.mint(1, utf8('other key'))]));
  expect(both.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(one.rows()).toEqual([2, 2]);
});

test('beyond the bound new ones are refused and none is forgotten, until windows are over', async () => {
  const one = await OneReplica.boot('siblings', { retriesMax: 2 });
  for (const id of [1, 2]) await one.settle(one.mint(id));
  const refused = await one.settle(one.mint(3).catch((error: unknown) => error));
  expect(refused).toMatchObject({ name: Refusal.name, code: 'overloaded' });
  expect(one.rows()).toEqual([2, 2]);
  // What another owner has minted is taken along all the same, or its write would be without its row.
  await one.store(elsewhere(5).state, [{ ...elsewhere(5).row, ...mark(9) }]);
  expect(one.rows()).toEqual([3, 3]);
  await one.machine.simulation.run(one.machine.simulation.now + WINDOW + 3 * MINUTE);
  one.machine.medium.capacityBytes = Infinity;
  expect(one.rows()).toEqual([1, 1]);
  await one.settle(one.mint(3));
});

test('rows that a clock far ahead has given their time hold up no others', async () => {
  const one = await OneReplica.boot();
  const far = 3 * 60 * MINUTE;
  const ahead = elsewhere(5);
  await one.store(ahead.state, [{ ...ahead.row, until: one.process.clock.wall() + far }]);
  for (const id of [2, 3]) await one.settle(one.mint(id));
  await one.machine.simulation.run(one.machine.simulation.now + WINDOW + 2 * MINUTE);
  expect(one.rows()).toEqual([1, 1]);
  expect(one.replica.retries.ofKey(SCOPE, KEY)).toMatchObject([{ dot: ahead.dot }]);
  await one.machine.simulation.run(one.machine.simulation.now + far);
  expect(one.rows()).toEqual([0, 0]);
});

test('a row that moves to the end of the log comes before none that was written since', async () => {
  const one = await OneReplica.boot();
  const far = one.process.clock.wall() + 3 * 60 * MINUTE;
  const [first, second] = [elsewhere(5), elsewhere(9, 8)];
  await one.store(second.state, [{ ...second.row, until: far }]);
  // It settles to the smaller dot, whose time is no longer than usual: it stays where it is.
  await one.store(first.state, [{ ...first.row, until: one.process.clock.wall() + WINDOW }]);
  await one.settle(one.mint(2));
  await one.machine.simulation.run(one.machine.simulation.now + 5000);
  expect(one.replica.retries.read(SCOPE, KEY, mark(1).id)).toMatchObject({ dot: first.dot });
  expect(one.rows()).toEqual([2, 2]);
});

test('an entry that cannot be read: nobody is told that a request is new while it would have been kept', async () => {
  const one = await OneReplica.boot();
  await one.settle(one.mint(1));
  await one.settle(one.mint(2, utf8('other')));
  one.machine.host.kill();
  one.machine.medium.flipByte(RETRY_LOG, keyOfNumber(1), 3);
  const again = await OneReplica.boot('siblings', {}, one.machine);
  const ask = (id: number, key = KEY) =>
    again.replica.fetch({ scope: SCOPE, requestId: 'r', key, retryId: mark(id).id }, Infinity);
  expect(ask(2, utf8('other'))).toMatchObject({ retry: { ...mark(2) } });
  expect(() => ask(1)).toThrow(Refusal);
  await expect(again.settle(again.mint(1))).rejects.toThrow(Refusal);
  expect(again.process.metrics.value('quoral_corrupt_retries_total')).toBe(1);
  await again.machine.simulation.run(again.machine.simulation.now + WINDOW + 2 * MINUTE);
  expect(ask(1)).toMatchObject({ retry: null });
  expect(again.process.disk.range(RETRY_LOG, { limit: 9 })).toEqual([]);
});

test('an entry that cannot be read costs its time once, whenever it comes to its end', async () => {
  const one = await OneReplica.boot();
  for (const id of [1, 2, 3]) await one.settle(one.mint(id));
  one.machine.host.kill();
  one.machine.medium.flipByte(RETRY_LOG, keyOfNumber(2), 3);
  const again = await OneReplica.boot('siblings', {}, one.machine);
  expect(() => again.replica.retries.read(SCOPE, KEY, mark(2).id)).toThrow(Refusal);
  await again.machine.simulation.run(again.machine.simulation.now + WINDOW + 2 * MINUTE);
  expect(again.rows()).toEqual([0, 0]);
  expect(again.replica.retries.read(SCOPE, KEY, mark(2).id)).toBeUndefined();
  expect(again.process.metrics.value('quoral_corrupt_retries_total')).toBe(1);
});

/** Two requests, 1 and 2, whose rows are as an earlier release has stored them. */
async function withOldRows() {
  const one = await OneReplica.boot();
  const [minted] = await one.settle(Promise.all([one.mint(1), one.mint(2)]));
  const { disk } = one.process;
  const [[key, bytes]] = disk.range(RETRY_LOG, { limit: 1 }) as [Row];
  const rows = decodeEntry(bytes, digest.crc32)!;
  await one.settle(
    disk.commit((transaction) => {
      transaction.delete(RETRY_LOG, key);
      for (const { name, row } of rows) transaction.put(RETRIES, name, oldRow(row));
      transaction.put(RETRY_EXPIRY, utf8('any'), new Uint8Array(1));
      transaction.put(NODE, RETRY_COUNT, Uint8Array.of(2));
    }).durable,
  );
  one.machine.host.kill();
  return { one, minted, names: rows.map(({ name }) => name) };
}

test('what an earlier release has left is taken into the log', async () => {
  const { one, minted } = await withOldRows();
  const again = await OneReplica.boot('siblings', {}, one.machine);
  expect(again.rows()).toEqual([2, 2]);
  expect(again.replica.retries.read(SCOPE, KEY, mark(1).id)).toEqual(minted.retry);
  for (const table of [RETRIES, RETRY_EXPIRY]) expect(again.process.disk.range(table, { limit: 1 })).toEqual([]);
  await expect(again.settle(again.mint(2))).rejects.toThrow(AlreadyMinted);
});

test('of rows of an earlier release that cannot be read nobody says that they never were', async () => {
  const { one, names } = await withOldRows();
  one.machine.medium.flipByte(RETRIES, names[0]!, 3);
  const again = await OneReplica.boot('siblings', {}, one.machine);
  expect(again.rows()).toEqual([1, 1]);
  await expect(again.settle(again.mint(1))).rejects.toThrow(Refusal);
  await expect(again.settle(again.mint(2))).rejects.toThrow(AlreadyMinted);
  await again.machine.simulation.run(again.machine.simulation.now + WINDOW + 2 * MINUTE);
  await again.settle(again.mint(1));
});

test('nor of those that a full disk has left where they were', async () => {
  const { one } = await withOldRows();
  const { disk, log, metrics } = one.machine.boot();
  vi.spyOn(disk, 'commit').mockImplementation(() => {
    throw new DiskError('full', 'the disk is full', false);
  });
  const limits = { retryWindow: WINDOW, retriesMax: 9, retryPurgeInterval: 1000 };
  const retries = new Retries({ disk, log, metrics, digest, limits, now: () => 1, remembered: () => undefined });
  expect(() => retries.read(SCOPE, KEY, mark(1).id)).toThrow(Refusal);
  expect(one.machine.log.entries.map(({ event }) => event)).toContain('retries-not-taken');
});

test('of a key that is written often the latest travel, each once', async () => {
  const one = await OneReplica.boot('siblings', { retriesMax: 10_000 });
  const early = elsewhere(5);
  const later = elsewhere(9, 8);
  await one.store(later.state, [later.row]);
  // It settles to the smaller dot, in a row that stands behind the other.
  await one.store(early.state, [early.row]);
  const idOf = (i: number): Uint8Array => Uint8Array.of(i, i >>> 8, ...new Uint8Array(14));
  const more = Array.from({ length: 4200 }, (_, i) => ({ ...early.row, id: idOf(i) }));
  for (let from = 0; from < more.length; from += 1000) await one.store(early.state, more.slice(from, from + 1000));
  const found = one.replica.retries.ofKey(SCOPE, KEY);
  expect(found.length).toBe(4096);
  expect(new Set(found.map(({ id }) => toHex(id))).size).toBe(4096);
  expect(found[0]).toEqual(more.at(-1));
  expect(one.replica.retries.read(SCOPE, KEY, mark(1).id)).toEqual(early.row);
});

test('rows are purged a page at a time, and the key may be used again', async () => {
  const one = await OneReplica.boot();
  await one.settle(Promise.all(Array.from({ length: 600 }, (_, i) => one.mint(1, utf8(`k${i}`)))));
  await one.machine.simulation.run(one.machine.simulation.now + WINDOW + MINUTE - 5000);
  expect(one.rows()).toEqual([600, 600]);
  await one.machine.simulation.run(one.machine.simulation.now + 10_000);
  expect(one.rows()).toEqual([0, 0]);
  await one.settle(one.mint(1, utf8('k0')));
  expect(one.rows()).toEqual([1, 1]);
});

test('of two attempts that meet here the later goes, live or not, and the first attempt stays remembered', async () => {
  const first = elsewhere(5, 7);
  const second = elsewhere(9, 8);
  for (const order of [
    [first, second],
    [second, first],
  ]) {
    const one = await OneReplica.boot();
    const states = [];
    for (const { state, row } of order) states.push(await one.store(state, [row]));
    expect(states[1]!.versions.map(({ dot }) => dot)).toEqual([first.dot]);
    expect(states[1]!.vector.map(({ counter }) => counter)).toEqual([5, 9]);
    expect(one.replica.retries.ofKey(SCOPE, KEY)).toEqual([first.row]);
  }
  // The first was superseded before the second came.
  const one = await OneReplica.boot();
  await one.store(first.state, [first.row]);
  const after = elsewhere(7, 9, first.state, first.state.vector);
  await one.store(after.state, []);
  expect((await one.store(second.state, [second.row])).versions.map(({ dot }) => dot)).toEqual([after.dot]);
});

test('a last-write-wins bucket does not drop by rows: the latest dot decides alone', async () => {
  const one = await OneReplica.boot('lww');
  await one.store(elsewhere(5, 7).state, [elsewhere(5, 7).row]);
  const state = await one.store(elsewhere(9, 8).state, [elsewhere(9, 8).row]);
  expect(state.versions.map(({ dot: { counter } }) => counter)).toEqual([9]);
  expect(one.replica.retries.ofKey(SCOPE, KEY)).toEqual([elsewhere(5, 7).row]);
});

test('a row whose request is another, or whose window was over, takes no version away', () => {
  const clock = new HybridClock({ wall: () => 1_764_000_000_000 });
  const dot = (counter: number) => ({ node: nodeIndex(1), tenure: 1, counter });
  const early = { ...mark(1), dot: dot(clock.tick()), until: 1_764_000_000_000 + WINDOW };
  const within = { ...early, dot: dot(early.dot.counter + 4096 * WINDOW) };
  const beyond = { ...early, dot: dot(early.dot.counter + 4096 * (WINDOW + 1)) };
  expect(settleRetry(early, within)).toEqual({ row: early, repeat: within.dot });
  expect(settleRetry(within, early)).toEqual({ row: early, repeat: within.dot });
  expect(settleRetry(early, beyond)).toEqual({ row: beyond, repeat: undefined });
  expect(settleRetry(beyond, early)).toEqual({ row: beyond, repeat: undefined });
  expect(settleRetry(early, { ...within, ...mark(1, 2) })).toEqual({ row: early, repeat: undefined });
  expect(settleRetry(early, early)).toEqual({ row: early, repeat: undefined });
});
