/**
 * Runs a copy of the bootstrap script in a directory of its own. A shell script stands in for the newer Node.js that it
 * would fetch: the copy is told that this version is needed and finds it already there.
 */

import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';

const original = fileURLToPath(new URL('../../../scripts/bootstrap.js', import.meta.url));
const LOCK = {
  packages: { '': {}, 'node_modules/a': { version: '1.0.0' }, 'node_modules/b': { version: '1.0.0', optional: true } },
};

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'quoral-bootstrap-'));
  write('package.json', JSON.stringify({ type: 'module', engines: { node: '>=22.19' } }));
  write('package-lock.json', JSON.stringify(LOCK));
  write('node_modules/.package-lock.json', JSON.stringify({ packages: { 'node_modules/a': { version: '1.0.0' } } }));
  write('node_modules/a/index.js', '');
  write('scripts/bootstrap.js', readFileSync(original, 'utf8'));
  write('main.js', 'console.log(JSON.stringify(process.argv.slice(2))); process.exitCode = 5;');
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

function write(path: string, content: string, mode = 0o644): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), content, { mode });
}

function start(args: readonly string[], env: NodeJS.ProcessEnv = process.env): ChildProcess {
  const { npm_execpath: _, ...rest } = env;
  return spawn(process.execPath, ['scripts/bootstrap.js', ...args], {
    cwd: root,
    env: rest,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

interface Ending {
  readonly code: number | null;
  readonly signal: string | null;
  readonly out: string;
  readonly err: string;
}

/** Resolves when the process has ended. */
function finish(child: ChildProcess): Promise<Ending> {
  let out = '';
  let err = '';
  child.stdout!.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr!.on('data', (chunk: Buffer) => (err += chunk.toString()));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      resolve({ code, signal, out, err });
    });
  });
}

function needNewerRuntime(script: string): void {
  write('package.json', JSON.stringify({ type: 'module', engines: { node: '>=99' } }));
  const copy = readFileSync(original, 'utf8').replace(/'(linux|darwin)-(x64|arm64)': '24[^']*'/g, "'$1-$2': '99.0.0'");
  const platform = `${process.platform}-${process.arch}`;
  write('scripts/bootstrap.js', copy);
  write(`node_modules/.runtime/99.0.0/node_modules/node-${platform}/bin/node`, `#!/bin/sh\n${script}\n`, 0o755);
}

it('runs the file in step with the lock, with its arguments and its exit status', async () => {
  expect(await finish(start(['main.js', 'one', '--two']))).toMatchObject({
    code: 5,
    out: '["one","--two"]\n',
    err: '',
  });
});

it('says in one line what is wrong with the call', async () => {
  expect(await finish(start(['nothing.js']))).toMatchObject({ code: 1, err: 'quoral: nothing.js: no such file\n' });
  expect((await finish(start([]))).err).toMatch(/^quoral: usage: .*\n$/);
});

it.each([
  ['nothing is installed', () => rmSync(join(root, 'node_modules'), { recursive: true })],
  [
    'a version differs',
    () => write('node_modules/.package-lock.json', '{"packages":{"node_modules/a":{"version":"0.9.0"}}}'),
  ],
  ['a package was removed', () => rmSync(join(root, 'node_modules/a'), { recursive: true })],
])('installs, and runs nothing if that fails, when %s', async (_, change) => {
  change();
  const { code, out, err } = await finish(start(['main.js'], { PATH: root }));
  expect({ code, out }).toEqual({ code: 1, out: '' });
  expect(err).toBe('quoral: installing dependencies (npm ci)\nquoral: npm is not on the PATH\n');
});

it('goes on under the newer runtime when this one is too old, and ends as that ends', async () => {
  needNewerRuntime('printf "%s " "$@"; exit 7');
  const { code, out } = await finish(start(['main.js', 'one']));
  expect(code).toBe(7);
  expect(out).toMatch(/scripts\/bootstrap\.js \S*main\.js one $/);
  needNewerRuntime('kill -KILL $$');
  expect(await finish(start(['main.js']))).toMatchObject({ code: null, signal: 'SIGKILL' });
});

it('hands on the wish to stop and waits until the other has stopped', async () => {
  needNewerRuntime('trap "echo stopping; exit 9" TERM; echo ready; while :; do sleep 0.05; done');
  const child = start(['main.js']);
  const ending = finish(child);
  child.stdout!.once('data', () => child.kill('SIGTERM'));
  expect(await ending).toMatchObject({ code: 9, out: 'ready\nstopping\n' });
});

it('does not go round in circles when the runtime to fetch is itself too old', async () => {
  write('package.json', JSON.stringify({ type: 'module', engines: { node: '>=99' } }));
  expect(await finish(start(['main.js']))).toMatchObject({ code: 1, out: '' });
});
