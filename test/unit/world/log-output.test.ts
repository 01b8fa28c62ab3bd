import { write } from 'node:fs';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { LogOutput } from '#world/real/log-output.ts';

vi.mock(import('node:fs'), async (original) => ({
  ...(await original()),
  write: vi.fn<() => void>() as unknown as typeof write,
}));

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

type Done = (error: Error | null, written: number) => void;

/** An output whose descriptor behaves as it is told. */
function output(bufferMax = 100) {
  const file = { trouble: undefined as string | undefined, text: '', mostBytes: 1000 };
  vi.mocked(write).mockImplementation(((_: number, chunk: Buffer, done: Done) => {
    queueMicrotask(() => {
      if (file.trouble !== undefined) return done(Object.assign(new Error(file.trouble), { code: file.trouble }), 0);
      const written = Math.min(chunk.length, file.mostBytes);
      file.text += chunk.subarray(0, written).toString();
      done(null, written);
    });
  }) as typeof write);
  const told = { drops: 0, drained: 0, troubles: [] as string[] };
  const out = new LogOutput({
    descriptor: 99,
    bufferMax,
    onDrop: () => (told.drops += 1),
    onDrained: () => (told.drained += 1),
    onTrouble: ({ message }) => told.troubles.push(message),
  });
  return { file, told, out };
}

test('lines wait for space, those that find no room are dropped; the trouble is told once each time', async () => {
  const { file, told, out } = output(20);
  file.trouble = 'ENOSPC';
  for (const line of ['one\n', 'two\n', 'three\n', 'much too long for it\n']) out.write(line);
  await vi.advanceTimersByTimeAsync(5000);
  expect(told).toEqual({ drops: 1, drained: 0, troubles: ['ENOSPC'] });
  file.trouble = undefined;
  file.mostBytes = 3;
  await vi.advanceTimersByTimeAsync(1000);
  expect(file.text).toBe('one\ntwo\nthree\n');
  expect(told).toEqual({ drops: 1, drained: 1, troubles: ['ENOSPC'] });
  file.trouble = 'EIO';
  out.write('four\n');
  await vi.advanceTimersByTimeAsync(10);
  expect(told.troubles).toEqual(['ENOSPC', 'EIO']);
  file.trouble = undefined;
  const closed = out.close(5000);
  await vi.advanceTimersByTimeAsync(5000);
  expect(await closed).toBeUndefined();
  expect(file.text).toBe('one\ntwo\nthree\nfour\n');
});

test('without a reader all lines are dropped, and the end is not waited for', async () => {
  const { file, told, out } = output();
  file.trouble = 'EPIPE';
  out.write('one\n');
  out.write('two\n');
  await vi.advanceTimersByTimeAsync(0);
  out.write('three\n');
  expect(told).toEqual({ drops: 1, drained: 0, troubles: ['EPIPE'] });
  expect(await out.close(60_000)).toBe('nobody reads it');
});

test('a descriptor that takes nothing at the moment is no trouble', async () => {
  const { file, told, out } = output();
  file.trouble = 'EAGAIN';
  out.write('one\n');
  await vi.advanceTimersByTimeAsync(0);
  file.trouble = undefined;
  await vi.advanceTimersByTimeAsync(100);
  expect(file.text).toBe('one\n');
  expect(told.troubles).toEqual([]);
});
