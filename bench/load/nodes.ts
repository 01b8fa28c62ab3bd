/** Node processes of a benchmark, which it may kill, freeze, cut off and start again; their logs are kept whole, in files. */

import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { mindProcess, temporaryDirectory } from '../interruption.ts';
import type { Network } from './network.ts';

const MAIN = new URL('../../src/main.ts', import.meta.url).pathname;

export interface LogLine {
  readonly node: string;
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly level: string;
  readonly event: string;
  readonly text: string;
}

export class Nodes {
  readonly directory = temporaryDirectory('quoral-bench-');
  readonly #ids: string[];
  readonly #founders: readonly string[];
  readonly #basePort: number;
  readonly #flags: readonly string[];
  readonly #nodeFlags: readonly string[];
  readonly #main: string;
  readonly #network: Network | undefined;
  readonly #processes = new Map<string, ChildProcess>();

  /**
   * `flags` are those of the program, `nodeFlags` those of Node.js; `main` is the program, this one without it. With a `network` the
   * nodes are in it, on loopback without.
   */
  constructor(
    count: number,
    basePort: number,
    flags: readonly string[],
    nodeFlags: readonly string[] = [],
    main: string = MAIN,
    network?: Network,
  ) {
    this.#main = main;
    this.#network = network;
    this.#ids = Array.from({ length: count }, (_, index) => `n${index + 1}`);
    this.#founders = [...this.#ids];
    this.#basePort = basePort;
    this.#flags = flags;
    this.#nodeFlags = nodeFlags;
  }

  get ids(): readonly string[] {
    return this.#ids;
  }

  get urls(): Readonly<Record<string, string>> {
    const host = (id: string): string => this.#network?.clientHost(id) ?? '127.0.0.1';
    return Object.fromEntries(this.ids.map((id, index) => [id, `http://${host(id)}:${this.#basePort + index}`]));
  }

  get pids(): readonly number[] {
    return [...this.#processes.values()].flatMap(({ pid }) => pid ?? []);
  }

  /** Starts a further node, which waits until a plan names it. */
  add(): string {
    const id = `n${this.#ids.length + 1}`;
    this.#ids.push(id);
    this.start(id);
    return id;
  }

  /** User and system CPU time of the process so far, in milliseconds (Linux; 0 elsewhere). */
  cpuMs(id: string): number {
    try {
      const stat = readFileSync(`/proc/${this.#processes.get(id)!.pid}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return (Number(fields[11]) + Number(fields[12])) * 10;
    } catch {
      return 0;
    }
  }

  start(id: string): void {
    const peer = (of: string): string =>
      `${this.#network?.peerHost(of) ?? '127.0.0.1'}:${this.#basePort + 100 + this.ids.indexOf(of)}`;
    const meeting = this.#founders.includes(id)
      ? ['--initial-cluster', this.#founders.map((other) => `${other}=${peer(other)}`).join(',')]
      : ['--seeds', this.#founders.map(peer).join(',')];
    const args = [
      ...['node', '--id', id, '--listen', new URL(this.urls[id]!).host, '--peer-listen', peer(id)],
      ...['--data-dir', join(this.directory, id), '--cluster-secret', 'a secret of this benchmark'],
      ...meeting,
      ...this.#flags,
    ];
    const log = openSync(join(this.directory, `${id}.log`), 'a');
    const stdio = ['ignore', log, log, 'ipc'] as const;
    const command = [process.execPath, ...this.#nodeFlags, this.#main, ...args];
    const [program, ...rest] = [...(this.#network?.enter(id) ?? []), ...command];
    this.#processes.set(id, mindProcess(spawn(program!, rest, { stdio: [...stdio] })));
    closeSync(log);
  }

  async startAll(): Promise<void> {
    for (const id of this.ids) this.start(id);
    for (const id of this.ids) await this.ready(id);
  }

  /** Until the node serves. */
  async ready(id: string, path = '/readyz'): Promise<void> {
    for (let attempt = 0; attempt < 1200; attempt++) {
      const ready = await fetch(`${this.urls[id]}${path}`, { signal: AbortSignal.timeout(1000) }).then(
        ({ ok }) => ok,
        () => false,
      );
      if (ready) return;
      await sleep(25);
    }
    throw new Error(`${id} did not get ready`);
  }

  /** Sends a signal and, if it ends the process, waits for that. */
  async signal(id: string, signal: 'SIGKILL' | 'SIGTERM' | 'SIGSTOP' | 'SIGCONT'): Promise<void> {
    const child = this.#processes.get(id);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    if (signal === 'SIGKILL' || signal === 'SIGTERM') await ended;
  }

  async stop(): Promise<void> {
    await Promise.all(
      this.ids.map(async (id) => {
        await this.signal(id, 'SIGCONT');
        await this.signal(id, 'SIGTERM');
      }),
    );
    rmSync(this.directory, { recursive: true, force: true });
  }

  log(): readonly LogLine[] {
    return this.ids.flatMap((node) =>
      readFileSync(join(this.directory, `${node}.log`), 'utf8')
        .split('\n')
        .filter((text) => text !== '')
        .map((text) => logLine(node, text)),
    );
  }
}

function logLine(node: string, text: string): LogLine {
  try {
    const { time, level, event } = JSON.parse(text) as { time: string | number; level: string; event: string };
    return { node, time: new Date(time).getTime(), level, event, text };
  } catch {
    return { node, time: Number.NaN, level: 'not JSON', event: text.slice(0, 80), text };
  }
}
