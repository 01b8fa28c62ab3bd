/** What an idle cluster says to itself: golden numbers, so that they do not grow unnoticed. */

import { expect, test } from 'vitest';
import { VirtualMembers } from './virtual-members.ts';

async function perNodeAndSecond(count: number, seconds: number): Promise<{ messages: number; bytes: number }> {
  const cluster = await VirtualMembers.started(count, `idle ${count}`, 6000);
  const before = cluster.network.sentInAll();
  await cluster.pass(seconds * 1000);
  const after = cluster.network.sentInAll();
  const share = (from: number, to: number): number => Math.round((to - from) / count / seconds);
  return { messages: share(before.messages, after.messages), bytes: share(before.bytes, after.bytes) };
}

test.each([
  [3, 60, { messages: 12, bytes: 309 }],
  [5, 60, { messages: 16, bytes: 341 }],
  [50, 4, { messages: 106, bytes: 799 }],
])(
  '%i members at rest, a node and second',
  async (count, seconds, expected) => {
    expect(await perNodeAndSecond(count, seconds)).toEqual(expected);
  },
  60_000,
);
