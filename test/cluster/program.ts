/**
 * The program in a few large files, for the many processes that tests with real nodes start: to find and read five hundred modules,
 * and as many of packages, takes longer than most of what such a process is asked for. It is made of the sources before the first
 * of these tests. That the sources run as they are is seen by what is started through scripts/ and `quoral cluster`.
 */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { PROGRAM } from './program-variable.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const source = join(root, 'src');
const target = join(root, 'node_modules', '.cache', 'program');

/** Load machine code or threads by their own paths. */
const AS_THEY_ARE = ['better-sqlite3', 'msgpackr-extract'];

/** Each start reads and hashes all of it; comments and blanks are a quarter, and names in stack traces stay. */
const WITHOUT_COMMENTS = { compress: false, mangle: false, codegen: true };

/**
 * Of undici the program uses these, and its index loads fetch, websockets, caches and mocks as well: a third of what a verb, and a
 * fifth of what a node, takes to start. A name that is missing here fails the bundling.
 */
const UNDICI = `
import api from 'undici/lib/api/index.js';
import Agent from 'undici/lib/dispatcher/agent.js';
import Client from 'undici/lib/dispatcher/client.js';
import Dispatcher from 'undici/lib/dispatcher/dispatcher.js';
import { getGlobalDispatcher } from 'undici/lib/global.js';
Object.assign(Dispatcher.prototype, api);
export { Agent, Client };
export function request(url, { dispatcher = getGlobalDispatcher(), ...options }) {
  const { origin, pathname, search } = new URL(url);
  return dispatcher.request({ method: 'GET', ...options, origin, path: pathname + search });
}
`;
const inPart = join(root, 'undici-in-part.js');
const UNDICI_IN_PART = {
  name: 'undici-in-part',
  resolveId: (id: string) => (id === 'undici' ? inPart : null),
  load: (id: string) => (id === inPart ? UNDICI : null),
};

/** Called by the test runner. */
export async function setup(): Promise<void> {
  if (process.env[PROGRAM] !== undefined) return;
  const main = join(target, 'main.js');
  const bundle = await rolldown({
    cwd: root,
    platform: 'node',
    external: AS_THEY_ARE,
    plugins: [UNDICI_IN_PART],
    input: {
      main: join(source, 'main.ts'),
      'wal-checkpoint-worker': join(source, 'world/real/wal-checkpoint-worker.ts'),
      'ui/page': join(source, 'ui/page.ts'),
    },
  });
  const { output } = await bundle.generate({ format: 'esm', keepNames: true, minify: WITHOUT_COMMENTS });
  await bundle.close();
  const wanted = new Set(output.map(({ fileName }) => fileName));
  for (const part of output) if (part.type === 'chunk') put(join(target, part.fileName), asciiOf(part.code));
  for (const name of readdirSync(target)) if (name.endsWith('.js') && !wanted.has(name)) rmSync(join(target, name));
  // As in what is published: what is loaded by path at run time leads here.
  put(join(target, 'package.json'), JSON.stringify({ type: 'module', imports: { '#*.ts': './*.js' } }));
  // What nodes compile is kept when one ends by itself, and most of those in tests are killed.
  spawnSync(process.execPath, [main, 'node', '--weight', 'none']);
  process.env[PROGRAM] = main;
}

/**
 * Where it is in strings, templates and patterns, which is all that is left without comments, it means the same. One letter beyond
 * would double what each start has to make of the whole file.
 */
function asciiOf(code: string): string {
  return code.replaceAll(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** At once and only where it is new: another run of tests in this checkout may be starting nodes. */
function put(path: string, text: string): void {
  if (existsSync(path) && readFileSync(path, 'utf8') === text) return;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.${process.pid}`, text);
  renameSync(`${path}.${process.pid}`, path);
}
