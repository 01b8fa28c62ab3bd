/** Output that nobody reads any more, such as that of a verb before `head`, or of a cluster whose terminal is gone. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { freeBase } from './ports.ts';
import { http, MAIN, PATIENCE_MS, temporaryDirectory } from './support.ts';

/** Runs a verb that prints something; without an output nobody reads what it prints. */
async function ringStatus(url: string, output?: number): Promise<{ status: unknown; complaints: string }> {
  const stdio = ['ignore', output ?? 'pipe', 'pipe'] as const;
  const child = spawn(process.execPath, [MAIN, 'ring', 'status', '--url', url], { stdio: [...stdio] });
  child.stdout?.destroy();
  let complaints = '';
  child.stderr!.on('data', (chunk: Buffer) => (complaints += chunk.toString()));
  const [status] = (await once(child, 'close')) as unknown[];
  return { status, complaints };
}

test('a cluster goes on when nobody reads what it says, a verb ends without a word, or with one line where nothing can be written', async () => {
  const directory = temporaryDirectory();
  const port = await freeBase([0, 100]);
  const layout = ['--nodes', '1', '--base-port', String(port), '--data-dir', join(directory, 'data')];
  const child = spawn(process.execPath, [MAIN, 'cluster', ...layout], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.destroy();
  try {
    const url = `http://127.0.0.1:${port}`;
    const status = async (): Promise<number> =>
      (await http('GET', `${url}/readyz`).catch(() => undefined))?.status ?? 0;
    await expect.poll(status, { timeout: PATIENCE_MS }).toBe(200);
    expect(await ringStatus(url)).toEqual({ status: 1, complaints: '' });
    const full = openSync('/dev/full', 'w');
    const { status: fullStatus, complaints } = await ringStatus(url, full);
    closeSync(full);
    expect(fullStatus).toBe(1);
    expect(complaints).toMatch(/^quoral: the output cannot be written: ENOSPC.*\n$/);
    // It has tried to say that it is ready by now.
    expect(child.exitCode).toBeNull();
  } finally {
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    expect((await ended)[0]).toBe(0);
    rmSync(directory, { recursive: true, force: true });
  }
});
