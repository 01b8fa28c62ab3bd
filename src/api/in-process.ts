/**
 * Calls the API without a socket, for simulations and tests: the same routes, the same raw target.
 */

import { EMPTY_BYTES } from '#kernel/bytes.ts';
import type { Api } from './app.ts';
import type { Body, Incoming } from './exchange.ts';
import { parseTarget } from './raw-path.ts';

export interface InProcessAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Uint8Array;
}

export type InProcess = (
  method: string,
  target: string,
  headers?: Readonly<Record<string, string>>,
  body?: Uint8Array,
) => Promise<InProcessAnswer>;

export function inProcess(api: Api): InProcess {
  // Hono wants some request; everything that counts is in the bindings.
  const request = new Request('http://in.process/');
  return async (method, target, headers = {}, body = EMPTY_BYTES) => {
    const response = await api.fetch(request, { incoming: new GivenRequest(method, target, headers, body) });
    return {
      status: response.status,
      headers: new Map(response.headers),
      body: new Uint8Array(await response.arrayBuffer()),
    };
  };
}

class GivenRequest implements Incoming {
  readonly method: string;
  readonly target: Incoming['target'];
  readonly remote = 'in-process';
  readonly #headers: ReadonlyMap<string, string>;
  readonly #body: Uint8Array;

  constructor(method: string, target: string, headers: Readonly<Record<string, string>>, body: Uint8Array) {
    this.method = method;
    this.target = parseTarget(target);
    this.#headers = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
    this.#body = body;
  }

  header(name: string): string | undefined {
    return this.#headers.get(name);
  }

  fields(name: string): readonly string[] {
    const value = this.header(name);
    return value === undefined ? [] : [value];
  }

  headerNames(): Iterable<string> {
    return this.#headers.keys();
  }

  async readBody(limitBytes: number): Promise<Body> {
    return this.#body.length > limitBytes ? { kind: 'too-large' } : { kind: 'body', bytes: this.#body.slice() };
  }
}
