/**
 * `npm run bench:ring`: what users notice of a ring that changes, and how fast it changes. Real nodes at their defaults; a closed
 * loop of clients goes on all the time. The parts, each a cluster of its own and two to five minutes on a quiet machine:
 *
 * - `grow`: 3 → 4 → 6 nodes
 * - `shrink`: of 4 nodes one leaves; then one is killed for good and replaced
 * - `small`: 1 → 2 → 3 → 1 nodes, with a tenth of the keys
 * - `speed`: a join without throttle and without load: keys and MB a second, and who is busy meanwhile
 *
 * `--parts grow,speed` chooses; `--keys 5000` takes fewer keys; `--seconds 3` shortens the calm before each change;
 * `--json FILE` writes all figures, `--page FILE` the tables, `--logs DIR` keeps what the nodes logged.
 */

import { execFileSync } from 'node:child_process';
import { cpSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { flagsFrom, namesIn } from '../flags.ts';
import { Nodes } from './nodes.ts';
import { now } from './open-loop.ts';
import { applied, type RingChangeBody } from './ring-operator.ts';
import { missing, store, type RingLoadOptions, type RingLoadResult } from './ring-load.ts';
import { page, type PartFigures } from './ring-page.ts';
import { changeFigures, loadFigures, SETTLE_MS, show, type ChangeFigures } from './ring-report.ts';

const { values: flags } = flagsFrom(
  {
    options: {
      json: { type: 'string' },
      logs: { type: 'string' },
      page: { type: 'string' },
      parts: { type: 'string', default: 'grow,shrink,small,speed' },
      keys: { type: 'string', default: '100000' },
      seconds: { type: 'string', default: '8' },
      clients: { type: 'string', default: '16' },
      'base-port': { type: 'string', default: '17101' },
      'node-flags': { type: 'string', default: '' },
    },
  },
  ['keys', 'seconds', 'clients', 'base-port'],
);

const BUCKET = 'bench';
const BYTES = 1024;
const WORKER = new URL('ring-load-worker.ts', import.meta.url);
/** Before the calm is measured: a node that is asked for the first time has to translate its programs. */
const WARM_MS = 5000;
const calmMs = Number(flags.seconds) * 1000;

/** One cluster, its load, and what was changed. */
class Course {
  readonly nodes: Nodes;
  readonly #keys: number;
  readonly #changes: ChangeFigures[] = [];
  readonly #killed: { readonly node: string; readonly at: number }[] = [];
  #load: Worker | undefined;
  #result: RingLoadResult | undefined;
  #asked: readonly string[];

  constructor(founders: number, keys: number) {
    this.nodes = new Nodes(founders, Number(flags['base-port']), flags['node-flags'].split(' ').filter(Boolean));
    this.#keys = keys;
    this.#asked = [...this.nodes.ids];
  }

  async begin(withLoad: boolean): Promise<void> {
    await this.nodes.startAll();
    await store({ urls: this.#urls(), bucket: BUCKET, keys: this.#keys, bytes: BYTES });
    if (!withLoad) return;
    const options = {
      urls: this.#urls(),
      bucket: BUCKET,
      keys: this.#keys,
      bytes: BYTES,
      clients: Number(flags.clients),
    };
    this.#load = new Worker(WORKER, { workerData: options satisfies RingLoadOptions });
    this.#load.on('error', (error) => {
      throw error;
    });
    await sleep(2000);
  }

  /** Starts a newcomer and lets it get over that: what the start of a process costs is not what a change costs. */
  async add(): Promise<void> {
    await this.nodes.ready(this.nodes.add(), '/livez');
    await sleep(1000);
  }

  /** Clients ask these from now on. */
  ask(ids: readonly string[]): void {
    this.#asked = ids;
    this.#load?.postMessage(this.#urls());
  }

  async kill(id: string): Promise<void> {
    this.#killed.push({ node: id, at: now() });
    await this.nodes.signal(id, 'SIGKILL');
  }

  async change(name: string, body: RingChangeBody): Promise<void> {
    await sleep(this.#load === undefined ? 1000 : WARM_MS + calmMs);
    const cpuBefore = this.nodes.ids.map((id) => this.nodes.cpuMs(id));
    const change = await applied(Object.values(this.#urls()).at(-1)!, Object.values(this.nodes.urls), body);
    const cpu = this.nodes.ids.map((id, i) => [id, this.nodes.cpuMs(id) - cpuBefore[i]!] as const);
    this.#changes.push(changeFigures(name, change, Object.fromEntries(cpu), calmMs));
    console.log(`  ${name}: ${((change.until - change.from) / 1000).toFixed(1)} s`);
    if (this.#load !== undefined) await sleep(SETTLE_MS + calmMs);
  }

  async end(): Promise<PartFigures> {
    await sleep(1000);
    this.#load?.postMessage(null);
    if (this.#load !== undefined) {
      this.#result = await new Promise<RingLoadResult>((resolve) => this.#load!.once('message', resolve));
    }
    const acked = this.#result?.acked ?? Array.from({ length: this.#keys }, () => 0);
    const lost = await missing({ urls: this.#urls(), bucket: BUCKET }, acked);
    return { changes: this.#changes, load: loadFigures(this.#result, lost, this.#keys, this.#killed, this.#changes) };
  }

  async stop(part: string): Promise<void> {
    const { directory } = this.nodes;
    if (flags.logs !== undefined) cpSync(directory, join(flags.logs, part), { recursive: true, filter: isLog });
    await this.#load?.terminate();
    await this.nodes.stop();
  }

  #urls(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.#asked.map((id) => [id, this.nodes.urls[id]!]));
  }
}

function isLog(path: string): boolean {
  return !/\/n\d+(\/|$)/.test(path);
}

type Part = (course: Course) => Promise<void>;

const PARTS: Readonly<Record<string, { readonly founders: number; readonly share: number; readonly run: Part }>> = {
  grow: {
    founders: 3,
    share: 1,
    run: async (course) => {
      await course.add();
      await course.change('3 → 4', { join: ['n4'] });
      course.ask(['n1', 'n2', 'n3', 'n4']);
      await course.add();
      await course.add();
      await course.change('4 → 6', { join: ['n5', 'n6'] });
      course.ask(['n1', 'n2', 'n3', 'n4', 'n5', 'n6']);
    },
  },
  shrink: {
    founders: 4,
    share: 1,
    run: async (course) => {
      // Out of the load balancer first, as the guide says.
      course.ask(['n2', 'n3', 'n4']);
      await course.change('n1 leaves', { leave: ['n1'] });
      await course.add();
      await course.kill('n2');
      await course.change('n2, dead, replaced by n5', { replace: { n2: 'n5' } });
      course.ask(['n3', 'n4', 'n5']);
    },
  },
  small: {
    founders: 1,
    share: 0.1,
    run: async (course) => {
      await course.add();
      await course.change('1 → 2', { join: ['n2'] });
      await course.add();
      course.ask(['n1', 'n2']);
      await course.change('2 → 3', { join: ['n3'] });
      course.ask(['n2']);
      await course.change('3 → 1', { leave: ['n1', 'n3'] });
    },
  },
  speed: {
    founders: 3,
    share: 1,
    run: async (course) => {
      await course.add();
      await course.change('3 → 4, not throttled', { join: ['n4'], throttle: null });
    },
  },
};

function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
  } catch {
    return 'unknown';
  }
}

async function main(): Promise<void> {
  const names = namesIn('parts', flags.parts, Object.keys(PARTS));
  const machine = `${cpus()[0]?.model ?? 'unknown'} × ${cpus().length}, ${(totalmem() / 1024 ** 3).toFixed(0)} GiB, Node ${process.version}`;
  console.log(
    `${machine}, commit ${commit()}, load ${loadavg()
      .map((one) => one.toFixed(1))
      .join(' ')}`,
  );
  const parts: Record<string, PartFigures> = {};
  for (const name of names) {
    const part = PARTS[name]!;
    const begun = now();
    const keys = Math.round(Number(flags.keys) * part.share);
    console.log(`${name}: ${part.founders} nodes, ${keys} keys of ${BYTES} bytes`);
    const course = new Course(part.founders, keys);
    try {
      await course.begin(name !== 'speed');
      await part.run(course);
      parts[name] = await course.end();
      show(parts[name]);
    } catch (error) {
      // The other parts may have something to say all the same.
      console.log(`  FAILED: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
      process.exitCode = 1;
    } finally {
      await course.stop(name);
    }
    console.log(`  ${((now() - begun) / 1000).toFixed(0)} s in all`);
  }
  if (flags.page !== undefined) writeFileSync(flags.page, page(machine, commit(), parts));
  if (flags.json === undefined) return;
  const result = { machine, commit: commit(), clients: Number(flags.clients), parts };
  writeFileSync(flags.json, `${JSON.stringify(result, null, 2)}\n`);
}

await main();
