/**
 * The program in a few large files, for the many processes that tests with real nodes start: to find and read five hundred modules,
 * and as many of packages, takes longer than most of what such a process is asked for. It is made of the sources before the first
 * of these tests. That the sources run as they are is seen by what is started through scripts/ and `quoral cluster`.
 */

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { constants } from 'node:http2';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { KEEPING, PROGRAM } from './program-variable.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const source = join(root, 'src');
const target = join(root, 'node_modules', '.cache', 'program');

/** Loads machine code by its own path. */
const AS_IT_IS = 'better-sqlite3';

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

/**
 * HTTP/2 is neither served nor spoken; packages that could ask whether an object is one of its requests, and read its numbers. To
 * load it is a quarter of what a verb takes to start.
 */
const HTTP2 = `
export const constants = ${JSON.stringify(constants)};
export class Http2ServerRequest {}
`;
const http2 = 'http2-in-part';
const WITHOUT_HTTP2 = {
  name: 'without-http2',
  resolveId: (id: string) => (id === 'node:http2' ? http2 : null),
  load: (id: string) => (id === http2 ? HTTP2 : null),
};

/** Which of its files with machine code is right for this machine is found out once, and not at each start. */
const EXTRACT = 'msgpackr-extract';
const FOUND = {
  name: 'found',
  resolveId: (id: string) => (id === EXTRACT ? { id: machineCode(), external: true } : null),
};
function machineCode(): string {
  try {
    const home = fileURLToPath(import.meta.resolve(EXTRACT));
    const finder = createRequire(home)('node-gyp-build-optional-packages') as { path(folder: string): string };
    return finder.path(dirname(home));
  } catch {
    // Not made for this machine, or not installed: the program does without.
    return EXTRACT;
  }
}

/** The parts are CommonJS, which can be loaded by hand (program-start.ts) and has neither of these. */
const BY_HAND = { 'import.meta.url': 'programUrl', 'import.meta.resolve': 'programResolve' };
/** Nor can it wait at the top, as the last statement of the command line does. */
const ENDLESS = 'await program.parseAsync(process.argv)';
const WITHOUT_WAITING = {
  name: 'without-waiting',
  transform(code: string, id: string): string | null {
    if (id !== join(source, 'main.ts')) return null;
    if (!code.includes(ENDLESS)) throw new Error(`main.ts does not say ${ENDLESS}`);
    return code.replace(ENDLESS, 'program.parseAsync(process.argv).catch(failure)');
  },
};

interface Part {
  readonly fileName: string;
  readonly code: string;
}

/** Called by the test runner. */
export async function setup(): Promise<void> {
  if (process.env[PROGRAM] !== undefined) return;
  const parts = [
    ...(await bundled({ program: join(source, 'main.ts') }, 'cjs', BY_HAND)).map(callable),
    ...(await bundled({ main: join(import.meta.dirname, 'program-start.ts') }, 'cjs')),
    ...(await bundled({ 'wal-checkpoint-worker': join(source, 'world/real/wal-checkpoint-worker.ts') }, 'cjs')),
    ...(await bundled({ 'ui/page': join(source, 'ui/page.ts') }, 'esm')),
  ];
  // Whoever finds what was compiled in there finds the texts that it was made of.
  const hash = createHash('sha256').update(process.version).update(JSON.stringify(parts));
  const name = hash.digest('hex').slice(0, 16);
  mkdirSync(target, { recursive: true });
  for (const other of readdirSync(target)) if (other !== name) rmSync(join(target, other), { recursive: true });
  const folder = join(target, name);
  for (const { fileName, code } of parts) put(join(folder, fileName), code);
  put(join(folder, 'package.json'), JSON.stringify({ type: 'commonjs' }));
  process.env[PROGRAM] = join(folder, 'main.js');
  if (!existsSync(join(folder, 'program.js.compiled'))) await keepCompiled();
}

async function bundled(
  input: Record<string, string>,
  format: 'cjs' | 'esm',
  define: Record<string, string> = {},
): Promise<readonly Part[]> {
  const bundle = await rolldown({
    cwd: root,
    platform: 'node',
    external: AS_IT_IS,
    plugins: [UNDICI_IN_PART, WITHOUT_HTTP2, FOUND, WITHOUT_WAITING],
    transform: { define },
    input,
  });
  const { output } = await bundle.generate({
    format,
    keepNames: true,
    dynamicImportInCjs: false,
    minify: WITHOUT_COMMENTS,
  });
  await bundle.close();
  const parts = output.filter((part) => part.type === 'chunk');
  return parts.map(({ fileName, code }) => ({ fileName, code: asciiOf(code) }));
}

/** As program-start.ts calls it. To put it around the text there would copy all of that. */
function callable({ fileName, code }: Part): Part {
  return {
    fileName,
    code: `(function (exports, require, module, programUrl, programResolve) { 'use strict'; ${code}\n})`,
  };
}

/** Nodes that start, serve a little and stop do what most nodes of tests do. */
async function keepCompiled(): Promise<void> {
  process.env[KEEPING] = 'yes';
  // Looks for the program when it is loaded.
  const { http, TestCluster } = await import('./support.ts');
  const cluster = await TestCluster.start(2);
  delete process.env[KEEPING];
  try {
    for (const at of Array.from({ length: 10 }, (_, i) => cluster.ids[i % 2]!)) {
      await http('PUT', `${cluster.url(at)}/v1/kv/compiled/key`, { body: 'value' });
      await http('GET', `${cluster.url(at)}/v1/kv/compiled/key`);
    }
    for (const id of cluster.ids) await cluster.signal(id, 'SIGTERM');
  } finally {
    await cluster.stop();
  }
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
