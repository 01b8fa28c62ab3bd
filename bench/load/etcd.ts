/** A cluster of three etcd on this machine, with its defaults: every write is synced, reads are linearizable unless they say otherwise. */

import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { mindProcess, temporaryDirectory } from '../interruption.ts';

const MEMBERS = 3;

/** The version that is installed; undefined when none is. */
export function etcdVersion(): string | undefined {
  const { status, stdout } = spawnSync('etcd', ['--version'], { encoding: 'utf8' });
  return status === 0 ? stdout.split('\n')[0] : undefined;
}

export class EtcdCluster {
  readonly urls: readonly string[];
  readonly #directory = temporaryDirectory('etcd-bench-');
  readonly #members: readonly ChildProcess[];

  constructor(basePort: number) {
    const client = (i: number): string => `http://127.0.0.1:${basePort + i}`;
    const peer = (i: number): string => `http://127.0.0.1:${basePort + 100 + i}`;
    const indexes = Array.from({ length: MEMBERS }, (_, i) => i);
    this.urls = indexes.map(client);
    this.#members = indexes.map((i) =>
      mindProcess(
        spawn(
          'etcd',
          [
            ...['--name', `e${i}`, '--data-dir', join(this.#directory, `e${i}`), '--log-level', 'error'],
            ...['--listen-client-urls', client(i), '--advertise-client-urls', client(i)],
            ...['--listen-peer-urls', peer(i), '--initial-advertise-peer-urls', peer(i)],
            ...['--initial-cluster', indexes.map((j) => `e${j}=${peer(j)}`).join(',')],
          ],
          { stdio: 'ignore' },
        ),
      ),
    );
  }

  get pids(): readonly number[] {
    return this.#members.flatMap(({ pid }) => pid ?? []);
  }

  async ready(): Promise<void> {
    for (const url of this.urls) {
      for (let attempt = 0; attempt < 400; attempt++) {
        const healthy = await fetch(`${url}/health`).then(
          async (response) => (await response.text()).includes('"true"'),
          () => false,
        );
        if (healthy) break;
        await sleep(50);
      }
    }
  }

  async stop(): Promise<void> {
    await Promise.all(
      this.#members.map(async (member) => {
        if (member.exitCode !== null || member.signalCode !== null) return;
        const ended = new Promise((resolve) => member.once('exit', resolve));
        member.kill('SIGTERM');
        await ended;
      }),
    );
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
