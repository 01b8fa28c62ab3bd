/** How long the rest of a body that nobody wants is read on. */

import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { drain } from '#api/server-request.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => void vi.useRealTimers());

/** Sends a piece every `pause` milliseconds; returns after how many the connection was cut. */
function cutAfter(pause: number, pieces: number): number | undefined {
  let cut = false;
  const message = Object.assign(new PassThrough(), { complete: false, socket: { destroySoon: () => (cut = true) } });
  drain(message as unknown as IncomingMessage);
  for (let sent = 1; sent <= pieces; sent++) {
    message.emit('data', new Uint8Array(10));
    vi.advanceTimersByTime(pause);
    if (cut) return sent;
  }
  message.emit('close');
  vi.advanceTimersByTime(60_000);
  return cut ? Infinity : undefined;
}

test('a client that goes on sending is waited for, and one that is silent is not', () => {
  expect(cutAfter(1500, 6)).toBeUndefined();
  expect(cutAfter(2100, 6)).toBe(1);
});

test('nobody is waited for for ever', () => {
  expect(cutAfter(1500, 100)).toBe(7);
});
