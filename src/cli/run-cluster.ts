/**
 * `quoral cluster`: a local cluster, each node its own process. Node i is `n<i>`; its client port is base+i-1, its peer port
 * 100 higher. The nodes share a generated secret, write their logs into their data directories, and stop when this process
 * stops, however it does. When one of them dies the others go on, and so does this process.
 */

import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeDirectory, syncDirectory } from '#world/real/directories.ts';
import { outliveReader, print, UsageError } from './output.ts';
import { SAME_ACT_MS, type ChildMessage } from './start-and-stop.ts';

const STARTUP_LIMIT_MS = 60_000;
/** Longer than a node's own patience, with its clients and with its peers; a second signal ends it at once. */
const STOP_LIMIT_MS = 30_000;
const POLL_MS = 50;

/** How a node ends that was asked to. */
const WELL = 'exit status 0';

interface LocalNode {
  readonly id: string;
  /** As it says itself when its doors are open. */
  url: string;
  readonly peer: string;
  readonly directory: string;
  readonly log: string;
  readonly process: ChildProcess;
  /** Set when it has said so itself: another process may answer on the same port. */
  ready: boolean;
  /** How it ended, once it has. */
  ended: string | undefined;
  complaint: string;
}

interface Layout {
  readonly count: number;
  readonly basePort: number;
  readonly directory: string;
  readonly zones: number;
}

function wholeNumber(options: Record<string, string>, name: string, flag: string, least: number, most: number): number {
  const text = options[name] ?? '';
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < least || value > most) {
    throw new UsageError(
      `setting ${flag} (flag): ${JSON.stringify(text)} is not allowed; it must be a whole number from ${least} to ${most}`,
    );
  }
  return value;
}

function readLayout(options: Record<string, string>): Layout {
  const count = wholeNumber(options, 'nodes', '--nodes', 1, 100);
  return {
    count,
    basePort: wholeNumber(options, 'basePort', '--base-port', 1, 65_535 - 200),
    directory: resolve(options['dataDir']!),
    zones: wholeNumber(options, 'zones', '--zones', 1, count),
  };
}

export async function runCluster(options: Record<string, string>): Promise<void> {
  outliveReader();
  const layout = readLayout(options);
  const secretFile = prepareDirectory(layout.directory);
  checkFormerLayout(layout);
  const nodes = Array.from({ length: layout.count }, (_, index) => startNode(layout, index, secretFile));
  const stopping = stopOnSignal(nodes);
  const failed = await waitUntilReady(nodes, stopping);
  if (failed !== undefined) {
    await stopNodes(nodes);
    throw new UsageError(failed);
  }
  if (!stopping.aborted) {
    writeClusterFile(layout.directory, nodes);
    print('cluster ready');
    const ca = process.env['QUORAL_CA'];
    const trusted = nodes[0]!.url.startsWith('https') && ca !== undefined ? ` --cacert ${ca}` : '';
    const shown = process.env['QUORAL_AUTH'] === 'tokens' ? ' -H "authorization: Bearer $QUORAL_TOKEN"' : '';
    const curl = `curl -i${trusted}${shown}`;
    print(
      `try: ${curl} -X PUT -d 'hello' ${nodes[0]!.url}/v1/kv/demo/greeting && ${curl} ${nodes.at(-1)!.url}/v1/kv/demo/greeting`,
    );
  }
  await Promise.all(nodes.map(async (node) => ended(node)));
  if (!stopping.aborted) throw new UsageError('all nodes have stopped');
}

function prepareDirectory(directory: string): string {
  const secretFile = resolve(directory, 'cluster-secret');
  try {
    makeDirectory(directory);
    if (!existsSync(secretFile)) {
      writeFileSync(secretFile, `${randomBytes(32).toString('hex')}\n`, { mode: 0o600, flush: true });
      syncDirectory(directory);
    }
    readFileSync(secretFile);
  } catch (error) {
    throw new UsageError(
      `setting --data-dir (flag): ${directory} cannot be used: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  return secretFile;
}

/** The ring on the nodes' disks names the addresses that they had: another layout could never come together. */
function checkFormerLayout({ count, basePort, directory }: Layout): void {
  const path = clusterFile(directory);
  if (!existsSync(path)) return;
  const former = readFormerNodes(path);
  const formerPort = Number(former[0]?.url.split(':').at(-1));
  if (former.length === count && formerPort === basePort) return;
  throw new UsageError(
    `${directory} holds a cluster of --nodes ${former.length} at --base-port ${formerPort}; start it so, or take another --data-dir`,
  );
}

function readFormerNodes(path: string): readonly { readonly url: string }[] {
  try {
    const { nodes } = JSON.parse(readFileSync(path, 'utf8')) as { nodes?: { url: string }[] };
    if (Array.isArray(nodes) && nodes.every(({ url }) => typeof url === 'string')) return nodes;
    throw new SyntaxError('it has no list of nodes');
  } catch (error) {
    throw new UsageError(
      `${path} does not say which nodes the cluster has (${error instanceof Error ? error.message : String(error)}); delete it, and start with the --nodes and --base-port of before`,
    );
  }
}

function clusterFile(directory: string): string {
  return resolve(directory, 'cluster.json');
}

function startNode({ count, basePort, directory, zones }: Layout, index: number, secretFile: string): LocalNode {
  const peer = (i: number): string => `127.0.0.1:${basePort + 100 + i}`;
  const id = `n${index + 1}`;
  const nodeDirectory = resolve(directory, id);
  makeDirectory(nodeDirectory);
  const log = resolve(nodeDirectory, 'node.log');
  const logFile = openSync(log, 'a');
  const founders = Array.from({ length: count }, (_, i) => `n${i + 1}=${peer(i)}`).join(',');
  const flags = {
    id,
    listen: `127.0.0.1:${basePort + index}`,
    'peer-listen': peer(index),
    'data-dir': nodeDirectory,
    zone: zones === 1 ? 'default' : `z${(index % zones) + 1}`,
    'cluster-secret-file': secretFile,
    'initial-cluster': founders,
  };
  const main = fileURLToPath(import.meta.resolve('#main.ts'));
  const child = spawn(
    process.execPath,
    [main, 'node', ...Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value])],
    {
      // The channel closes when this process ends in any way, and the node stops then. Its own group keeps Ctrl-C for us.
      stdio: ['ignore', logFile, 'pipe', 'ipc'],
      detached: true,
    },
  );
  closeSync(logFile);
  const node: LocalNode = {
    id,
    url: `http://127.0.0.1:${basePort + index}`,
    peer: peer(index),
    directory: nodeDirectory,
    log,
    process: child,
    ready: false,
    ended: undefined,
    complaint: '',
  };
  child.on('message', (message: ChildMessage) => {
    if (message.event === 'serving') node.url = message.url;
    else node.ready = true;
  });
  child
    .stderr!.setEncoding('utf8')
    .on('data', (text: string) => (node.complaint = (node.complaint + text).slice(-4000)));
  child.once('error', (error) => (node.ended ??= error.message));
  child.once('exit', (code, signal) => (node.ended = signal === null ? `exit status ${code}` : `signal ${signal}`));
  return node;
}

function writeClusterFile(directory: string, nodes: readonly LocalNode[]): void {
  const path = clusterFile(directory);
  const content = { nodes: nodes.map(({ id, process: { pid }, url, peer }) => ({ id, pid, url, peer })) };
  writeFileSync(`${path}.new`, `${JSON.stringify(content, null, 2)}\n`, { flush: true });
  renameSync(`${path}.new`, path);
}

function stopOnSignal(nodes: readonly LocalNode[]): AbortSignal {
  const stopping = new AbortController();
  let askedAt = 0;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (!stopping.signal.aborted) print('stopping');
      else if (performance.now() - askedAt < SAME_ACT_MS) return;
      else print('stopping at once');
      askedAt = performance.now();
      stopping.abort();
      // A second one, passed on, ends the nodes at once.
      void stopNodes(nodes);
    });
  }
  return stopping.signal;
}

/** Prints a line a node when it serves; undefined when all do, otherwise what to tell. */
async function waitUntilReady(nodes: readonly LocalNode[], stopping: AbortSignal): Promise<string | undefined> {
  const waiting = new Set(nodes);
  const limit = Date.now() + STARTUP_LIMIT_MS;
  while (waiting.size > 0 && !stopping.aborted) {
    for (const node of waiting) {
      if (node.ended !== undefined) return `${node.id} did not start (${node.ended}): ${lastComplaint(node)}`;
      if (!node.ready) continue;
      waiting.delete(node);
      print(`${node.id} serves on ${node.url} (data in ${node.directory}, log in ${node.log})`);
    }
    if (Date.now() > limit)
      return `${[...waiting].map(({ id }) => id).join(', ')} did not get ready within ${STARTUP_LIMIT_MS / 1000} s; see ${[...waiting][0]!.log}`;
    if (waiting.size > 0) await sleep(POLL_MS);
  }
  return undefined;
}

function lastComplaint(node: LocalNode): string {
  const lines = node.complaint.trim().split('\n');
  const told = lines.find((line) => line.startsWith('quoral: ')) ?? lines.find((line) => /Error\b/.test(line));
  return told?.replace(/^quoral: /, '') ?? `see ${node.log}`;
}

async function ended(node: LocalNode): Promise<void> {
  const { process: child } = node;
  if (node.ended === undefined) await new Promise((done) => child.once('exit', done));
  // What is left then is what Node.js warns of.
  const well = node.ended === WELL || node.complaint.trim() === '';
  const complaint = well ? '' : `: ${lastComplaint(node)}`;
  print(`${node.id} stopped (${node.ended ?? 'unknown'})${complaint}`);
}

async function stopNodes(nodes: readonly LocalNode[]): Promise<void> {
  await Promise.all(
    nodes.map(async (node) => {
      if (node.ended !== undefined) return;
      const gone = new Promise((done) => node.process.once('exit', done));
      node.process.kill('SIGTERM');
      const patience = setTimeout(() => node.process.kill('SIGKILL'), STOP_LIMIT_MS);
      await gone;
      clearTimeout(patience);
    }),
  );
}
