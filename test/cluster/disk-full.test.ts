/**
 * A file system of some megabytes that runs full. It exists only in a mount namespace of the process that fills it, so
 * nothing has to be unmounted afterwards.
 */

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { hasProgram, linesOf } from './disk-files.ts';

const FILLER = fileURLToPath(new URL('./disk-filler.ts', import.meta.url));
const NAMESPACE = ['--user', '--map-root-user', '--mount'];
const canMount = hasProgram('unshare', ...NAMESPACE, 'sh', '-c', 'mount -t tmpfs -o size=1m tmpfs /media');

const MEBIBYTE = 1024 * 1024;

describe.skipIf(!canMount)('a full disk (needs unshare)', () => {
  /**
   * Sizes of the file system, of the log, of a segment of the journal and of the space that is made, and those of values: of short ones
   * each takes a page of the log. With a long journal space ends before anything stands in SQLite.
   */
  const sizes = [
    ['4m', [0.25, 0.125, 2], 1000],
    ['16m', [128, 0.125, 2], 1000],
    ['18m', [128, 0.125, 2], 1000],
    ['24m', [128, 2, 8], 1000],
    ['28m', [128, 1, 2], 20],
  ] as const;

  test.each(sizes)('of %s loses nothing and goes on when there is space again', async (size, mebibytes, valueBytes) => {
    const directory = mkdtempSync(join(tmpdir(), 'quoral-full-'));
    const script = 'mount -t tmpfs -o "size=$4" tmpfs "$1" && exec "$2" "$3" "$1" "$5" "$6" "$7" "$8"';
    const bytes = [...mebibytes.map((each) => each * MEBIBYTE), valueBytes].map(String);
    const command = [...NAMESPACE, 'sh', '-c', script, 'sh', directory, process.execPath, FILLER, size, ...bytes];
    const lines = await linesOf(spawn('unshare', command, { stdio: ['ignore', 'pipe', 'inherit'] }));
    rmSync(directory, { recursive: true });
    const told = lines.map((line) => JSON.parse(line) as { readonly event?: string; readonly step?: string });
    expect(told.filter(({ step }) => step !== undefined)).toEqual([
      { step: 'full', kind: 'full', uncertain: false, failure: 'full', durable: true },
      { step: 'still full', kind: 'full', durable: true },
      { step: 'many rows', kind: 'full', failure: 'full', durable: true },
      { step: 'healed', failure: null, durable: true },
      { step: 'reopened', durable: true },
    ]);
    const events = told.flatMap(({ event }) => event ?? []);
    // What a checkpoint gives back may be enough for a little more.
    const turns = Array.from({ length: (events.length - 2) / 2 }, () => ['disk-full', 'disk-has-space-again']).flat();
    expect(events).toEqual(['disk-opened', ...turns, 'disk-opened']);
    expect(turns.length).toBeGreaterThan(0);
  });
});
