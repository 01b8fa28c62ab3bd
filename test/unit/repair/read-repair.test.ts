/** Read repair: one of a key at a time, bounded, after a short pause, with the origin of the read. */

import { beforeEach, expect, test } from 'vitest';
import { decodeState } from '#causality/state-codec.ts';
import { EMPTY_STATE, type State } from '#causality/state.ts';
import { utf8 } from '#kernel/bytes.ts';
import { epoch, nodeId, nodeIndex, type NodeId } from '#kernel/identity.ts';
import { ReadRepair, type ReadDifference, type ReadRepairOptions } from '#repair/read-repair.ts';
import type { StoreRequest } from '#replica/messages.ts';
import { Refusal } from '#wire/message.ts';
import { OneMachine, type OneProcess } from '../replica/worlds.ts';

const SCOPE = { epoch: epoch(1), n: 3, partition: 0, bucket: 'b', incarnation: 0, definition: epoch(0) };
const DOT = { node: nodeIndex(0), tenure: 1, counter: 5 };
const MERGED: State = { vector: [DOT], versions: [{ dot: DOT, content: null, expiresAt: 0 }] };

function difference(key: string, ...behind: string[]): ReadDifference {
  const answers = [
    { from: nodeId('n1'), state: MERGED },
    ...behind.map((from) => ({ from: nodeId(from), state: EMPTY_STATE })),
  ];
  return { scope: SCOPE, requestId: 'r', key: utf8(key), merged: MERGED, origin: 77, answers };
}

let machine: OneMachine;
let world: OneProcess;
let pushed: { readonly to: NodeId; readonly request: StoreRequest; readonly priority: string | undefined }[];
let finish: (() => void)[];
let repair: ReadRepair;

beforeEach(() => {
  machine = new OneMachine();
  world = machine.boot();
  pushed = [];
  finish = [];
  repair = new ReadRepair({
    world,
    self: nodeId('n1'),
    ...{ inFlightMax: 3, timeout: 1000, jitter: 10 },
    replica: {
      store: (request: StoreRequest) => {
        pushed.push({ to: nodeId('n1'), request, priority: undefined });
        return Promise.reject(new Refusal('disk-failed', 'for the test'));
      },
    },
    messaging: {
      call: (to: NodeId, _type: unknown, request: StoreRequest, { priority }: { priority: string }) => {
        pushed.push({ to, request, priority });
        return new Promise((resolve) => finish.push(() => resolve({ kind: 'lost', reason: 'timeout' })));
      },
    },
  } as unknown as ReadRepairOptions);
});

const pass = (): Promise<unknown> => machine.simulation.run(machine.simulation.now + 20);
const metric = (name: string): number => world.metrics.value(name);

test('those that are behind get the joined state in the background, with the origin of the read', async () => {
  repair.afterRead(difference('k', 'n2', 'n3'));
  expect(pushed).toEqual([]);
  expect(metric('quoral_read_repairs_in_flight')).toBe(2);
  await pass();
  expect(pushed.map(({ to, priority }) => [to, priority])).toEqual([
    ['n2', 'background'],
    ['n3', 'background'],
  ]);
  for (const { request } of pushed) {
    expect(request.origin).toBe(77);
    expect(decodeState(request.state, world.digest.crc32)).toEqual(MERGED);
  }
});

test('a second repair of a key is left to the first, until that has ended', async () => {
  repair.afterRead(difference('k', 'n2'));
  repair.afterRead(difference('k', 'n2'));
  await pass();
  repair.afterRead(difference('k', 'n2', 'n3'));
  repair.afterRead(difference('other', 'n2'));
  await pass();
  expect(pushed.length).toBe(2);
  expect(metric('quoral_read_repairs_repeated_total')).toBe(2);
  expect(metric('quoral_read_repairs_left_out_total')).toBe(0);
  for (const end of finish) end();
  await pass();
  expect(metric('quoral_read_repairs_in_flight')).toBe(0);
  repair.afterRead(difference('k', 'n2'));
  await pass();
  expect(pushed.length).toBe(3);
});

test('beyond the bound repairs are left out and counted', async () => {
  repair.afterRead(difference('a', 'n2', 'n3'));
  repair.afterRead(difference('b', 'n2', 'n3'));
  repair.afterRead(difference('c', 'n2'));
  await pass();
  expect(pushed.length).toBe(3);
  expect(metric('quoral_read_repairs_left_out_total')).toBe(2);
  expect(metric('quoral_read_repairs_in_flight')).toBe(3);
});

test('nobody behind, nothing to do; a refusal of the own replica ends a repair', async () => {
  repair.afterRead(difference('k'));
  expect(metric('quoral_read_repairs_in_flight')).toBe(0);
  repair.afterRead({ ...difference('k'), answers: [{ from: nodeId('n1'), state: EMPTY_STATE }] });
  await pass();
  expect(pushed.map(({ to }) => to)).toEqual(['n1']);
  expect(metric('quoral_read_repairs_in_flight')).toBe(0);
});

test('once stopped, nothing begins any more, nor what waits', async () => {
  repair.afterRead(difference('k', 'n2'));
  repair.stop();
  repair.afterRead(difference('l', 'n2'));
  await pass();
  expect(pushed).toEqual([]);
  expect(metric('quoral_read_repairs_in_flight')).toBe(0);
});
