/**
 * Pages of other origins that may use the API from a browser (the CORS protocol of the Fetch standard). Without this a browser lets
 * only pages of the node's own origin see its answers. It guards browsers' users and nothing else: whoever may do what is the tokens'
 * business, and no cookies are involved.
 */

import type { Answer, Incoming } from './exchange.ts';

/** Seconds that a browser may remember what it was allowed. */
const REMEMBER_S = 7200;

const ALLOWED: Readonly<Record<string, string>> = {
  'access-control-allow-methods': 'GET, HEAD, PUT, POST, DELETE',
  // The star means every header but this one.
  'access-control-allow-headers': '*, Authorization',
  'access-control-max-age': String(REMEMBER_S),
};

export class Cors {
  readonly #origins: ReadonlySet<string>;
  readonly #any: boolean;

  /** Undefined when there are none: then nothing is looked at. */
  static of(origins: readonly string[]): Cors | undefined {
    return origins.length === 0 ? undefined : new Cors(origins);
  }

  private constructor(origins: readonly string[]) {
    this.#origins = new Set(origins);
    this.#any = this.#origins.has('*');
  }

  /** The answer to a browser that asks before it sends what a page wants; undefined for every other request. */
  preflight(incoming: Incoming): Answer | undefined {
    const asks = incoming.method === 'OPTIONS' && incoming.header('access-control-request-method') !== undefined;
    return asks && this.#isAllowed(incoming.header('origin'))
      ? { status: 204, headers: { ...ALLOWED }, body: null }
      : undefined;
  }

  /** Lets the page see the answer. */
  mark(incoming: Incoming, { headers }: Answer): void {
    if (!this.#any) headers['vary'] = 'Origin';
    const origin = incoming.header('origin');
    if (origin === undefined || !this.#isAllowed(origin)) return;
    headers['access-control-allow-origin'] = this.#any ? '*' : origin;
    headers['access-control-expose-headers'] = '*';
  }

  #isAllowed(origin: string | undefined): boolean {
    return origin !== undefined && (this.#any || this.#origins.has(origin));
  }
}
