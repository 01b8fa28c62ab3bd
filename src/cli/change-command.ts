/** `quoral ring apply|transfers|pause|resume|abort`: doing what was planned, and how far it is. */

import { setTimeout as sleep } from 'node:timers/promises';
import { askJson, type ClientOptions } from './client.ts';
import { print, table } from './output.ts';

interface TransfersView {
  readonly state: 'idle' | 'running' | 'paused' | 'aborting';
  readonly id: string | null;
  readonly epoch: number;
  readonly moves: number;
  readonly done: number;
  readonly transfers: readonly {
    readonly n: number;
    readonly partition: number;
    readonly stage: string;
    readonly from: readonly string[];
    readonly to: readonly string[];
  }[];
}

const PATH = '/v1/ring/transfers';
const POLL_MS = 500;
const BAR_WIDTH = 30;

export async function ringApply(id: string, options: ClientOptions & { readonly wait?: boolean }): Promise<void> {
  let view = (await post(options, `/v1/ring/plans/${encodeURIComponent(id)}/apply`)) as TransfersView;
  if (options.wait === true) {
    const begun = performance.now();
    while (view.id === id) {
      if (options.json !== true) progress(view, performance.now() - begun);
      await sleep(POLL_MS);
      view = (await askJson(options, PATH)) as TransfersView;
    }
    if (process.stderr.isTTY && options.json !== true) process.stderr.write('\n');
  }
  show(options, view);
}

export async function ringTransfers(options: ClientOptions): Promise<void> {
  show(options, (await askJson(options, PATH)) as TransfersView);
}

export async function ringSteer(verb: 'pause' | 'resume' | 'abort', options: ClientOptions): Promise<void> {
  show(options, (await post(options, `${PATH}/${verb}`)) as TransfersView);
}

async function post(options: ClientOptions, path: string): Promise<unknown> {
  return await askJson(options, path, { method: 'POST' }, [202]);
}

/** One line that is written over, and only for people. */
function progress({ moves, done, state }: TransfersView, elapsed: number): void {
  if (!process.stderr.isTTY) return;
  const part = moves === 0 ? 1 : done / moves;
  const bar = '#'.repeat(Math.round(part * BAR_WIDTH)).padEnd(BAR_WIDTH, '.');
  const left = done === 0 ? '' : `, about ${Math.ceil((elapsed / done) * (moves - done) * 0.001)} s left`;
  process.stderr.write(`\r[${bar}] ${done} of ${moves} replicas, ${state}${left}   `);
}

function show({ json }: ClientOptions, view: TransfersView): void {
  if (json === true) {
    print(JSON.stringify(view));
    return;
  }
  if (view.id === null) {
    print(`nothing moves, epoch ${view.epoch}`);
    return;
  }
  print(
    `change ${view.id} is ${view.state}: ${view.done} of ${view.moves} replicas are where they belong, epoch ${view.epoch}`,
  );
  const rows = view.transfers.map(({ n, partition, stage, from, to }) => [
    ...[String(n), String(partition), stage, from.join(' ') || '-', to.join(' ') || '-'],
  ]);
  if (rows.length > 0) print(table(['n', 'partition', 'stage', 'from', 'to'], rows));
}
