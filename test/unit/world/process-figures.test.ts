/** Figures of the process itself: they must cost next to nothing as long as nobody asks. */

import perfHooks from 'node:perf_hooks';
import { expect, test, vi } from 'vitest';
import { createMetrics } from '#world/real/metrics.ts';

test('the event loop is not woken for them, and how late it is stands in one place only', async () => {
  const watching = vi.spyOn(perfHooks, 'monitorEventLoopDelay');
  const pauses: (number | undefined)[] = [];
  try {
    const text = await createMetrics({ process: true }).render();
    pauses.push(...watching.mock.calls.map(([options]) => options?.resolution));
    expect(text).toContain('nodejs_gc_duration_seconds');
    expect(text).toContain('process_cpu_seconds_total');
    expect(text).not.toContain('eventloop_lag');
  } finally {
    watching.mockRestore();
  }
  expect(pauses.filter((pause) => pause === undefined || pause < 86_400_000)).toEqual([]);
  // Or it watches by other means now.
  expect(pauses).toHaveLength(1);
});
