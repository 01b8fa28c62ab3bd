/**
 * Real nodes as real processes, for tests that kill, stop and restart them. Only processes that were started here are ever
 * signalled, by their process id; every folder is a fresh temporary one.
 */

import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request, type Dispatcher } from 'undici';
import type { ChildMessage } from '../../src/cli/start-and-stop.ts';
import { freePorts } from './ports.ts';
import { PROGRAM } from './program-variable.ts';

/** What a process runs: made of the sources by program.ts, or these themselves where no test runner has called that. */
export const MAIN = process.env[PROGRAM] ?? new URL('../../src/main.ts', import.meta.url).pathname;
/** Far more than anything here takes: what is waited for may be late on a machine that has other things to do. */
export const PATIENCE_MS = 120_000;

/** Where all processors are busy, more threads to collect and to compile make it no faster, and each costs something. */
const RUNTIME = ['--v8-pool-size=1'];

export interface RunningNode {
  readonly id: string;
  readonly url: string;
  readonly directory: string;
  readonly process: ChildProcess;
  readonly stdout: () => string;
  readonly stderr: () => string;
}

export interface Response {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly body: Buffer;
}

export const agent = new Agent({
  connections: 16,
  keepAliveTimeout: 10_000,
  headersTimeout: 30_000,
  bodyTimeout: 30_000,
});

export async function http(
  method: 'GET' | 'PUT' | 'DELETE' | 'HEAD' | 'POST',
  url: string,
  options: {
    readonly headers?: Record<string, string>;
    readonly body?: Uint8Array | string;
    readonly dispatcher?: Dispatcher;
  } = {},
): Promise<Response> {
  const { statusCode, headers, body } = await request(url, { method, dispatcher: agent, ...options });
  return { status: statusCode, headers, body: Buffer.from(await body.arrayBuffer()) };
}

export function temporaryDirectory(): string {
  return mkdtempSync(join(tmpdir(), 'quoral-test-'));
}

/** Waits until it holds; to ask may fail meanwhile, as where a node is not there yet. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const limit = Date.now() + PATIENCE_MS;
  const asked = async (): Promise<boolean> => holds();
  let failure: unknown;
  // To ask costs the nodes something: what takes long is asked for less and less often.
  for (let pause = 25; ; pause = Math.min(250, pause * 1.3)) {
    const held = await asked().catch((error: unknown) => {
      failure = error;
      return false;
    });
    if (held) return;
    if (Date.now() > limit) throw new Error(`${what}: not within ${PATIENCE_MS} ms`, { cause: failure });
    await sleep(pause);
  }
}

/** Runs the command line and waits for its end. */
export async function runQuoral(
  args: readonly string[],
  options: { readonly environment?: Record<string, string>; readonly input?: string } = {},
): Promise<{ readonly status: number | null; readonly stdout: string; readonly stderr: string }> {
  const child = spawn(process.execPath, [...RUNTIME, MAIN, ...args], {
    env: { ...process.env, ...options.environment },
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  child.stdin.end(options.input ?? '');
  const status = await new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  return { status, stdout, stderr };
}

export interface ClusterLook {
  readonly scheme?: 'http' | 'https';
  /** Beside those that every node gets. */
  readonly flagsOf?: (id: string) => readonly string[];
  /** For the runtime instead of the program, such as what to load before it. */
  readonly runtime?: readonly string[];
}

/** A cluster of real node processes that this test owns. */
export class TestCluster {
  readonly directory = temporaryDirectory();
  readonly nodes = new Map<string, RunningNode>();
  readonly #ports: readonly number[];
  readonly #count: number;
  readonly #look: ClusterLook;
  readonly #asked = new WeakSet<ChildProcess>();
  /** Processes that have said themselves that their doors are open. */
  readonly #serving = new WeakSet<ChildProcess>();

  private constructor(count: number, ports: readonly number[], look: ClusterLook) {
    this.#count = count;
    this.#ports = ports;
    this.#look = look;
  }

  /** One whose nodes are not started yet. */
  static async prepare(count: number, look: ClusterLook = {}): Promise<TestCluster> {
    return new TestCluster(count, await freePorts(count * 2), look);
  }

  static async start(count: number, flags: readonly string[] = []): Promise<TestCluster> {
    const cluster = await TestCluster.prepare(count, { flagsOf: () => flags });
    cluster.startAll();
    try {
      await cluster.ready();
    } catch (error) {
      // The caller has nothing yet by which to end them.
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  get ids(): readonly string[] {
    return Array.from({ length: this.#count }, (_, index) => `n${index + 1}`);
  }

  url(id: string): string {
    return `${this.#look.scheme ?? 'http'}://127.0.0.1:${this.#ports[this.ids.indexOf(id)]!}`;
  }

  peer(id: string): string {
    return `127.0.0.1:${this.#ports[this.#count + this.ids.indexOf(id)]!}`;
  }

  startAll(): void {
    for (const id of this.ids) this.startNode(id);
  }

  startNode(id: string, extra: readonly string[] = []): RunningNode {
    const directory = join(this.directory, id);
    const founders = this.ids.map((other) => `${other}=${this.peer(other)}`).join(',');
    const args = [
      ...['node', '--id', id, '--listen', new URL(this.url(id)).host, '--peer-listen', this.peer(id)],
      ...['--data-dir', directory, '--cluster-secret', 'a secret of this test', '--initial-cluster', founders],
      ...(this.#look.flagsOf?.(id) ?? []),
      ...extra,
    ];
    const child = spawn(process.execPath, [...RUNTIME, ...(this.#look.runtime ?? []), MAIN, ...args], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout!.on('data', (chunk: Buffer) => (stdout = (stdout + chunk.toString()).slice(-200_000)));
    child.stderr!.on('data', (chunk: Buffer) => (stderr = (stderr + chunk.toString()).slice(-200_000)));
    const node: RunningNode = {
      id,
      url: this.url(id),
      directory,
      process: child,
      stdout: () => stdout,
      stderr: () => stderr,
    };
    child.on('message', ({ event }: ChildMessage) => {
      if (event === 'serving') this.#serving.add(child);
    });
    child.once('exit', (code, signal) => {
      // A test that only sees a connection reset would not say that a node died under it.
      if (!this.#asked.has(child))
        process.stderr.write(`${id} ended by itself with ${code ?? signal}: ${stdout.slice(-2000)} ${stderr}\n`);
    });
    this.nodes.set(id, node);
    return node;
  }

  async ready(ids: readonly string[] = this.ids, dispatcher: Dispatcher = agent): Promise<void> {
    const limit = Date.now() + PATIENCE_MS;
    for (const id of ids) {
      while (!(await this.isReady(id, dispatcher))) {
        const node = this.nodes.get(id)!;
        const ended = node.process.exitCode ?? node.process.signalCode;
        if (ended !== null) throw new Error(`${id} ended with ${ended}: ${node.stderr()}`);
        if (Date.now() > limit) throw new Error(`${id} is not ready: ${node.stdout().slice(-2000)} ${node.stderr()}`);
        await sleep(25);
      }
    }
  }

  async isReady(id: string, dispatcher: Dispatcher = agent): Promise<boolean> {
    // Somebody else's process may answer on the port of one that has not opened it.
    if (!this.#serving.has(this.nodes.get(id)!.process)) return false;
    try {
      return (await http('GET', `${this.url(id)}/readyz`, { dispatcher })).status === 200;
    } catch {
      return false;
    }
  }

  /** Whether all of these nodes reach the other one, or none of them does. */
  async reach(ids: readonly string[], other: string): Promise<'all' | 'some' | 'none'> {
    const reaching = await Promise.all(ids.map(async (id) => await this.#reaches(id, other)));
    if (reaching.every(Boolean)) return 'all';
    return reaching.some(Boolean) ? 'some' : 'none';
  }

  async #reaches(id: string, other: string): Promise<boolean> {
    const { body } = await http('GET', `${this.url(id)}/v1/cluster`);
    const { members } = JSON.parse(body.toString()) as { members: { id: string; reachable: boolean }[] };
    return members.some((member) => member.id === other && member.reachable);
  }

  /** Sends a signal to a node of this cluster and, unless it only pauses or wakes it, waits for its end. */
  async signal(id: string, signal: 'SIGKILL' | 'SIGTERM' | 'SIGSTOP' | 'SIGCONT'): Promise<number | null> {
    const { process: child } = this.nodes.get(id)!;
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
    const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
    this.#asked.add(child);
    child.kill(signal);
    return signal === 'SIGSTOP' || signal === 'SIGCONT' ? null : ended;
  }

  async stop(): Promise<void> {
    await Promise.all(
      [...this.nodes.keys()].map(async (id) => {
        await this.signal(id, 'SIGCONT');
        await this.signal(id, 'SIGKILL');
      }),
    );
    rmSync(this.directory, { recursive: true, force: true });
  }
}
