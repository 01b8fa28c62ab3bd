/** Three nodes that do nothing but what cannot be done without (bare-node.ts): how late are its answers on this machine? */

import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { mindProcess, temporaryDirectory } from '../interruption.ts';

const PROGRAM = new URL('bare-node.ts', import.meta.url).pathname;

export class BareCluster {
  readonly urls: readonly string[];
  readonly #directory = temporaryDirectory('bare-bench-');
  readonly #nodes: readonly ChildProcess[];

  constructor(basePort: number) {
    const indexes = [0, 1, 2];
    this.urls = indexes.map((index) => `http://127.0.0.1:${basePort + index}`);
    this.#nodes = indexes.map((index) =>
      mindProcess(fork(PROGRAM, [String(index), String(basePort), this.#directory])),
    );
  }

  get pids(): readonly number[] {
    return this.#nodes.flatMap(({ pid }) => pid ?? []);
  }

  async ready(): Promise<void> {
    await Promise.all(this.#nodes.map((node) => once(node, 'message')));
  }

  async stop(): Promise<void> {
    await Promise.all(
      this.#nodes.map(async (node) => {
        if (node.exitCode !== null || node.signalCode !== null) return;
        const ended = once(node, 'exit');
        node.disconnect();
        await ended;
      }),
    );
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
