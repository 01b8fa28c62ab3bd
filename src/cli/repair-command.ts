/** `quoral ring repair`. */

import { setTimeout as sleep } from 'node:timers/promises';
import { ask, askJson, expectStatus, textOf, type ClientOptions } from './client.ts';
import { print, table, UsageError } from './output.ts';

interface RunView {
  readonly id: number;
  readonly state: 'running' | 'done';
  readonly done: number;
  readonly steps: number;
  readonly compared: number;
  readonly keys: number;
  readonly underWay: number;
  readonly refused: number;
  readonly nodes: readonly { node: string; rows: number; damaged: number; received: number }[];
  readonly differed: readonly { n: number; partition: number; between: readonly string[]; keys: number }[];
  readonly reclaimed: number;
  readonly blocked: readonly string[];
  readonly failures: readonly string[];
}

const PATH = '/v1/ring/repair';
const POLL_MS = 300;
/** How long the node may not answer, or have too much to do, before the waiting is given up. */
const PATIENCE_MS = 60_000;
const TRANSIENT: ReadonlySet<number> = new Set([429, 503]);

export async function ringRepair(
  options: ClientOptions & { readonly bucket?: string; readonly reclaim?: boolean },
  { poll = POLL_MS, patience = PATIENCE_MS }: { readonly poll?: number; readonly patience?: number } = {},
): Promise<void> {
  const { bucket, reclaim = false } = options;
  const body = JSON.stringify({ ...(bucket === undefined ? {} : { bucket }), reclaim });
  const headers = { 'content-type': 'application/json' };
  let run = (await askJson(options, PATH, { method: 'POST', headers, body }, [202])) as RunView;
  const { id } = run;
  while (run.state === 'running') {
    if (options.json !== true) progress(run);
    await sleep(poll);
    run = await lookAt(options, id, { poll, patience });
  }
  if (options.json === true) print(JSON.stringify(run));
  else report(run);
  if (run.failures.length > 0) process.exitCode = 1;
}

/** The node that was asked drives the repair and nobody else knows of it, so it is waited for. */
async function lookAt(
  options: ClientOptions,
  id: number,
  { poll, patience }: { readonly poll: number; readonly patience: number },
): Promise<RunView> {
  const until = performance.now() + patience;
  for (;;) {
    const answer = await ask(options, PATH, { patience }).catch((error: unknown) => {
      if (error instanceof UsageError && performance.now() < until) return undefined;
      throw error;
    });
    if (answer?.status === 404)
      throw new UsageError('the node has been started again, and the repair has ended with it: begin it anew');
    if (answer !== undefined && !(TRANSIENT.has(answer.status) && performance.now() < until)) {
      expectStatus(answer, [200]);
      const run = JSON.parse(textOf(answer)) as RunView;
      if (run.id === id) return run;
      throw new UsageError('another repair has begun at this node, which no longer knows what this one has found');
    }
    await sleep(poll);
  }
}

/** One line that is written over, and only for people. */
function progress({ done, steps, keys }: RunView): void {
  if (process.stderr.isTTY) process.stderr.write(`\r${done} of ${steps} steps, ${keys} keys differed `);
}

function report({ compared, keys, underWay, refused, nodes, differed, reclaimed, blocked, failures }: RunView): void {
  if (process.stderr.isTTY) process.stderr.write('\n');
  print(`${compared} pairs of replicas compared, ${keys} keys differed${keys === 0 ? '' : ' and were mended'}`);
  if (underWay > 0) print(`${underWay} keys were being written meanwhile`);
  if (refused > 0) print(`${refused} states were not taken: the logs of the nodes say why`);
  const rows = nodes.map(({ node, rows: read, damaged, received }) => [node, read, damaged, received].map(String));
  print(table(['node', 'rows', 'damaged', 'received'], rows));
  if (differed.length > 0) {
    const lines = differed.map((one) => [
      String(one.n),
      String(one.partition),
      one.between.join(' '),
      String(one.keys),
    ]);
    print(table(['n', 'partition', 'between', 'keys'], lines));
  }
  if (reclaimed > 0) print(`${reclaimed} tombstones were given up`);
  for (const reason of blocked) print(`tombstones stay: ${reason}`);
  for (const failure of failures) print(`failed: ${failure}`);
}
