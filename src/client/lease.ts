/**
 * Leases of a strong bucket: locks with an end. A lease is a promise about time, and a paused process does not notice that its
 * lease has ended: send `token` along to whatever must not be done twice, and let that refuse a token lower than one it has seen.
 */

import { QuoralError } from './errors.ts';
import { jsonBody } from './json-body.ts';
import { keyPath, requireText, type Shared } from './keys.ts';
import type { Common } from './requests.ts';
import type { Reply } from './transport.ts';

export interface LeaseWish extends Common {
  /** Names who wants it; the same holder renews. */
  readonly holder: string;
  /** Seconds that it lasts. */
  readonly ttl: number;
}

interface LeaseView {
  readonly token: number;
  readonly expiresAt: string;
  readonly holder: string;
}

export class Lease {
  readonly key: string;
  readonly holder: string;
  readonly #shared: Shared;
  readonly #bucket: string;
  readonly #wish: LeaseWish;
  #view: LeaseView;

  private constructor(shared: Shared, bucket: string, key: string, wish: LeaseWish, view: LeaseView) {
    this.#shared = shared;
    this.#bucket = bucket;
    this.key = key;
    this.holder = view.holder;
    this.#wish = wish;
    this.#view = view;
  }

  static async acquire(shared: Shared, bucket: string, key: string, wish: LeaseWish): Promise<Lease> {
    return new Lease(shared, bucket, key, wish, await acquire(shared, bucket, key, wish));
  }

  /** Only grows, from one holder to the next. */
  get token(): number {
    return this.#view.token;
  }

  get expiresAt(): Date {
    return new Date(this.#view.expiresAt);
  }

  /** Makes it last for its time from now. Throws `conflict` when it has ended and somebody else has it. */
  async renew(): Promise<void> {
    this.#view = await acquire(this.#shared, this.#bucket, this.key, this.#wish);
  }

  /** Gives it back. One that has ended already is no error. */
  async release(): Promise<void> {
    try {
      await send(this.#shared, this.#bucket, this.key, { method: 'DELETE', query: { token: this.token } }, {});
    } catch (error) {
      if (!(error instanceof QuoralError) || error.code !== 'conflict') throw error;
    }
  }
}

/** The same holder asking again renews, so asking twice does no harm. */
async function acquire(shared: Shared, bucket: string, key: string, wish: LeaseWish): Promise<LeaseView> {
  const { holder, ttl, ...common } = wish;
  const body = JSON.stringify({ holder, ttl });
  const headers = { 'content-type': 'application/json' };
  const reply = await send(shared, bucket, key, { method: 'POST', headers, body }, common);
  return jsonBody<LeaseView>(reply.body);
}

interface LeaseCall {
  readonly method: 'POST' | 'DELETE';
  readonly query?: Readonly<Record<string, number>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

async function send(
  { transport, directory }: Shared,
  bucket: string,
  key: string,
  call: LeaseCall,
  { timeout, signal }: Common,
): Promise<Reply> {
  requireText(key, true);
  return transport.send({
    ...call,
    path: keyPath('leases64', bucket, key),
    owners: directory.owners(bucket, key),
    expected: [200, 204],
    bears: 'quoral-replicas',
    changes: true,
    repeatable: true,
    timeoutMs: timeout,
    tellsTimeout: timeout !== undefined,
    signal,
  });
}
