/**
 * Load for a ring that changes: a closed loop of clients over numbered keys that all exist. Every second key is written and read
 * by `strict_quorum`, the others at the defaults. Only one client writes a key, with numbers that grow, so whoever reads a strict
 * key knows the least number that it must find: the last one that had been acknowledged when the read began.
 *
 * Requests go to the nodes that it is told of, in turn, as through a load balancer: a node whose door is closed is left alone for
 * a moment and the request goes to the next one; nothing else is repeated.
 */

import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';
import { now, numberOf, valueOf } from './open-loop.ts';

export interface RingLoadOptions {
  readonly urls: Readonly<Record<string, string>>;
  readonly bucket: string;
  readonly keys: number;
  readonly bytes: number;
  readonly clients: number;
}

export interface Failure {
  readonly node: string;
  readonly begun: number;
  readonly ended: number;
  readonly text: string;
}

export interface RingLoadResult {
  /** Answered requests that ended in each tenth of a second, from {@link from} on. */
  readonly from: number;
  readonly perTenth: readonly number[];
  readonly requests: number;
  readonly acknowledged: number;
  readonly failures: readonly Failure[];
  /** Strict reads that did not find what had been acknowledged before they began. */
  readonly stale: readonly string[];
  /** The same of reads at the defaults, which nobody promises while nodes are away. */
  readonly staleAtDefaults: number;
  /** By the number of the key; 0: as it was stored at first. */
  readonly acked: readonly number[];
}

const STRICT = '?consistency=strict_quorum';
const CLIENT_TIMEOUT_MS = 10_000;
const AVOIDED_MS = 1000;
export const TENTH_MS = 100;

export function isStrict(key: number): boolean {
  return key % 2 === 1;
}

export function pathOf(bucket: string, key: number): string {
  return `/v1/kv/${bucket}/key-${key}${isStrict(key) ? STRICT : ''}`;
}

export class RingLoad {
  readonly #options: RingLoadOptions;
  readonly #pools = new Map<string, Pool>();
  readonly #avoidedUntil = new Map<string, number>();
  readonly #noise: Uint8Array;
  readonly #clients: Promise<unknown>;
  readonly #from = now();
  readonly #perTenth: number[] = [];
  readonly #acked: number[];
  readonly #failures: Failure[] = [];
  readonly #stale: string[] = [];
  #staleAtDefaults = 0;
  #requests = 0;
  #acknowledged = 0;
  #urls: Readonly<Record<string, string>>;
  #turn = 0;
  #stopping = false;

  constructor(options: RingLoadOptions) {
    this.#options = options;
    this.#urls = options.urls;
    this.#noise = randomBytes(options.bytes);
    this.#acked = Array.from({ length: options.keys }, () => 0);
    this.#clients = Promise.all(Array.from({ length: options.clients }, (_, client) => this.#client(client)));
  }

  /** From now on requests go to these. */
  use(urls: Readonly<Record<string, string>>): void {
    this.#urls = urls;
  }

  async stop(): Promise<RingLoadResult> {
    this.#stopping = true;
    await this.#clients;
    await Promise.all([...this.#pools.values()].map((pool) => pool.destroy()));
    return {
      ...{ from: this.#from, perTenth: this.#perTenth, requests: this.#requests, acknowledged: this.#acknowledged },
      ...{ failures: this.#failures, stale: this.#stale, staleAtDefaults: this.#staleAtDefaults, acked: this.#acked },
    };
  }

  async #client(client: number): Promise<void> {
    const { keys, clients } = this.#options;
    for (let number = 1; !this.#stopping; number++) {
      const key = Math.floor(Math.random() * keys);
      if (Math.random() < 0.5) {
        await this.#get(key);
        continue;
      }
      // Pairs of neighbours, a strict key and one of the defaults, belong to the same client.
      const own = key - (Math.floor(key / 2) % clients) * 2 + client * 2;
      await this.#put(own < keys ? own : own % (2 * clients), number);
    }
  }

  async #put(key: number, number: number): Promise<void> {
    const { bytes } = this.#options;
    const answer = await this.#send('PUT', key, valueOf(number, bytes, this.#noise));
    if (answer === undefined) return;
    this.#acked[key] = number;
    this.#acknowledged += 1;
  }

  async #get(key: number): Promise<void> {
    const wanted = this.#acked[key]!;
    const answer = await this.#send('GET', key);
    if (answer === undefined) return;
    const found = numberOf(answer.body);
    if (found >= wanted) return;
    if (!isStrict(key)) this.#staleAtDefaults += 1;
    else if (this.#stale.length < 50) {
      this.#stale.push(`key-${key} at ${answer.node}: ${found}, and ${wanted} had been acknowledged`);
    }
  }

  async #send(
    method: 'GET' | 'PUT',
    key: number,
    value?: Uint8Array,
  ): Promise<{ readonly node: string; readonly body: Uint8Array } | undefined> {
    const path = pathOf(this.#options.bucket, key);
    const begun = now();
    for (let refusals = 0; ; refusals++) {
      const node = this.#nextNode();
      try {
        const { statusCode, body } = await this.#pool(node).request({ method, path, ...(value && { body: value }) });
        const bytes = new Uint8Array(await body.arrayBuffer());
        this.#requests += 1;
        if (statusCode !== (method === 'PUT' ? 204 : 200)) {
          this.#fail(node, begun, `${method} key-${key} at ${node}: ${statusCode} ${Buffer.from(bytes).toString()}`);
          return undefined;
        }
        const tenth = Math.floor((now() - this.#from) / TENTH_MS);
        this.#perTenth[tenth] = (this.#perTenth[tenth] ?? 0) + 1;
        return { node, body: bytes };
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException;
        this.#avoidedUntil.set(node, now() + AVOIDED_MS);
        if (code === 'ECONNREFUSED' && refusals < 20) continue;
        this.#requests += 1;
        this.#fail(node, begun, `${method} key-${key} at ${node}: ${code ?? ''} ${message}`);
        await sleep(10);
        return undefined;
      }
    }
  }

  #fail(node: string, begun: number, text: string): void {
    this.#failures.push({ node, begun, ended: now(), text });
  }

  #nextNode(): string {
    const ids = Object.keys(this.#urls);
    for (const _ of ids) {
      const id = ids[this.#turn++ % ids.length]!;
      if ((this.#avoidedUntil.get(id) ?? 0) < now()) return id;
    }
    return ids[this.#turn++ % ids.length]!;
  }

  #pool(id: string): Pool {
    let pool = this.#pools.get(id);
    if (pool === undefined) {
      const limits = { headersTimeout: CLIENT_TIMEOUT_MS, bodyTimeout: CLIENT_TIMEOUT_MS };
      pool = new Pool(this.#urls[id]!, { connections: this.#options.clients, ...limits });
      this.#pools.set(id, pool);
    }
    return pool;
  }
}

async function eachKey(count: number, atOnce: number, what: (key: number, worker: number) => Promise<void>) {
  let next = 0;
  const worker = async (index: number): Promise<void> => {
    while (next < count) await what(next++, index);
  };
  await Promise.all(Array.from({ length: atOnce }, (_, index) => worker(index)));
}

/** Stores every key with number 0, by the consistency that it goes by later. */
export async function store({ urls, bucket, keys, bytes }: Omit<RingLoadOptions, 'clients'>): Promise<void> {
  const pools = Object.values(urls).map((url) => new Pool(url, { connections: 32 }));
  const noise = randomBytes(bytes);
  await eachKey(keys, 64, async (key, worker) => {
    const path = pathOf(bucket, key);
    const value = valueOf(0, bytes, noise);
    const { statusCode, body } = await pools[worker % pools.length]!.request({ method: 'PUT', path, body: value });
    const text = await body.text();
    if (statusCode !== 204) throw new Error(`PUT ${path}: ${statusCode} ${text}`);
  });
  await Promise.all(pools.map((pool) => pool.close()));
}

/** Reads every key, and returns those that do not hold what was acknowledged. */
export async function missing(
  { urls, bucket }: Pick<RingLoadOptions, 'urls' | 'bucket'>,
  acked: readonly number[],
): Promise<readonly string[]> {
  const pools = Object.values(urls).map((url) => new Pool(url, { connections: 32 }));
  const found: string[] = [];
  await eachKey(acked.length, 64, async (key, worker) => {
    const path = pathOf(bucket, key);
    const { statusCode, body } = await pools[worker % pools.length]!.request({ method: 'GET', path });
    const bytes = new Uint8Array(await body.arrayBuffer());
    const number = statusCode === 200 ? numberOf(bytes) : Number.NaN;
    if (number >= acked[key]!) return;
    found.push(`key-${key}: ${statusCode}, number ${number}, and ${acked[key]!} was acknowledged`);
  });
  await Promise.all(pools.map((pool) => pool.close()));
  return found;
}
