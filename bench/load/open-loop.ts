/**
 * Clients that do not wait for each other: requests begin when they are due, however long those before them take, and their
 * time counts from when they were due. So an outage cannot hide behind clients that stand still with it.
 *
 * Each request goes to the next node, as through a simple load balancer: not to nodes whose /readyz fails (with `probes`),
 * nor for a moment to those whose door was found closed or whose connection broke. A request whose connection is refused goes
 * to another node; nothing else is repeated.
 */

import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';

export interface OpenLoopOptions {
  /** By the names of the nodes. */
  readonly urls: Readonly<Record<string, string>>;
  readonly bucket: string;
  /** Requests a second, every second one a PUT. */
  readonly rate: number;
  /** Each phase writes keys of its own, which exist: `PHASE-0` to `PHASE-(keys - 1)`. Reads are spread over all phases. */
  readonly phases: readonly string[];
  readonly keys: number;
  readonly bytes: number;
  readonly probes: boolean;
}

export interface Sent {
  readonly phase: string;
  readonly method: 'GET' | 'PUT';
  readonly key: string;
  /** Of a PUT: the number that its value begins with. */
  readonly number: number;
  /** The node that was asked in the end. */
  readonly node: string;
  /** `performance.timeOrigin + performance.now()` when it was due. */
  readonly due: number;
  /** When it left, after waiting for this process. */
  readonly begun: number;
  /** Milliseconds from when it was due until the last byte of the answer. */
  readonly took: number;
  /** 0 when there was no answer. */
  readonly status: number;
  /** The body of a problem, or the code of a broken connection. */
  readonly trouble: string | undefined;
}

/** For how long a node is left alone whose door was closed, or which said that it is not ready. */
const AVOIDED_MS = 500;
const PROBE_INTERVAL_MS = 250;
const PROBE_TIMEOUT_MS = 500;
/** Beyond the longest that a node takes at its defaults. */
const CLIENT_TIMEOUT_MS = 7000;

export function now(): number {
  return performance.timeOrigin + performance.now();
}

/** Number 0 is what keys are filled with. */
export function valueOf(number: number, bytes: number, noise: Uint8Array): Uint8Array {
  const value = Buffer.from(noise.subarray(0, bytes));
  value.write(`${number} `);
  return value;
}

export function numberOf(value: Uint8Array): number {
  return Number.parseInt(Buffer.from(value.subarray(0, 16)).toString('latin1'), 10);
}

export class OpenLoop {
  readonly #options: OpenLoopOptions;
  readonly #ids: readonly string[];
  readonly #pools: ReadonlyMap<string, Pool>;
  readonly #avoidedUntil = new Map<string, number>();
  readonly #sent: Sent[] = [];
  readonly #underWay = new Set<Promise<void>>();
  readonly #noise: Uint8Array;
  readonly #loops: Promise<unknown>;
  #phase: string;
  #number = 0;
  #turn = 0;
  #stopping = false;

  constructor(options: OpenLoopOptions) {
    this.#options = options;
    this.#phase = options.phases[0]!;
    this.#noise = randomBytes(options.bytes);
    this.#ids = Object.keys(options.urls);
    this.#pools = new Map(
      Object.entries(options.urls).map(([id, url]) => [
        id,
        new Pool(url, { connections: 512, headersTimeout: CLIENT_TIMEOUT_MS, bodyTimeout: CLIENT_TIMEOUT_MS }),
      ]),
    );
    const probes = options.probes ? this.#ids.map((id) => this.#probe(id)) : [];
    this.#loops = Promise.all([this.#run(), ...probes]);
  }

  /** From now on keys of this phase are written. */
  enter(phase: string): void {
    this.#phase = phase;
  }

  /** Waits for what is under way, and returns all requests in the order of their ends. */
  async stop(): Promise<readonly Sent[]> {
    this.#stopping = true;
    await this.#loops;
    await Promise.all(this.#underWay);
    await Promise.all([...this.#pools.values()].map((pool) => pool.destroy()));
    return this.#sent;
  }

  async #run(): Promise<void> {
    let due = now();
    while (!this.#stopping) {
      while (due <= now()) {
        const request = this.#send(due);
        this.#underWay.add(request);
        void request.finally(() => this.#underWay.delete(request));
        due += (-Math.log(1 - Math.random()) * 1000) / this.#options.rate;
      }
      await sleep(Math.max(1, due - now()));
    }
  }

  async #probe(id: string): Promise<void> {
    while (!this.#stopping) {
      try {
        const { statusCode, body } = await this.#pools
          .get(id)!
          .request({ method: 'GET', path: '/readyz', signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) });
        await body.dump();
        if (statusCode !== 200) this.#avoid(id);
      } catch {
        this.#avoid(id);
      }
      await sleep(PROBE_INTERVAL_MS);
    }
  }

  #avoid(id: string): void {
    // Longer than the pause between two probes and the wait for one.
    this.#avoidedUntil.set(id, now() + AVOIDED_MS + PROBE_INTERVAL_MS + PROBE_TIMEOUT_MS);
  }

  #nextNode(): string {
    for (const _ of this.#ids) {
      const id = this.#ids[this.#turn++ % this.#ids.length]!;
      if ((this.#avoidedUntil.get(id) ?? 0) < now()) return id;
    }
    return this.#ids[this.#turn++ % this.#ids.length]!;
  }

  async #send(due: number): Promise<void> {
    const { phases, keys, bytes, bucket } = this.#options;
    const method = Math.random() < 0.5 ? 'PUT' : 'GET';
    const phase = this.#phase;
    const from = method === 'PUT' ? phase : phases[Math.floor(Math.random() * phases.length)]!;
    const key = `${from}-${Math.floor(Math.random() * keys)}`;
    const number = method === 'PUT' ? ++this.#number : 0;
    const begun = now();
    const path = `/v1/kv/${bucket}/${key}`;
    const request =
      method === 'PUT'
        ? { method, path, body: valueOf(number, bytes, this.#noise) }
        : ({ method, path } satisfies { method: 'GET'; path: string });
    for (let refusals = 0; ; refusals++) {
      const node = this.#nextNode();
      const note = (status: number, trouble?: string): void => {
        this.#sent.push({ phase, method, key, number, node, due, begun, took: now() - due, status, trouble });
      };
      try {
        const { statusCode, body } = await this.#pools.get(node)!.request(request);
        if (statusCode < 300) await body.arrayBuffer();
        note(statusCode, statusCode < 300 ? undefined : await body.text());
        return;
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException;
        this.#avoid(node);
        if (code === 'ECONNREFUSED' && refusals < 2 * this.#ids.length) continue;
        note(0, `${code ?? ''} ${message}`);
        return;
      }
    }
  }
}

/** Stores every key of all phases once, from as many clients at a time. */
export async function fill(
  urls: readonly string[],
  bucket: string,
  keys: readonly string[],
  bytes: number,
): Promise<void> {
  const pools = urls.map((url) => new Pool(url, { connections: 16 }));
  const noise = randomBytes(bytes);
  let next = 0;
  const client = async (index: number): Promise<void> => {
    while (next < keys.length) {
      const path = `/v1/kv/${bucket}/${keys[next++]}`;
      const { statusCode, body } = await pools[index % pools.length]!.request({
        method: 'PUT',
        path,
        body: valueOf(0, bytes, noise),
      });
      const text = await body.text();
      if (statusCode !== 204) throw new Error(`PUT ${path}: ${statusCode} ${text}`);
    }
  };
  await Promise.all(Array.from({ length: 32 }, (_, index) => client(index)));
  await Promise.all(pools.map((pool) => pool.close()));
}
