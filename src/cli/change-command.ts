/** `quoral ring apply|transfers|pause|resume|abort`: doing what was planned, and how far it is. */

import type { TransfersView } from '#operator/ring-plans.ts';
import { ask, askJson, expectStatus, textOf, type ClientOptions } from './client.ts';
import { waitText } from './change-progress.ts';
import { TRANSFERS, untilOver, type Outcome } from './change-wait.ts';
import { counted, rateOf, readThrottle, sizeOf } from './measures.ts';
import { EXIT, print, table, UsageError } from './output.ts';

export interface ApplyOptions extends ClientOptions {
  readonly wait?: boolean;
  readonly throttle?: string;
}

const PLAN_ID = /^[0-9a-f]{16}$/;
const NO_SUCH_PLAN =
  'this node keeps no such plan: plans are kept in the memory of the node that made them, the last 16 of them until it ' +
  'restarts. Nothing was begun: plan again (quoral ring plan …) and apply that, at the same node';

export async function ringApply(id: string, options: ApplyOptions): Promise<void> {
  if (!PLAN_ID.test(id)) {
    throw new UsageError(`plan ${JSON.stringify(id)}: must be the 16 hex digits that quoral ring plan has printed`);
  }
  const throttle = options.throttle === undefined ? {} : { throttle: readThrottle(options.throttle) };
  const headers = { 'content-type': 'application/json' };
  const asked = { method: 'POST', headers, body: JSON.stringify(throttle) } as const;
  const answer = await ask(options, `/v1/ring/plans/${id}/apply`, asked).catch((error: unknown) => {
    if (!(error instanceof UsageError) || error.exitStatus !== EXIT.unknown) throw error;
    const open = 'if the node has got this, the change has begun: quoral ring transfers, at another node, shows it';
    throw new UsageError(`${error.message}; ${open}`, error.exitStatus);
  });
  if (answer.status === 404) throw new UsageError(`plan ${id}: ${NO_SUCH_PLAN}`, EXIT.conflict);
  expectStatus(answer, [202]);
  const view = JSON.parse(textOf(answer)) as TransfersView;
  if (options.wait === true && view.id === id) await waitFor(options, view);
  else show(options, view);
}

/** `--wait`: until nothing moves. */
export async function ringTransfers(
  options: ClientOptions & { readonly wait?: boolean; readonly partitions?: boolean },
): Promise<void> {
  const view = (await askJson(options, TRANSFERS)) as TransfersView;
  if (view.epoch === 0)
    throw new UsageError('this node knows no ring yet, so it cannot say what moves: ask another one');
  if (options.wait === true && view.id !== null) await waitFor(options, view);
  else show(options, view, options.partitions === true);
}

export interface SteerOptions extends ClientOptions {
  readonly acceptLossOf?: readonly string[];
}

/** `id`: the change that is meant; whichever is under way when none is named. */
export async function ringSteer(
  verb: 'pause' | 'resume' | 'abort',
  id: string | undefined,
  options: SteerOptions,
): Promise<void> {
  if (id !== undefined && !PLAN_ID.test(id)) {
    throw new UsageError(`change ${JSON.stringify(id)}: must be the 16 hex digits that quoral ring transfers shows`);
  }
  const headers = { 'content-type': 'application/json' };
  const asked = { method: 'POST', headers, body: JSON.stringify({ id, acceptLossOf: options.acceptLossOf }) } as const;
  show(options, (await askJson(options, `${TRANSFERS}/${verb}`, asked, [202])) as TransfersView);
}

async function waitFor(options: ClientOptions, begun: TransfersView): Promise<void> {
  const from = performance.now();
  if (options.json !== true) tellOnInterrupt(begun.id!);
  const { view, outcome } = await untilOver(options, begun);
  const seconds = Math.round((performance.now() - from) / 1000);
  if (options.json === true) print(JSON.stringify({ ...view, applied: { id: begun.id, outcome } }));
  else print(`change ${begun.id} ${outcomeText(outcome)} after ${seconds} s, epoch ${view.epoch}`);
  if (outcome === 'aborted') process.exitCode = EXIT.aborted;
  if (outcome === 'unknown') process.exitCode = EXIT.unknown;
}

function outcomeText(outcome: Outcome): string {
  switch (outcome) {
    case 'done':
      return 'is done';
    case 'aborted':
      return 'is taken back';
    case 'unknown':
      return 'is over, done or taken back (only of a later one it is remembered which)';
  }
}

/** Who stops waiting has not stopped the change. */
function tellOnInterrupt(id: string): void {
  process.once('SIGINT', () => {
    process.stderr.write(
      `\nthe change goes on; quoral ring transfers --wait shows it, quoral ring pause ${id} stops it, abort ${id} takes it back\n`,
    );
    process.exit(130);
  });
}

function show({ json }: ClientOptions, view: TransfersView, each = false): void {
  if (json === true) {
    print(JSON.stringify(view));
    return;
  }
  const { id, state, moves, done, bytes, throttle, epoch, last, waiting, transfers } = view;
  if (id === null) {
    const outcome = last?.outcome === 'done' ? 'done' : 'taken back';
    print(`nothing moves, epoch ${epoch}${last === null ? '' : `; the last change, ${last.id}, is ${outcome}`}`);
    return;
  }
  const size = bytes === 0 ? '' : `, about ${sizeOf(bytes)} in all`;
  const speed = throttle === null ? '' : `, at most ${rateOf(throttle)} a node`;
  print(
    `change ${id} is ${state}: ${done} of ${counted(moves, 'replica')} are where they belong${size}${speed}, epoch ${epoch}`,
  );
  for (const one of waiting ?? []) print(waitText(one));
  if (transfers.length === 0) return;
  if (each)
    print(
      table(
        ['n', 'partition', ...ROUTE],
        transfers.map((one) => [`${one.n}`, `${one.partition}`, ...route(one)]),
      ),
    );
  else print(table([...ROUTE, 'partitions'], grouped(transfers)));
}

const ROUTE = ['stage', 'from', 'to'];

function route({ stage, from, to }: TransfersView['transfers'][number]): readonly string[] {
  return [stage, from.join(' ') || '-', to.join(' ') || '-'];
}

/** Partitions that go the same way count as one line. */
function grouped(transfers: TransfersView['transfers']): readonly (readonly string[])[] {
  const groups = Map.groupBy(transfers, (one) => route(one).join('\t'));
  return [...groups]
    .map(([way, ones]) => [...way.split('\t'), String(ones.length)])
    .sort((a, b) => (a.join() < b.join() ? -1 : 1));
}
