/**
 * Clients that write and read numbered keys by strict quorum while the ring changes. Only one client writes a key, with numbers
 * that grow, so whoever reads it knows the least number that it must find.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { http } from './support.ts';

const CLIENTS = 3;
const PAUSE_MS = 60;
const VALUE_BYTES = 1000;
const FILLS_AT_ONCE = 16;

export class RingLoad {
  readonly #keys: number;
  /** Where requests go, in turn. */
  #urls: readonly string[];
  readonly #acked: number[];
  readonly trouble: string[] = [];
  requests = 0;
  #turn = 0;
  #clients: Promise<unknown> = Promise.resolve();
  #stopping = false;

  constructor(keys: number, urls: readonly string[]) {
    this.#keys = keys;
    this.#urls = urls;
    this.#acked = Array.from({ length: keys }, () => 0);
  }

  async fill(): Promise<void> {
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < this.#keys) await this.#put(next++, 1);
    };
    await Promise.all(Array.from({ length: FILLS_AT_ONCE }, worker));
  }

  start(): void {
    this.#clients = Promise.all(Array.from({ length: CLIENTS }, (_, client) => this.#client(client)));
  }

  ask(urls: readonly string[]): void {
    this.#urls = urls;
  }

  /** Ends the clients, reads every key through one node, and returns all that was wrong. */
  async end(url: string): Promise<readonly string[]> {
    this.#stopping = true;
    await this.#clients;
    this.#urls = [url];
    for (let key = 0; key < this.#keys; key += FILLS_AT_ONCE) {
      const some = Array.from({ length: Math.min(FILLS_AT_ONCE, this.#keys - key) }, (_, i) => key + i);
      await Promise.all(some.map(async (one) => this.#get(one)));
    }
    return this.trouble;
  }

  async #client(client: number): Promise<void> {
    for (let number = 2; !this.#stopping; number++) {
      const own = Math.floor((Math.random() * this.#keys) / CLIENTS) * CLIENTS + client;
      if (own < this.#keys) await this.#put(own, number);
      await this.#get(Math.floor(Math.random() * this.#keys));
      await sleep(PAUSE_MS);
    }
  }

  async #put(key: number, number: number): Promise<void> {
    const answer = await this.#send('PUT', key, String(number).padEnd(VALUE_BYTES));
    if (answer !== undefined) this.#acked[key] = number;
  }

  async #get(key: number): Promise<void> {
    const wanted = this.#acked[key]!;
    const value = await this.#send('GET', key);
    if (value === undefined || Number(value) >= wanted) return;
    this.trouble.push(`GET k${key}: ${value.trim()}, and ${wanted} had been acknowledged`);
  }

  /** The body of a good answer. What is in flight at a node that is killed has no answer, and counts for nothing. */
  async #send(method: 'GET' | 'PUT', key: number, body?: string): Promise<string | undefined> {
    this.requests += 1;
    for (let refusals = 0; ; refusals++) {
      const url = this.#urls[this.#turn++ % this.#urls.length]!;
      try {
        const path = `${url}/v1/kv/b/k${key}?consistency=strict_quorum`;
        const answer = await http(method, path, body === undefined ? {} : { body });
        if (answer.status === (method === 'PUT' ? 204 : 200)) return answer.body.toString();
        // A node that has just been started again says that it is not ready; a load balancer would not have asked it.
        const text = answer.body.toString();
        if (text.includes('problem:not-ready') && refusals < 100) continue;
        // Nor has what was handed on to the node that is killed.
        if (!/which coordinated the write, gave no outcome/.test(text)) {
          this.trouble.push(`${method} k${key} at ${url}: ${answer.status} ${text}`);
        }
        return undefined;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ECONNREFUSED' || refusals > 100) return undefined;
      }
    }
  }
}
