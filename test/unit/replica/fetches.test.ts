import { expect, test } from 'vitest';
import { joinStates } from '#causality/join.ts';
import { decodeOutline } from '#causality/outline.ts';
import type { State } from '#causality/state.ts';
import { decodeState, encodeState } from '#causality/state-codec.ts';
import { utf8 } from '#kernel/bytes.ts';
import type { FetchReply } from '#replica/messages.ts';
import { Records } from '#replica/records.ts';
import { recordKey, RECORDS } from '#replica/tables.ts';
import { digest } from '#world/digest.ts';
import { CONTENT, KEY, OneReplica, SCOPE } from './one-replica.ts';

const ROW_KEY = recordKey(SCOPE.bucket, SCOPE.incarnation, KEY);
const OF_KEY = { scope: SCOPE, requestId: 'r', key: KEY };

/** A version of another actor, with a value of so many bytes. */
function stateOf(counter: number, bytes: number): State {
  const content = { ...CONTENT, value: new Uint8Array(bytes).fill(counter) };
  const dot = { node: 1 as never, tenure: 1, counter };
  return { vector: [dot], versions: [{ dot, content, expiresAt: 0 }] };
}

async function outlineOf(one: OneReplica): Promise<FetchReply> {
  return one.settle(Promise.resolve(one.replica.fetch({ ...OF_KEY, valuesUpTo: 8192 }, Infinity)));
}

test('an outline of a large row is remembered, and never outlives the row', async () => {
  const one = await OneReplica.boot('lww');
  let known = stateOf(1, 300_000);
  await one.store(known, []);
  const counters: (number | undefined)[] = [];
  for (let counter = 2; counter < 6; counter++) {
    for (let i = 0; i < 2; i++) {
      const { outline } = await outlineOf(one);
      counters.push(decodeOutline(outline!, digest.crc32).vector[0]?.counter);
    }
    known = joinStates(known, stateOf(counter, 300_000), 'lww');
    await one.store(known, []);
  }
  expect(counters).toEqual([1, 1, 2, 2, 3, 3, 4, 4]);
  // For who takes more, and once the row is small, the values come.
  const { state } = await one.replica.fetch({ ...OF_KEY, valuesUpTo: 400_000 }, Infinity);
  expect(decodeState(state!, digest.crc32)).toEqual(known);
  await one.store(joinStates(known, stateOf(6, 10), 'lww'), []);
  expect(decodeState((await outlineOf(one)).state!, digest.crc32).versions[0]?.content?.value).toHaveLength(10);
});

test('the outline of a row that was damaged and is forgotten is forgotten too', async () => {
  const one = await OneReplica.boot('lww');
  await one.store(stateOf(1, 300_000), []);
  await outlineOf(one);
  const row = one.process.disk.get(RECORDS, ROW_KEY)!;
  row[row.length - 1000]! ^= 1;
  await one.settle(one.process.disk.commit((transaction) => transaction.put(RECORDS, ROW_KEY, row)).durable);
  expect(() => one.replica.record(SCOPE, KEY)).toThrow('damaged');
  await one.machine.simulation.run(one.machine.simulation.now + 1000);
  await expect(outlineOf(one)).rejects.toMatchObject({ code: 'corrupt-row' });
});

test('many reads of large rows take turns, and each gets the row as it is in its turn', async () => {
  const one = await OneReplica.boot('lww');
  await one.store(stateOf(1, 900_000), []);
  // In a later turn than that in which it was read just now.
  await one.machine.simulation.run(one.machine.simulation.now + 1);
  const replies = Array.from({ length: 12 }, () => one.replica.fetch(OF_KEY, Infinity));
  const waiting = replies.filter((reply) => reply instanceof Promise);
  expect(waiting).toHaveLength(10);
  const request = { ...OF_KEY, state: encodeState(stateOf(2, 800_000), digest.crc32), durable: true, origin: 1 };
  const stored = one.replica.store(request, Infinity);
  const early: number[] = [];
  for (const reply of waiting)
    void Promise.resolve(reply).then(({ state }) => {
      const { counter } = decodeState(state!, digest.crc32).vector[0]!;
      if (counter === 2 && one.replica.commits.synced(RECORDS, ROW_KEY) !== undefined) early.push(counter);
    });
  const answers = await one.settle(Promise.all(waiting));
  const counters = answers.map(({ state }) => decodeState(state!, digest.crc32).vector[0]!.counter);
  expect(counters).toEqual(counters.toSorted((a, b) => a - b));
  expect(counters).toContain(2);
  expect(early).toEqual([]);
  await one.settle(stored);
});

test('a large row is not read while its answer has no room on its way, and what is small is answered at once', async () => {
  const one = await OneReplica.boot('lww');
  await one.store(stateOf(1, 900_000), []);
  await outlineOf(one);
  await one.machine.simulation.run(one.machine.simulation.now + 1);
  const way = { room: 0 };
  const fetched: unknown[] = [];
  void Promise.resolve(one.replica.fetch(OF_KEY, Infinity, way)).then(({ state }) => fetched.push(state?.length));
  expect(one.replica.fetch({ ...OF_KEY, valuesUpTo: 8192 }, Infinity, way)).toMatchObject({
    outline: expect.anything(),
  });
  expect(one.replica.fetch({ ...OF_KEY, key: utf8('none') }, Infinity, way)).toEqual({ state: null });
  await one.machine.simulation.run(one.machine.simulation.now + 1000);
  expect(fetched).toEqual([]);
  way.room = 1;
  await one.machine.simulation.run(one.machine.simulation.now + 1000);
  expect(fetched).toEqual([expect.any(Number)]);
});

test('a read that has waited for its turn is refused when the replica may not answer any more', async () => {
  const one = await OneReplica.boot('lww');
  await one.store(stateOf(1, 900_000), []);
  await one.machine.simulation.run(one.machine.simulation.now + 1);
  const replies = Array.from({ length: 4 }, async () => await one.replica.fetch(OF_KEY, Infinity));
  one.refilling = true;
  const results = await one.settle(Promise.allSettled(replies));
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'rejected']);
});

test.each(['remove', 'forget', 'drop'] as const)('%s takes the outline of a row with it', (what) => {
  const log = { error: () => undefined, warn: () => undefined } as never;
  const metrics = { counter: () => ({ add: () => undefined }) } as never;
  const records = new Records({ log, metrics, digest, participants: [], damaged: () => undefined });
  const transaction = { delete: () => undefined } as never;
  records.keepOutline(SCOPE, KEY, 300_000, utf8('outline'));
  expect(records.outline(SCOPE, KEY, 8192)).toEqual(utf8('outline'));
  if (what === 'remove') records.remove(transaction, SCOPE, KEY, stateOf(1, 1));
  else if (what === 'forget') records.forget(transaction, SCOPE, KEY);
  else records.drop(transaction, ROW_KEY, utf8('row'), undefined);
  expect(records.outline(SCOPE, KEY, 8192)).toBeUndefined();
});
