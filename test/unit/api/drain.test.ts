/** What is left of a body behind its answer. */

import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { drain } from '#api/server-request.ts';

class Body extends PassThrough {
  readonly complete = false;
  readonly socket = { destroySoon: vi.fn<() => void>() };
}

let body: Body;

beforeEach(() => {
  vi.useFakeTimers();
  body = new Body();
  drain(body as unknown as IncomingMessage);
});

afterEach(() => void vi.useRealTimers());

/** Some bytes every second. */
async function comes(seconds: number, bytes = 1): Promise<void> {
  for (let i = 0; i < seconds; i++) {
    await vi.advanceTimersByTimeAsync(1000);
    body.write(new Uint8Array(bytes));
    await vi.advanceTimersByTimeAsync(1);
  }
}

test('what comes slowly is waited for, and the connection stands when all of it was there', async () => {
  await comes(6);
  body.end();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(body.socket.destroySoon).not.toHaveBeenCalled();
});

test.each([
  ['nothing comes', async () => vi.advanceTimersByTimeAsync(2001)],
  ['it goes on for ever', async () => comes(10)],
  ['it is too much', async () => comes(3, 32 * 1024 * 1024)],
])('the connection is cut when %s', async (_name, happens) => {
  await happens();
  expect(body.socket.destroySoon).toHaveBeenCalled();
});
