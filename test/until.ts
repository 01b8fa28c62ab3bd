import { vi } from 'vitest';

/** More than anything takes that is waited for in one process, on a machine that has other things to do as well. */
const PATIENCE_MS = 50_000;

/** Waits until it holds, which is looked at every `interval` milliseconds; what comes by real sockets, files and threads may be late. */
export async function until(holds: () => boolean | Promise<boolean>, interval = 20): Promise<void> {
  await vi.waitUntil(holds, { timeout: PATIENCE_MS, interval });
}
