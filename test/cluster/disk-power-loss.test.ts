/**
 * Durability as the operating system sees it. A process that commits groups of rows runs under strace; then the power is
 * lost at hundreds of moments of what was traced, and each time a restart must find every group that had been called
 * durable. `kill -9` could not show this: the operating system keeps what a killed process has written.
 */

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SeededRandom } from '#world/simulated/random.ts';
import { hasProgram, inspectFiles, linesOf, WRITER } from './disk-files.ts';
import {
  durableGroups,
  readTrace,
  STRACE_ARGUMENTS,
  writeCrashImages,
  type TracedFile,
  type TraceEvent,
} from './disk-trace.ts';
import { groupRows, type WriterOptions } from './disk-writer-rows.ts';

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

/** Of the same memory: zeros ahead in the journal are megabytes. */
function asBuffer({ buffer, byteOffset, length }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, length);
}

interface Case {
  readonly files: string;
  readonly walBytes: number;
  readonly segmentBytes: number;
  readonly losses: number;
  /** At least so often SQLite's log is started over, and so many steps of zeros are written ahead in the journal. */
  readonly starts: number;
  readonly steps: number;
  /** Files whose syncs must not be ignored, and what is found when they are. */
  readonly alarms: readonly [TracedFile, string][];
}

const CASES: readonly Case[] = [
  {
    files: 'a journal and a log of a few pages, which are started over many times',
    walBytes: 65_536,
    segmentBytes: 16_384,
    losses: 120,
    starts: 4,
    steps: 0,
    alarms: [
      ['-journal-0', 'are lost'],
      ['-wal', 'are lost'],
      ['', 'event'],
    ],
  },
  {
    files: 'a journal that takes everything, with zeros ahead of its end',
    walBytes: 16 * 1024 * 1024,
    segmentBytes: 16 * 1024 * 1024,
    losses: 40,
    starts: 0,
    steps: 1,
    alarms: [['-journal-0', 'are lost']],
  },
];

describe.skipIf(!canTrace).each(CASES)(
  'a disk that loses its power, with $files (needs strace)',
  ({ walBytes, segmentBytes, losses: count, starts, steps, alarms }) => {
    let directory: string;
    let options: WriterOptions;
    let events: TraceEvent[];

    beforeAll(async () => {
      directory = mkdtempSync(join(tmpdir(), 'quoral-power-'));
      const path = join(directory, 'data.db');
      options = {
        path,
        groups: 250,
        rowsPerGroup: 4,
        valueBytes: 300,
        inFlight: 3,
        replaced: 5,
        walBytes,
        segmentBytes,
      };
      const run = await traced(options);
      expect(run.lines.at(-1)).toBe('done');
      events = run.events;
    });

    afterAll(() => rmSync(directory, { recursive: true }));

    const indexOf = (...words: string[]): number =>
      events.findIndex((event) => event.kind === 'line' && words.every((word, i) => event.words[i] === word));

    /**
     * Loses the power at many moments; returns where a durable group was gone, a group torn, or the file damaged. Where that is
     * looked for, one is enough.
     */
    async function losses(ignoredSyncs?: TracedFile, wanted?: string): Promise<string[]> {
      const random = new SeededRandom('power');
      const found: string[] = [];
      const [first, last] = [indexOf('opened'), indexOf('done')];
      for (let i = 0; i < count; i++) {
        const at = first + 1 + random.below(last - first);
        // From "nothing that was not synced" to "everything".
        const share = [0, 0.5, 0.9, 1][i % 4]!;
        const crash = {
          at,
          wasWritten: () => random.chance(share),
          ...(ignoredSyncs !== undefined && { ignoredSyncs }),
        };
        const copy = join(directory, `loss-${i}`);
        mkdirSync(copy);
        const path = join(copy, 'data.db');
        writeCrashImages(events, path, crash);
        const { whole, torn, replaced, damage } = await inspectFiles(path, options);
        rmSync(copy, { recursive: true });
        const durable = durableGroups(events, at);
        const missing = durable.filter((group) => !whole.has(group));
        const older = replaced.flatMap((group = -1, number) => {
          const newest = durable.filter((one) => one % replaced.length === number).at(-1) ?? -1;
          return group < newest ? [`${number} of ${group} instead of ${newest}`] : [];
        });
        if (damage !== undefined) found.push(`event ${at}: ${damage}`);
        else if (missing.length > 0) found.push(`event ${at}: groups ${missing.join(' ')} are lost`);
        else if (older.length > 0) found.push(`event ${at}: older rows are back: ${older.join(', ')}`);
        if (torn.length > 0) found.push(`event ${at}: groups ${torn.join(' ')} are torn`);
        if (wanted !== undefined && found.some((one) => one.includes(wanted))) break;
      }
      return found;
    }

    test('writes the rows of a commit to the journal, synced, before the promise', () => {
      for (let group = 0; group < options.groups; group++) {
        const row = Buffer.concat(groupRows(group, options)[0]!);
        const isOf = (event: TraceEvent): boolean =>
          event.kind === 'write' && event.file.startsWith('-journal') && asBuffer(event.bytes).includes(row);
        const write = events.findIndex(isOf);
        const written = events.findIndex((event) => event.kind === 'written' && event.write === write);
        expect(write, `group ${group}`).toBeGreaterThan(indexOf('commit', String(group)));
        expect(written, `group ${group}`).toBeGreaterThan(write);
        expect(written, `group ${group}`).toBeLessThan(indexOf('durable', String(group)));
      }
    });

    test('starts the log over, and writes zeros ahead in the journal', () => {
      const writes = events.flatMap((event) => (event.kind === 'write' ? [event] : []));
      const overs = writes.filter(({ file, offset }) => file === '-wal' && offset === 0);
      expect(overs.length).toBeGreaterThanOrEqual(starts);
      const zeros = writes.filter(({ file, bytes }) => file.startsWith('-journal') && bytes.length > 1024 * 1024);
      expect(zeros.length).toBeGreaterThanOrEqual(steps);
    });

    test('keeps what it called durable through every loss of power', async () => {
      expect(await losses()).toEqual([]);
    });

    test.each(alarms)('the alarm rings: a disk that ignores the syncs of %j loses some', async (file, found) => {
      expect((await losses(file, found)).join('\n')).toContain(found);
    });
  },
);

describe.skipIf(!canTrace)('a log that could not be synced (needs strace)', () => {
  test('keeps what the next process calls durable, although part of it was never written', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'quoral-unsynced-'));
    try {
      const path = join(directory, 'data.db');
      const options = {
        path,
        groups: 20,
        rowsPerGroup: 4,
        valueBytes: 300,
        inFlight: 1,
        walBytes: 1024 * 1024,
        segmentBytes: 2048,
      };
      const failing = await traced(options, [], '-e', 'inject=fdatasync:error=EIO:when=8');
      expect(failing.lines.at(-1)).toMatch(/^failed /);
      expect(existsSync(`${path}-unsynced`)).toBe(true);
      const { lines, events } = await traced({ ...options, first: 20, groups: 40 }, failing.events);
      expect(lines.at(-1)).toBe('done');
      expect(existsSync(`${path}-unsynced`)).toBe(false);
      const at = events.findIndex((event) => event.kind === 'line' && event.words[0] === 'done');
      const image = join(directory, 'image.db');
      writeCrashImages(events, image, { at, wasWritten: () => false });
      const { whole, torn, damage } = await inspectFiles(image, { ...options, groups: 40 });
      expect([damage, torn]).toEqual([undefined, []]);
      expect(durableGroups(events, at).filter((group) => !whole.has(group))).toEqual([]);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
