/**
 * What processes of tests run first: loads the parts of the program that program.ts has made, together with what V8 has compiled
 * of them in an earlier process. Node.js keeps that as well, but from before anything has run: all that is called would be
 * compiled in every process once more, a fifth of what a node takes to start. Here it is kept from the end of a process that
 * has started, served and stopped.
 */

import { closeSync, openSync, readSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { Script } from 'node:vm';
import { v8FlagsFor } from '../../src/cli/runtime-settings.ts';
import { KEEPING } from './program-variable.ts';

type Require = (name: string) => unknown;
type Part = (this: object, exports: object, require: Require, module: { exports: object }, ...rest: unknown[]) => void;

const folder = dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url) as Require;
const modules = new Map<string, { exports: object }>();
const scripts = new Map<string, Script>();
/** All that is read is read into this: memory that has not been used before costs more than to read does. */
let space = Buffer.allocUnsafeSlow(3_000_000);

function load(name: string): unknown {
  if (!name.startsWith('./')) return require(name);
  const known = modules.get(name);
  if (known !== undefined) return known.exports;
  const module = { exports: {} };
  modules.set(name, module);
  const path = join(folder, name);
  // Text and not UTF-8 to be decoded: it is all ASCII.
  const source = contentOf(path)!.toString('latin1');
  const script = new Script(source, { filename: path, cachedData: contentOf(compiledOf(path)) });
  scripts.set(path, script);
  const part = script.runInThisContext() as Part;
  part.call(module.exports, module.exports, load, module, import.meta.url, resolve);
  return module.exports;
}

/** Until the next call. */
function contentOf(path: string): Buffer | undefined {
  const { size } = statSync(path, { throwIfNoEntry: false }) ?? {};
  if (size === undefined) return undefined;
  if (size > space.length) space = Buffer.allocUnsafeSlow(size);
  const file = openSync(path, 'r');
  let length = 0;
  while (length < size) length += readSync(file, space, length, size - length, length);
  closeSync(file);
  return space.subarray(0, size);
}

/** What the program loads by path, `#main.ts` and `./worker.ts`, lies beside this file. */
function resolve(name: string): string {
  return pathToFileURL(join(folder, name.replace(/^#/, '').replace(/\.ts$/, '.js'))).href;
}

function compiledOf(path: string): string {
  return `${path}.compiled`;
}

if (process.env[KEEPING] !== undefined) {
  process.on('exit', () => {
    // V8 takes only what was compiled under the same settings; a node changes these, after all has been loaded.
    for (const flag of v8FlagsFor(Infinity, process.versions.v8))
      setFlagsFromString(flag.startsWith('--no-') ? flag.replace('--no-', '--') : flag.replace('--', '--no-'));
    for (const [path, script] of scripts) {
      const aside = `${compiledOf(path)}.${process.pid}`;
      writeFileSync(aside, script.createCachedData());
      renameSync(aside, compiledOf(path));
    }
  });
}

load('./program.js');
