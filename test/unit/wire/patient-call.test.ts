/** What is called once more and what is not. */

import { expect, test } from 'vitest';
import { nodeId } from '#kernel/identity.ts';
import type { CallResult } from '#wire/messaging.ts';
import { callPatiently } from '#wire/patient-call.ts';
import { ManualClock } from './fake-world.ts';
import { echo, note, type Note } from './nodes.ts';

const REFUSED: CallResult<Note> = { kind: 'refused', code: 'overloaded', detail: '', value: 0 };
const FULL: CallResult<Note> = { kind: 'not-sent', reason: 'overloaded' };
const REPLY: CallResult<Note> = { kind: 'reply', reply: note('done') };

/** Makes a call that ends in these ways, one after the other; gives its result and when each was begun. */
async function called(
  ends: readonly CallResult<Note>[],
  budget = 1000,
  hasAlternative?: boolean,
): Promise<{ kind: string; begun: number[] }> {
  const clock = new ManualClock();
  const start = clock.now;
  const begun: number[] = [];
  const messaging = {
    call: () => {
      begun.push(clock.now - start);
      return Promise.resolve(ends[begun.length - 1]!) as Promise<CallResult<never>>;
    },
  };
  const random = { uint32: () => 2 ** 32 - 1, bytes: () => new Uint8Array() };
  const calling = callPatiently({ messaging, world: { clock, random } }, nodeId('n2'), echo, note('x'), {
    deadline: start + budget,
    ...(hasAlternative === undefined ? {} : { hasAlternative: () => hasAlternative }),
  });
  for (let i = 0; i < 250; i++) await clock.advance(20);
  return { kind: (await calling).kind, begun: begun.map(Math.round) };
}

test('too much work at either end is waited for, longer each time', async () => {
  expect(await called([REFUSED, FULL, REPLY])).toEqual({ kind: 'reply', begun: [0, 20, 60] });
  expect(await called([FULL, FULL, FULL, REPLY])).toEqual({ kind: 'not-sent', begun: [0, 20, 60] });
});

test('longer when there is nobody else, as long as nothing has to be sent to find that out', async () => {
  const full = Array.from({ length: 13 }, () => FULL);
  const { kind, begun } = await called(full, 5000, false);
  expect(kind).toBe('not-sent');
  expect(begun.map((at) => Math.round(at / 20))).toEqual([0, 1, 3, 7, 15, 31, 47, 63, 79, 95, 111, 127, 143]);
  expect((await called([FULL, FULL, FULL, REFUSED, REPLY], 5000, false)).kind).toBe('refused');
  expect((await called([FULL, REPLY], 5000, true)).kind).toBe('not-sent');
});

test('nothing is called again that may have been executed, or that would fail again', async () => {
  const others: readonly CallResult<Note>[] = [
    { kind: 'lost', reason: 'timeout' },
    { kind: 'lost', reason: 'disconnected' },
    { kind: 'refused', code: 'stale', detail: '', value: 3 },
    { kind: 'not-sent', reason: 'unreachable' },
    { kind: 'not-sent', reason: 'too-large' },
  ];
  for (const other of others) expect((await called([other, REPLY])).begun).toEqual([0]);
});

test('nothing is tried beyond the deadline', async () => {
  expect(await called([FULL, FULL, REPLY], 30)).toEqual({ kind: 'not-sent', begun: [0, 20] });
});
