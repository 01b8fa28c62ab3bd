/** Clusters whose ring changes: founders, and further nodes that wait to join; what operators ask of them. */

import { spawn } from 'node:child_process';
import { delimiter, dirname, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { http, MAIN, TestCluster } from './support.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** For scripts: it has no blank in it, wherever the checkout lies. */
export const PROGRAM_COMMAND = { QUORAL_COMMAND: `node ${relative(ROOT, MAIN)}` };
/** Far more than anything here takes on a machine that has nothing else to do. */
const LIMIT_MS = 150_000;

/** A change is many steps, and between two of them nodes would wait for their next look. */
const QUICK = [
  ...['--partitions', '32', '--join-interval', '100ms', '--leaver-patience', '1s'],
  ...['--ring-drive-interval', '50ms', '--transfer-look-interval', '50ms'],
];

export interface Transfers {
  readonly state: 'idle' | 'running' | 'paused' | 'aborting';
  readonly id: string | null;
  readonly moves: number;
  readonly done: number;
  readonly last: { readonly id: string; readonly outcome: string } | null;
  readonly transfers: readonly { readonly stage: string }[];
}

export class RingCluster {
  readonly nodes: TestCluster;
  readonly #founders: readonly string[];

  private constructor(nodes: TestCluster, founders: number) {
    this.nodes = nodes;
    this.#founders = nodes.ids.slice(0, founders);
  }

  /** Room for so many nodes, of which the first found the cluster. */
  static async start(founders: number, count: number, flags: readonly string[] = []): Promise<RingCluster> {
    const look = { flagsOf: () => [...QUICK, ...flags] };
    const cluster = new RingCluster(await TestCluster.prepare(count, look), founders);
    for (const id of cluster.#founders) cluster.restart(id);
    await cluster.nodes.ready(cluster.#founders);
    return cluster;
  }

  restart(id: string): void {
    const list = (ids: readonly string[]): string => ids.map((one) => `${one}=${this.nodes.peer(one)}`).join(',');
    if (this.#founders.includes(id)) this.nodes.startNode(id, ['--initial-cluster', list(this.#founders)]);
    else {
      const seeds = this.#founders.map((one) => this.nodes.peer(one)).join(',');
      this.nodes.startNode(id, ['--initial-cluster', '', '--seeds', seeds]);
    }
  }

  url(id: string): string {
    return this.nodes.url(id);
  }

  async members(via: string): Promise<Readonly<Record<string, string>>> {
    const { members } = (await getJson(`${this.url(via)}/v1/cluster`)) as { members: { id: string; state: string }[] };
    return Object.fromEntries(members.map(({ id, state }) => [id, state]));
  }

  async transfers(via: string): Promise<Transfers> {
    return (await getJson(`${this.url(via)}/v1/ring/transfers`)) as Transfers;
  }

  /** Plans and begins; nodes that were just started are waited for. */
  async begin(via: string, change: unknown, throttle?: number): Promise<string> {
    const headers = { 'content-type': 'application/json' };
    for (const limit = Date.now() + LIMIT_MS; ; await sleep(100)) {
      const planned = await http('POST', `${this.url(via)}/v1/ring/plans`, { headers, body: JSON.stringify(change) });
      if (planned.status !== 200 && Date.now() < limit) continue;
      const { id } = JSON.parse(planned.body.toString()) as { id: string };
      const body = JSON.stringify(throttle === undefined ? {} : { throttle });
      const applied = await http('POST', `${this.url(via)}/v1/ring/plans/${id}/apply`, { headers, body });
      if (applied.status === 202) return id;
      throw new Error(`${applied.status} ${applied.body.toString()}`);
    }
  }

  /** Until a node that was started again takes part, though it may be one that joins and is not ready for clients. */
  async back(id: string): Promise<void> {
    const others = this.#founders.filter((other) => other !== id);
    for (const limit = Date.now() + LIMIT_MS; ; await sleep(50)) {
      const seen = await Promise.all(others.map(async (other) => this.#sees(other, id).catch(() => false)));
      if (seen.every(Boolean) && (await this.#isConfirmed(id).catch(() => false))) return;
      if (Date.now() > limit) throw new Error(`${id} is not back: ${this.nodes.nodes.get(id)!.stdout().slice(-2000)}`);
    }
  }

  async #sees(from: string, id: string): Promise<boolean> {
    const { members } = (await getJson(`${this.url(from)}/v1/cluster`)) as {
      members: { id: string; reachable: boolean }[];
    };
    return members.some((member) => member.id === id && member.reachable);
  }

  async #isConfirmed(id: string): Promise<boolean> {
    const { body } = await http('GET', `${this.url(id)}/readyz`);
    const { checks } = JSON.parse(body.toString()) as { checks: { name: string; ok: boolean }[] };
    return checks.some(({ name, ok }) => name === 'epoch' && ok);
  }

  async steer(via: string, verb: 'pause' | 'resume'): Promise<void> {
    const { status, body } = await http('POST', `${this.url(via)}/v1/ring/transfers/${verb}`);
    if (status !== 202) throw new Error(`${verb}: ${status} ${body.toString()}`);
  }

  /** Until nothing moves any more, as seen by a node that may be away for a while. */
  async settled(via: string): Promise<Transfers> {
    for (const limit = Date.now() + LIMIT_MS; ; await sleep(50)) {
      const view = await this.transfers(via).catch(() => undefined);
      if (view?.state === 'idle') return view;
      if (Date.now() > limit) throw new Error(`still moving: ${JSON.stringify(view)}`);
    }
  }

  /** Until the change is in the middle of moving. */
  async until(via: string, wanted: (view: Transfers) => boolean): Promise<void> {
    for (const limit = Date.now() + LIMIT_MS; !wanted(await this.transfers(via)); await sleep(50)) {
      if (Date.now() > limit) throw new Error(`it does not come to that: ${JSON.stringify(await this.transfers(via))}`);
    }
  }
}

async function getJson(url: string): Promise<unknown> {
  const { status, body } = await http('GET', url);
  if (status !== 200) throw new Error(`${url}: ${status} ${body.toString()}`);
  return JSON.parse(body.toString());
}

export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export function scriptPath(name: string): string {
  return `${ROOT}scripts/${name}`;
}

/** Runs an operator's script under this very Node.js. */
export async function runScript(
  name: string,
  args: readonly string[],
  url: string,
  settings: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  return runScriptAt(scriptPath(name), args, url, settings);
}

export async function runScriptAt(
  path: string,
  args: readonly string[],
  url: string,
  settings: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  const PATH = `${dirname(process.execPath)}${delimiter}${process.env['PATH'] ?? ''}`;
  const env = { ...process.env, PATH, QUORAL_URL: url, ...settings };
  const child = spawn('sh', [path, ...args], { cwd: ROOT, env });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  child.stdin.end();
  const status = await new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
  return { status, stdout, stderr };
}
