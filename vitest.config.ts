import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

/** Kill and freeze nodes under load, and look at what their clients notice meanwhile: one file at a time. */
const BY_THEMSELVES = ['frozen', 'outages', 'ring-changes', 'rolling-restart'].map(
  (name) => `test/cluster/${name}.test.ts`,
);

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'quick',
          include: ['test/**/*.test.ts'],
          exclude: ['test/cluster/**'],
          testTimeout: 20_000,
          // Without this one processor is left idle.
          maxWorkers: availableParallelism(),
          sequence: { groupOrder: 0 },
        },
      },
      {
        // Several processes to a test, which wait for time to pass more than they work: after all others, three files at a time.
        test: {
          name: 'cluster',
          include: ['test/cluster/**/*.test.ts'],
          exclude: BY_THEMSELVES,
          testTimeout: 180_000,
          hookTimeout: 60_000,
          maxWorkers: 3,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'failures',
          include: BY_THEMSELVES,
          testTimeout: 180_000,
          hookTimeout: 60_000,
          maxWorkers: 1,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
