/**
 * Calls the API without a socket, for simulations and tests: the same routes, the same raw target.
 */

import { EMPTY_BYTES } from '#kernel/bytes.ts';
import type { Api } from './app.ts';
import type { Incoming } from './exchange.ts';
import { GivenRequest } from './given-request.ts';
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
    const response = await api.fetch(request, { incoming: given(method, target, headers, body) });
    return {
      status: response.status,
      headers: new Map(response.headers),
      body: new Uint8Array(await response.arrayBuffer()),
    };
  };
}

function given(method: string, target: string, headers: Readonly<Record<string, string>>, body: Uint8Array): Incoming {
  const named = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
  return new GivenRequest({
    method,
    target: parseTarget(target),
    remote: 'in-process',
    headers: named,
    body: body.slice(),
  });
}
