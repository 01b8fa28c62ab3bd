import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { watchEventLoop } from '#world/real/event-loop.ts';
import { createMetrics } from '#world/real/metrics.ts';

const BLOCKED_MS = 150;

/** Holds the event loop. */
function block(): void {
  const until = performance.now() + BLOCKED_MS;
  while (performance.now() < until);
}

test('an event loop that was held is late by that, in the figures and in what is remembered', async () => {
  const metrics = createMetrics();
  const loop = watchEventLoop(metrics);
  block();
  // Overdue already, though the timer has not fired yet.
  expect(loop.worstDelay()).toBeGreaterThan(BLOCKED_MS / 2);
  await sleep(1);
  expect(loop.worstDelay()).toBeGreaterThan(BLOCKED_MS / 2);
  loop.stop();
  const text = await metrics.render();
  const count = Number(/^quoral_event_loop_delay_seconds_count (\d+)$/m.exec(text)?.[1]);
  const short = Number(/^quoral_event_loop_delay_seconds_bucket\{le="0.05"\} (\d+)$/m.exec(text)?.[1]);
  expect(count).toBeGreaterThan(short);
  expect(text).toMatch(/^quoral_event_loop_seconds_total\{state="active"\} \d/m);
});
