/**
 * `quoral bench strong`: clients that read and change a few keys of a strong bucket through all nodes, and what that shows. As
 * `increments` each reads a number and puts the next one in its place by compare-and-set, so the numbers at the end must be those
 * that were acknowledged, plus at most those of unknown outcome. As `mixed` they read, write, compare-and-set and delete.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request, type Dispatcher } from 'undici';
import { askJson, keyPath, tokenOf, type ClientOptions } from './client.ts';
import { dispatcherFor } from './client-tls.ts';
import { print, table, UsageError } from './output.ts';
import { historyIn, NO_HISTORY, type Entry, type History, type Operation, type Outcome } from './strong-history.ts';

export const WORKLOADS = ['increments', 'mixed'] as const;
export type Workload = (typeof WORKLOADS)[number];

export interface StrongLoad {
  /** Every client goes through all of them. */
  readonly urls: readonly string[];
  readonly bucket: string;
  readonly workload: Workload;
  readonly clients: number;
  readonly keys: number;
  readonly milliseconds: number;
  /** Milliseconds that one request may take. */
  readonly timeout: number;
  /** Milliseconds between two operations of a client, on average. */
  readonly pause: number;
  readonly history: History;
  readonly headers?: Readonly<Record<string, string>>;
  readonly dispatcher?: Dispatcher | undefined;
}

export interface StrongReport {
  readonly operations: number;
  readonly opsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly outcomes: Readonly<Record<Outcome | 'refused', number>>;
  /** Of increments: over all keys. */
  readonly increments?: { readonly final: number; readonly acknowledged: number; readonly unknown: number };
}

interface Seen {
  readonly value: string | null;
  readonly etag: string | undefined;
}

interface Heard {
  readonly status: number;
  readonly etag: string | undefined;
  readonly body: string;
}

const UNHEARD: Heard = { status: 0, etag: undefined, body: '{"outcome":"not-applied"}' };

/** How long the last reads are tried, for nodes may still be coming back. */
const LAST_READS_MS = 30_000;

export async function runStrong(load: StrongLoad): Promise<StrongReport> {
  const run = new StrongRun(load);
  await run.clients();
  const increments = load.workload === 'increments' ? await run.sums() : undefined;
  await run.close();
  return { ...run.figures(), ...(increments === undefined ? {} : { increments }) };
}

class StrongRun {
  readonly #load: StrongLoad;
  readonly #dispatcher: Dispatcher;
  readonly #began = process.hrtime.bigint();
  /** Of this run alone, so that an earlier one left nothing. */
  readonly #prefix = `run-${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 8)}`;
  readonly #latencies: number[] = [];
  readonly #outcomes = { applied: 0, 'not-applied': 0, unknown: 0, refused: 0 };
  readonly #increments = { acknowledged: 0, unknown: 0 };
  #lasted = 0;

  constructor(load: StrongLoad) {
    this.#load = load;
    this.#dispatcher = load.dispatcher ?? new Agent({ connections: load.clients, keepAliveTimeout: 10_000 });
  }

  async clients(): Promise<void> {
    const until = performance.now() + this.#load.milliseconds;
    const began = performance.now();
    await Promise.all(Array.from({ length: this.#load.clients }, (_, i) => this.#client(i, until)));
    this.#lasted = performance.now() - began;
  }

  async close(): Promise<void> {
    await this.#load.history.close();
    if (this.#load.dispatcher === undefined) await this.#dispatcher.close();
  }

  figures(): Omit<StrongReport, 'increments'> {
    const sorted = Float64Array.from(this.#latencies).sort();
    const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
    return {
      operations: sorted.length,
      opsPerSecond: (sorted.length * 1000) / Math.max(1, this.#lasted),
      ...{ p50Ms: at(0.5), p99Ms: at(0.99), outcomes: this.#outcomes },
    };
  }

  /** What the keys hold in the end, against what the clients were told. */
  async sums(): Promise<NonNullable<StrongReport['increments']>> {
    let final = 0;
    for (let key = 0; key < this.#load.keys; key++) final += numberIn(await this.#lastRead(`k${key}`));
    return { final, ...this.#increments };
  }

  async #lastRead(key: string): Promise<string | null> {
    const until = performance.now() + LAST_READS_MS;
    for (let turn = 0; performance.now() < until; turn++) {
      const seen = await this.#read('last', turn, key);
      if (seen !== undefined) return seen.value;
      await sleep(100);
    }
    throw new UsageError(`no node could read ${key} at the end`);
  }

  async #client(number: number, until: number): Promise<void> {
    const { workload, keys, pause } = this.#load;
    const client = `c${number + 1}`;
    const seen = new Map<string, Seen>();
    for (let turn = number; performance.now() < until; turn++) {
      const key = `k${Math.floor(Math.random() * keys)}`;
      const value = `${client}.${turn}`;
      if (workload === 'increments') await this.#increment(client, turn, key, value);
      else await this.#mixed(client, turn, key, value, seen);
      if (pause > 0) await sleep(Math.random() * 2 * pause);
    }
  }

  async #increment(client: string, turn: number, key: string, name: string): Promise<void> {
    const seen = await this.#read(client, turn, key);
    if (seen === undefined) return;
    const value = `${numberIn(seen.value) + 1} ${name}`;
    const outcome = await this.#swap(client, turn + 1, key, seen, value);
    if (outcome === 'applied') this.#increments.acknowledged += 1;
    if (outcome === 'unknown') this.#increments.unknown += 1;
  }

  async #mixed(client: string, turn: number, key: string, value: string, seen: Map<string, Seen>): Promise<void> {
    const chance = Math.random();
    const last = seen.get(key);
    if (chance < 0.45 || (last === undefined && chance >= 0.7)) {
      const read = await this.#read(client, turn, key);
      if (read !== undefined) seen.set(key, read);
    } else if (chance < 0.65) {
      await this.#do(client, turn, key, { operation: 'write', argument: value }, 'PUT', {}, value);
    } else if (chance < 0.7) {
      await this.#do(client, turn, key, { operation: 'delete', argument: null }, 'DELETE', {});
    } else {
      await this.#swap(client, turn, key, last!, value);
    }
  }

  /** Undefined when there was no answer. */
  async #read(client: string, turn: number, key: string): Promise<Seen | undefined> {
    const start = this.#now();
    const answer = await this.#ask(turn, 'GET', key, {});
    const isRead = answer?.status === 200 || answer?.status === 404;
    const value = answer?.status === 200 ? answer.body : null;
    const outcome: Outcome = isRead ? 'applied' : 'not-applied';
    this.#ended({ client, key, operation: 'read', argument: null, result: value, outcome, start, end: this.#now() });
    return isRead ? { value, etag: answer?.etag } : undefined;
  }

  #swap(client: string, turn: number, key: string, { value: expected, etag }: Seen, value: string): Promise<Outcome> {
    const condition: Record<string, string> = etag === undefined ? { 'if-none-match': '*' } : { 'if-match': etag };
    const operation = { operation: 'cas', argument: { expected, value } } as const;
    return this.#do(client, turn, key, operation, 'PUT', condition, value);
  }

  async #do(
    client: string,
    turn: number,
    key: string,
    operation: Operation,
    method: 'PUT' | 'DELETE',
    headers: Record<string, string>,
    body?: string,
  ): Promise<Outcome> {
    const start = this.#now();
    const answer = await this.#ask(turn, method, key, headers, body);
    const outcome = answer === undefined ? 'unknown' : outcomeOf(answer);
    const result = operation.operation !== 'cas' || outcome === 'unknown' ? null : outcome === 'applied';
    // A swap that was not judged has told nothing.
    const isJudged = outcome === 'applied' || answer?.status === 412;
    this.#ended({ ...operation, client, key, result: isJudged ? result : null, outcome, start, end: this.#now() });
    return outcome;
  }

  #ended(entry: Entry): void {
    const { outcome, result, start, end } = entry;
    this.#load.history.add(entry);
    this.#outcomes[result === false ? 'refused' : outcome] += 1;
    if (outcome === 'applied' || result === false) this.#latencies.push((end - start) / 1e6);
  }

  #now(): number {
    return Number(process.hrtime.bigint() - this.#began);
  }

  /** Undefined when no answer came, which leaves open what became of the request. */
  async #ask(
    turn: number,
    method: 'GET' | 'PUT' | 'DELETE',
    key: string,
    headers: Record<string, string>,
    body?: string,
  ): Promise<Heard | undefined> {
    const { urls, bucket, timeout } = this.#load;
    const url = `${urls[turn % urls.length]!}${keyPath('kv64', bucket, `${this.#prefix}-${key}`)}?timeout=${timeout}`;
    try {
      const {
        statusCode: status,
        headers: got,
        body: stream,
      } = await request(url, {
        method,
        headers: { 'user-agent': 'quoral', 'content-type': 'text/plain', ...this.#load.headers, ...headers },
        dispatcher: this.#dispatcher,
        headersTimeout: timeout + 1000,
        bodyTimeout: timeout + 1000,
        ...(body === undefined ? {} : { body }),
      });
      const { etag } = got;
      return { status, etag: typeof etag === 'string' ? etag : undefined, body: await stream.text() };
    } catch (error) {
      return isUnheard(error) ? UNHEARD : undefined;
    }
  }
}

/** Nobody listens there, so nobody has got the request. */
function isUnheard(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED';
}

function outcomeOf({ status, body }: Heard): Outcome {
  if (status >= 200 && status < 300) return 'applied';
  try {
    const { outcome } = JSON.parse(body) as { readonly outcome?: Outcome };
    if (outcome !== undefined) return outcome;
  } catch {
    // Not a problem of ours, such as a proxy's.
  }
  return status < 500 ? 'not-applied' : 'unknown';
}

function numberIn(value: string | null): number {
  return value === null ? 0 : Number(value.split(' ')[0]);
}

/** Whether the keys hold what the clients were told, as far as they were told something. */
export function isExplained({ increments }: StrongReport): boolean {
  if (increments === undefined) return true;
  const { final, acknowledged, unknown } = increments;
  return final >= acknowledged && final <= acknowledged + unknown;
}

export interface BenchStrongFlags extends ClientOptions {
  readonly bucket: string;
  readonly workload: string;
  readonly clients: string;
  readonly keys: string;
  readonly seconds: string;
  readonly timeout: string;
  readonly pause: string;
  readonly history?: string;
}

export async function benchStrong(flags: BenchStrongFlags): Promise<void> {
  const workload = WORKLOADS.find((name) => name === flags.workload);
  if (workload === undefined) throw new UsageError(`--workload ${flags.workload}: ${WORKLOADS.join(' or ')}`);
  const [clients, keys, seconds, timeout, pause] = [
    ...[numberOf('clients', flags.clients, 1, 1024), numberOf('keys', flags.keys, 1, 1_000_000)],
    ...[numberOf('seconds', flags.seconds, 1, 86_400), numberOf('timeout', flags.timeout, 1, 60_000)],
    numberOf('pause', flags.pause, 0, 60_000),
  ] as const;
  const { members } = (await askJson(flags, '/v1/cluster')) as {
    readonly members: readonly { readonly url: string }[];
  };
  await requireStrong(flags);
  const history = flags.history === undefined ? NO_HISTORY : await opened(flags.history);
  const token = tokenOf(flags);
  const report = await runStrong({
    ...{ workload, clients, keys, timeout, pause, history, bucket: flags.bucket },
    urls: members.map(({ url }) => url),
    milliseconds: seconds * 1000,
    dispatcher: dispatcherFor(flags),
    ...(token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } }),
  });
  show(flags, report);
  if (!isExplained(report)) throw new UsageError('the keys do not hold what was acknowledged');
}

async function opened(file: string): Promise<History> {
  try {
    return await historyIn(file);
  } catch (error) {
    throw new UsageError(`--history ${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Defines the bucket when nobody has. */
async function requireStrong(flags: BenchStrongFlags): Promise<void> {
  const path = `/v1/buckets/${encodeURIComponent(flags.bucket)}`;
  const { consistency } = (await askJson(flags, path)) as { readonly consistency: string };
  if (consistency === 'strong') return;
  const headers = { 'content-type': 'application/json' };
  await askJson(flags, path, { method: 'PUT', headers, body: '{"consistency":"strong"}' }, [200, 201]);
}

function numberOf(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new UsageError(`--${name} ${text}: a whole number from ${least} to ${most}`);
}

function show({ json }: ClientOptions, report: StrongReport): void {
  if (json === true) {
    print(JSON.stringify(report));
    return;
  }
  const { operations, opsPerSecond, p50Ms, p99Ms, outcomes, increments } = report;
  const rows = Object.entries(outcomes).map(([outcome, count]) => [outcome, String(count)]);
  print(
    `${operations} operations, ${opsPerSecond.toFixed(0)} a second, p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms`,
  );
  print(table(['outcome', 'operations'], rows));
  if (increments === undefined) return;
  const { final, acknowledged, unknown } = increments;
  print(`increments: ${acknowledged} acknowledged, ${unknown} of unknown outcome, ${final} found in the end`);
}
