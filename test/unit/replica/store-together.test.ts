import { beforeEach, expect, test } from 'vitest';
import { encodeState } from '#causality/state-codec.ts';
import { EMPTY_STATE } from '#causality/state.ts';
import { utf8 } from '#kernel/bytes.ts';
import { epoch } from '#kernel/identity.ts';
import { GroupCommit } from '#replica/group-commit.ts';
import type { StoreRequest } from '#replica/messages.ts';
import { storeTogether } from '#replica/store-together.ts';
import { RECORDS } from '#replica/tables.ts';
import { MalformedMessage, Refusal } from '#wire/message.ts';
import { digest } from '#world/digest.ts';
import { OneMachine } from './worlds.ts';

const SCOPE = { epoch: epoch(7), n: 3, partition: 200, bucket: 'b', incarnation: 0, definition: epoch(0) };
const STATE = encodeState(EMPTY_STATE, digest.crc32);
const STALE = new Refusal('stale-epoch', 'owners changed');

let machine: OneMachine;
let commits: GroupCommit;

beforeEach(() => {
  machine = new OneMachine();
  commits = new GroupCommit({
    ...machine.boot(),
    prologue: () => undefined,
    epilogue: () => undefined,
    beforeCommit: () => undefined,
    takeBack: () => undefined,
    onFailure: () => undefined,
    groupSizeMax: 2,
    queueMax: 4,
    queueBytesMax: 1000,
  });
});

/** Keys that begin with `x` are refused. */
function store(keys: readonly string[], state = STATE): Promise<readonly (Error | undefined)[]> {
  const requests = keys.map((key): StoreRequest => {
    return { scope: SCOPE, requestId: key, key: utf8(key), state, durable: true, origin: 1 };
  });
  return storeTogether(commits, requests, {
    crc32: digest.crc32,
    trace: undefined,
    merge: ({ requestId, key }, _incoming, transaction) => {
      if (requestId.startsWith('x')) throw STALE;
      transaction.put(RECORDS, key, state);
    },
  });
}

test('each fails for itself, and all are known when the last has ended, in whichever group', async () => {
  const failures = await machine.simulation.settle(store(['a', 'x', 'b']));
  expect(failures).toEqual([undefined, STALE, undefined]);
});

test('what finds no place in the queue is refused, and the others are taken', async () => {
  const failures = await machine.simulation.settle(store(['a', 'b', 'c', 'd', 'e']));
  expect(failures.map((failure) => (failure as Refusal | undefined)?.code)).toEqual([
    ...[undefined, undefined, undefined, undefined],
    'overloaded',
  ]);
});

test('a sync that fails fails all that it was to make durable, and says once what had failed before', async () => {
  machine.medium.failNextSync();
  const failures = await machine.simulation.settle(store(['a', 'x']));
  expect(failures.map((failure) => (failure as Refusal).code)).toEqual(['disk-uncertain', 'stale-epoch']);
});

test('nothing is done at once, and what is no state is a malformed message', async () => {
  expect(await store([])).toEqual([]);
  expect(() => store(['a'], utf8('no state'))).toThrow(MalformedMessage);
});
