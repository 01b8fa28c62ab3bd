import { expect, test } from 'vitest';
import { progressLine, progressText, type Progress } from '#cli/change-progress.ts';

const HALF: Progress = {
  state: 'running',
  moves: 192,
  done: 96,
  bytesPerSecond: 8_388_608,
  secondsLeft: 12,
  waiting: [],
};

test('a line says how much is done, how fast, and how long', () => {
  expect(progressText(HALF)).toBe('50 %, 96 of 192 replicas, 8.0 MiB/s, about 12 s left');
  expect(progressText({ ...HALF, done: 0, bytesPerSecond: null, secondsLeft: null })).toBe('0 %, 0 of 192 replicas');
  expect(progressText({ ...HALF, state: 'paused', bytesPerSecond: null, secondsLeft: null })).toBe(
    '50 %, 96 of 192 replicas, paused',
  );
  expect(progressText({ ...HALF, done: 192, bytesPerSecond: 0, secondsLeft: 0 })).toBe(
    '100 %, 192 of 192 replicas, nearly done',
  );
  expect(progressText({ ...HALF, moves: 0, done: 0, bytesPerSecond: null, secondsLeft: null })).toBe(
    '0 %, 0 of 0 replicas',
  );
});

test('a newcomer that waits is named, with the reason', () => {
  const waiting = [{ node: 'n4', milliseconds: 28_100, reason: 'the clock of n2 is ahead of that of n1 by 29900 ms' }];
  expect(progressText({ ...HALF, done: 0, bytesPerSecond: null, secondsLeft: null, waiting })).toBe(
    '0 %, 0 of 192 replicas, n4 waits for about 29 s: the clock of n2 is ahead of that of n1 by 29900 ms',
  );
});

test('a bar fits the terminal, whatever that is', () => {
  expect(progressLine(HALF, 120)).toBe(
    '[###############...............] 50 %, 96 of 192 replicas, 8.0 MiB/s, about 12 s left',
  );
  expect(progressLine({ ...HALF, done: 500 }, 40)).toBe(`[${'#'.repeat(30)}] 100 %,`);
  expect(progressLine(HALF, 0)).toBe('[');
});

test('a member that the change waits for is named, without a time', () => {
  const waiting = [{ node: 'n4', milliseconds: 0, reason: 'cannot be reached' }];
  expect(progressText({ ...HALF, waiting })).toMatch(/, n4 cannot be reached$/);
});
