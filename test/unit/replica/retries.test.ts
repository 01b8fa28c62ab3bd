/** What a replica remembers of requests with idempotency keys, and for how long. */

import { expect, test } from 'vitest';
import { HybridClock } from '#causality/hybrid-clock.ts';
import { EMPTY_STATE, type Conflicts, type State } from '#causality/state.ts';
import { decodeState, encodeState } from '#causality/state-codec.ts';
import { applyWrite } from '#causality/write.ts';
import { utf8 } from '#kernel/bytes.ts';
import { clusterId, epoch, nodeId, nodeIndex, storageId } from '#kernel/identity.ts';
import { takeStorage } from '#replica/node-storage.ts';
import { AlreadyMinted } from '#replica/refusals.ts';
import type { Minted } from '#replica/mint.ts';
import { Replica } from '#replica/replica.ts';
import type { RetryLimits } from '#replica/retries.ts';
import type { RetryRow } from '#replica/retry-codec.ts';
import { settleRetry } from '#replica/settle-retries.ts';
import { RETRIES, RETRY_EXPIRY } from '#replica/tables.ts';
import { foundRing } from '#ring/founding.ts';
import { Refusal } from '#wire/message.ts';
import { digest } from '#world/digest.ts';
import { OneMachine, type OneProcess } from './worlds.ts';

const RING = foundRing({
  clusterId: clusterId('0'.repeat(32)),
  founders: [{ id: nodeId('n1'), peer: 'n1:1', url: '', zone: 'z', weight: 1, storageId: storageId('0'.repeat(32)) }],
  partitionCount: 8,
  hashSeed: '0'.repeat(32),
});
const SELF = RING.members[0]!.index;
const SCOPE = { epoch: epoch(1), n: 3, partition: 0, bucket: 'b', incarnation: 0, definition: epoch(0) };
const KEY = utf8('k');
const CONTENT = { value: utf8('v'), contentType: 'a/b', contentEncoding: '', meta: [] };
const MINUTE = 60_000;
const WINDOW = 10 * MINUTE;

function mark(id: number, fingerprint = id) {
  return { id: new Uint8Array(16).fill(id), fingerprint: new Uint8Array(16).fill(fingerprint) };
}

class OneReplica {
  readonly machine: OneMachine;
  readonly process: OneProcess;
  readonly replica: Replica;

  private constructor(machine: OneMachine, process: OneProcess, replica: Replica) {
    this.machine = machine;
    this.process = process;
    this.replica = replica;
  }

  static async boot(conflicts: Conflicts = 'siblings', limits: Partial<RetryLimits> = {}, machine = new OneMachine()) {
    const process = machine.boot();
    const wall = (): number => process.clock.wall();
    const { disk, random } = process;
    const storage = await machine.simulation.settle(takeStorage({ disk, random, wall, id: nodeId('n1') }));
    const replica = new Replica({
      world: process,
      storage,
      knowledge: {
        epoch: () => epoch(1),
        ring: () => RING,
        self: () => SELF,
        bucket: () => ({ n: 3, incarnation: 0, version: epoch(0), conflicts }),
        refilling: () => false,
        catchUp: () => Promise.resolve(false),
      },
      flushNetwork: () => undefined,
      participants: [],
      limits: {
        siblingsMax: 100,
        entriesMax: 1000,
        stateBytesMax: 1 << 20,
        commitGroupMax: 128,
        commitQueueMax: 1000,
        commitQueueBytesMax: 1 << 30,
        ...{ retryWindow: WINDOW, retriesMax: 1000, retryPurgeInterval: 1000, ...limits },
      },
    });
    return new OneReplica(machine, process, replica);
  }

  mint(id: number, key = KEY): Promise<Minted> {
    const request = { scope: SCOPE, key, operating: null, content: CONTENT, context: [], expiresAt: 0, durable: true };
    return this.replica.mint({ ...request, mark: mark(id), after: 0, stillWanted: () => true }, () => false);
  }

  async store(state: State, retries: readonly RetryRow[]): Promise<State> {
    const encoded = encodeState(state, digest.crc32);
    const request = { scope: SCOPE, requestId: 'r', key: KEY, state: encoded, durable: true, origin: 1, retries };
    await this.settle(this.replica.store(request, Infinity));
    const { state: row } = await this.replica.fetch({ scope: SCOPE, requestId: 'r', key: KEY }, Infinity);
    return decodeState(row!, digest.crc32);
  }

  settle<T>(promise: Promise<T>): Promise<T> {
    return this.machine.simulation.settle(promise);
  }

  rows(): readonly number[] {
    const { disk } = this.process;
    return [RETRIES, RETRY_EXPIRY].map((table) => disk.range(table, { limit: 10_000 }).length);
  }
}

/** What another owner made of the same request, or of another one. */
function elsewhere(counter: number, node = 7, before: State = EMPTY_STATE, context: State['vector'] = []) {
  const dot = { node: nodeIndex(node), tenure: 1, counter };
  const conflicts = 'siblings';
  const state = applyWrite(before, { context, dot, content: CONTENT, expiresAt: 0, conflicts });
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
  expect(one.rows()).toEqual([1, 1]);
  await one.settle(one.mint(3));
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
