/**
 * Durability as the operating system sees it. A process that commits groups of rows runs under strace; then the power is
 * lost at hundreds of moments of what was traced, and each time a restart must find every group that had been called
 * durable. `kill -9` could not show this: the operating system keeps what a killed process has written.
 */

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SeededRandom } from '#world/simulated/random.ts';
import { hasProgram, inspectFiles, linesOf, WRITER } from './disk-files.ts';
import {
  crashImage,
  durableGroups,
  readTrace,
  STRACE_ARGUMENTS,
  type TracedFile,
  type TraceEvent,
} from './disk-trace.ts';
import type { WriterOptions } from './disk-writer-rows.ts';

const canTrace = hasProgram('strace', '--seccomp-bpf', '-f', '-o', '/dev/null', 'true');

/** Runs the writing process, and returns what it has said and what strace saw of it, after what came before. */
async function traced(
  options: WriterOptions,
  before: readonly TraceEvent[] = [],
  ...more: readonly string[]
): Promise<{ readonly lines: readonly string[]; readonly events: TraceEvent[] }> {
  const output = `${options.path}-trace`;
  const command = [...STRACE_ARGUMENTS, ...more, '-o', output, process.execPath, WRITER, JSON.stringify(options)];
  // Strace counts the calls of each thread.
  const env = { ...process.env, UV_THREADPOOL_SIZE: '1' };
  const lines = await linesOf(spawn('strace', command, { stdio: ['ignore', 'pipe', 'inherit'], env }));
  return { lines, events: readTrace(readFileSync(output, 'latin1'), options.path, before) };
}

interface Case {
  readonly log: string;
  readonly walBytes: number;
  readonly losses: number;
  /** At least so often the log is started over, and so many steps of zeros are written ahead of it once it is open. */
  readonly starts: number;
  readonly steps: number;
  /** Files whose syncs must not be ignored, and what is found when they are. */
  readonly alarms: readonly [TracedFile, string][];
}

const CASES: readonly Case[] = [
  {
    log: 'a log of a few pages, which is copied and started over many times',
    walBytes: 65_536,
    losses: 120,
    starts: 4,
    steps: 0,
    alarms: [
      ['log', 'are lost'],
      ['database', 'event'],
    ],
  },
  {
    log: 'a log that grows, with zeros ahead of its end',
    walBytes: 16 * 1024 * 1024,
    losses: 40,
    starts: 0,
    steps: 2,
    alarms: [['log', 'are lost']],
  },
];

describe.skipIf(!canTrace).each(CASES)(
  'a disk that loses its power, with $log (needs strace)',
  ({ walBytes, losses: count, starts, steps, alarms }) => {
    let directory: string;
    let options: WriterOptions;
    let events: TraceEvent[];

    beforeAll(async () => {
      directory = mkdtempSync(join(tmpdir(), 'quoral-power-'));
      const path = join(directory, 'data.db');
      options = { path, groups: 250, rowsPerGroup: 4, valueBytes: 300, inFlight: 3, walBytes };
      const run = await traced(options);
      expect(run.lines.at(-1)).toBe('done');
      events = run.events;
    });

    afterAll(() => rmSync(directory, { recursive: true }));

    const indexOf = (...words: string[]): number =>
      events.findIndex((event) => event.kind === 'line' && words.every((word, i) => event.words[i] === word));

    /** Loses the power at many moments; returns where a durable group was gone, a group torn, or the file damaged. */
    function losses(ignoredSyncs?: TracedFile): string[] {
      const random = new SeededRandom('power');
      const found: string[] = [];
      const [first, last] = [indexOf('opened'), indexOf('done')];
      for (let i = 0; i < count; i++) {
        const at = first + 1 + random.below(last - first);
        // From "nothing that was not synced" to "everything".
        const share = [0, 0.5, 0.9, 1][i % 4]!;
        const crash = { at, wasWritten: () => random.chance(share), ...(ignoredSyncs && { ignoredSyncs }) };
        const copy = join(directory, `loss-${i}`);
        mkdirSync(copy);
        const path = join(copy, 'data.db');
        writeFileSync(path, crashImage(events, 'database', crash));
        writeFileSync(`${path}-wal`, crashImage(events, 'log', crash));
        const { whole, torn, damage } = inspectFiles(path, options);
        const missing = durableGroups(events, at).filter((group) => !whole.has(group));
        if (damage !== undefined) found.push(`event ${at}: ${damage}`);
        else if (missing.length > 0) found.push(`event ${at}: groups ${missing.join(' ')} are lost`);
        if (torn.length > 0) found.push(`event ${at}: groups ${torn.join(' ')} are torn`);
        rmSync(copy, { recursive: true });
      }
      return found;
    }

    test('syncs the log between the commit and the promise', () => {
      for (let group = 0; group < options.groups; group++) {
        const committed = indexOf('committed', String(group));
        const durable = indexOf('durable', String(group));
        const frames = events.slice(indexOf('commit', String(group)), committed);
        expect(frames.some((event) => event.kind === 'write' && event.file === 'log')).toBe(true);
        const synced = events.some(
          (event, at) =>
            event.kind === 'sync' && event.file === 'log' && at < durable && event.started >= lastFrame(committed),
        );
        expect(synced, `group ${group}`).toBe(true);
      }
    });

    /** The last write to the log before the event. */
    function lastFrame(before: number): number {
      return events.slice(0, before).findLastIndex((event) => event.kind === 'write' && event.file === 'log');
    }

    test('starts the log over, or writes zeros ahead of it', () => {
      const writes = events
        .slice(indexOf('opened'))
        .flatMap((event) => (event.kind === 'write' && event.file === 'log' ? [event] : []));
      expect(writes.filter(({ offset }) => offset === 0).length).toBeGreaterThanOrEqual(starts);
      expect(writes.filter(({ bytes }) => bytes.length > 1024 * 1024).length).toBeGreaterThanOrEqual(steps);
    });

    test('keeps what it called durable through every loss of power', () => {
      expect(losses()).toEqual([]);
    });

    test.each(alarms)('the alarm rings: a disk that ignores the syncs of the %s loses some', (file, found) => {
      expect(losses(file).join('\n')).toContain(found);
    });
  },
);

describe.skipIf(!canTrace)('a log that could not be synced (needs strace)', () => {
  test('keeps what the next process calls durable, although part of it was never written', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'quoral-unsynced-'));
    try {
      const path = join(directory, 'data.db');
      const options = { path, groups: 20, rowsPerGroup: 4, valueBytes: 300, inFlight: 1, walBytes: 1024 * 1024 };
      const failing = await traced(options, [], '-e', 'inject=fdatasync:error=EIO:when=8');
      expect(failing.lines.at(-1)).toMatch(/^failed /);
      expect(existsSync(`${path}-unsynced`)).toBe(true);
      const { lines, events } = await traced({ ...options, first: 20, groups: 40 }, failing.events);
      expect(lines.at(-1)).toBe('done');
      expect(existsSync(`${path}-unsynced`)).toBe(false);
      const at = events.findIndex((event) => event.kind === 'line' && event.words[0] === 'done');
      const image = join(directory, 'image.db');
      const crash = { at, wasWritten: () => false };
      writeFileSync(image, crashImage(events, 'database', crash));
      writeFileSync(`${image}-wal`, crashImage(events, 'log', crash));
      const { whole, torn, damage } = inspectFiles(image, { ...options, groups: 40 });
      expect([damage, torn]).toEqual([undefined, []]);
      expect(durableGroups(events, at).filter((group) => !whole.has(group))).toEqual([]);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
