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
  /** Sizes of the file system and of the log; with the larger ones space ends about where SQLite's index of the log has to grow. */
  const sizes = [
    ['4m', 0.25],
    ['16m', 128],
    ['17200k', 128],
    ['17600k', 128],
    ['18m', 128],
    ['19m', 128],
  ] as const;

  test.each(sizes)('of %s loses nothing and goes on when there is space again', async (size, logMebibytes) => {
    const directory = mkdtempSync(join(tmpdir(), 'quoral-full-'));
    const script = 'mount -t tmpfs -o "size=$4" tmpfs "$1" && exec "$2" "$3" "$1" "$5"';
    const log = String(logMebibytes * MEBIBYTE);
    const command = [...NAMESPACE, 'sh', '-c', script, 'sh', directory, process.execPath, FILLER, size, log];
    const lines = await linesOf(spawn('unshare', command, { stdio: ['ignore', 'pipe', 'inherit'] }));
    rmSync(directory, { recursive: true });
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      { event: 'disk-opened' },
      { event: 'disk-full' },
      { step: 'full', kind: 'full', uncertain: false, failure: 'full', durable: true },
      { step: 'still full', kind: 'full', durable: true },
      { step: 'many rows', kind: 'full', failure: 'full', durable: true },
      { event: 'disk-has-space-again' },
      { step: 'healed', failure: null, durable: true },
      { event: 'disk-opened' },
      { step: 'reopened', durable: true },
    ]);
  });
});
