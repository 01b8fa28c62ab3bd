/**
 * A file system of four megabytes that runs full. It exists only in a mount namespace of the process that fills it, so
 * nothing has to be unmounted afterwards.
 */

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { hasProgram, linesOf } from './disk-files.ts';

const FILLER = fileURLToPath(new URL('./disk-filler.ts', import.meta.url));
const NAMESPACE = ['--user', '--map-root-user', '--mount'];
const canMount = hasProgram('unshare', ...NAMESPACE, 'sh', '-c', 'mount -t tmpfs -o size=1m tmpfs /media');

test.skipIf(!canMount)('a full disk loses nothing and goes on when there is space again (needs unshare)', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'quoral-full-'));
  const script = 'mount -t tmpfs -o size=4m tmpfs "$1" && exec "$2" "$3" "$1"';
  const command = [...NAMESPACE, 'sh', '-c', script, 'sh', directory, process.execPath, FILLER];
  const lines = await linesOf(spawn('unshare', command, { stdio: ['ignore', 'pipe', 'inherit'] }));
  rmSync(directory, { recursive: true });
  expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
    { event: 'disk-opened' },
    { event: 'disk-full' },
    { step: 'full', kind: 'full', uncertain: false, failure: 'full', durable: true },
    { step: 'still full', kind: 'full', durable: true },
    { event: 'disk-has-space-again' },
    { step: 'healed', failure: null, durable: true },
    { event: 'disk-opened' },
    { step: 'reopened', durable: true },
  ]);
});
