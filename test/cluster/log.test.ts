/** Log lines on a real stdout: none is lost when the process ends, and a reader that stalls holds nobody up. */

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';

const WRITER = new URL('log-writer.ts', import.meta.url).pathname;

function start(...args: readonly string[]): ChildProcess {
  return spawn(process.execPath, [WRITER, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
}

async function finished(
  child: ChildProcess,
): Promise<{ code: number | null; lines: readonly Record<string, unknown>[] }> {
  let text = '';
  child.stdout!.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  const lines = text.split('\n').slice(0, -1);
  return { code, lines: lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

test.each([
  ['exit', 1],
  ['close', 0],
])('all lines arrive when the process ends by %s', async (ending, status) => {
  const { code, lines } = await finished(start('2000', ending, '4194304', '20000'));
  expect(code).toBe(status);
  const numbers = lines.filter(({ event }) => event === 'line').map(({ i }) => Number(i));
  expect(numbers.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 2000 }, (_, i) => i));
  expect(lines.some(({ event }) => event === 'after-the-end')).toBe(false);
});

test('the last line of a process that ends by a fault arrives', async () => {
  const { code, lines } = await finished(start('3', 'fault'));
  expect(code).toBe(1);
  // What was being written at that moment may come after it.
  expect(lines).toContainEqual(expect.objectContaining({ event: 'fault', reason: 'a fault of this test' }));
  expect(lines).toHaveLength(4);
});

test('a reader that stalls costs lines, never time: what finds no room is dropped and told of', async () => {
  const child = start('2000', 'fault', '100000');
  // It has logged everything while nobody was reading.
  await once(child.stderr!, 'data');
  const { lines } = await finished(child);
  const kept = lines.filter(({ event }) => event === 'line').length;
  expect(kept).toBeLessThan(2000);
  const told = lines
    .filter(({ event }) => event === 'log-lines-dropped')
    .reduce((sum, { count }) => sum + Number(count), 0);
  // The last line too may have found no room; then it is among those that are told of.
  expect(kept + told).toBe(lines.some(({ event }) => event === 'fault') ? 2000 : 2001);
});

test('a stop does not wait for ever for a reader that stalls', async () => {
  const child = start('2000', 'close');
  const ended = once(child, 'exit');
  await sleep(10);
  expect((await ended)[0]).toBe(3);
  child.stdout!.destroy();
});

test.each([
  ['exit', 1],
  ['fault', 1],
  ['close', 3],
])('a log on a full disk neither ends the process nor holds up its end by %s', async (ending, status) => {
  const full = openSync('/dev/full', 'w');
  const child = spawn(process.execPath, [WRITER, '2000', ending], { stdio: ['ignore', full, 'pipe'] });
  closeSync(full);
  let complaints = '';
  child.stderr!.on('data', (chunk: Buffer) => (complaints += chunk.toString()));
  expect((await once(child, 'close'))[0]).toBe(status);
  // The fault is the one of this test.
  expect(complaints).not.toMatch(/Error|fault/);
});

test.each([
  ['exit', 1],
  ['close', 3],
])('a log whose reader is gone does not hold up the end of the process by %s', async (ending, status) => {
  const child = start('2000', ending);
  child.stdout!.destroy();
  expect((await once(child, 'exit'))[0]).toBe(status);
});
