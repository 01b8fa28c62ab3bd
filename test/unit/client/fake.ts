/** A world for the client: time that passes when it waits, and a cluster that answers as a test wants. */

import { connectIn, type ConnectOptions, type Quoral } from '#client/quoral.ts';
import type { Runtime } from '#client/runtime.ts';

export interface Asked {
  readonly at: string;
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | string | undefined;
  readonly redirect: string | undefined;
  /** When it was asked. */
  readonly now: number;
}

/** A response, or an error as `fetch` throws it; undefined for no answer at all. */
export type Answers = (asked: Asked, count: number) => Response | Error | undefined;

export class FakeWorld {
  readonly asked: Asked[] = [];
  now = 0;
  readonly #answers: Answers;
  readonly #timers: { at: number; callback: () => void }[] = [];
  #ids = 0;
  #turning = false;

  constructor(answers: Answers) {
    this.#answers = answers;
  }

  connect(options: Partial<ConnectOptions> = {}): Quoral {
    return connectIn(this.runtime(), { urls: ['http://a', 'http://b', 'http://c'], routing: false, ...options });
  }

  runtime(): Runtime {
    return {
      fetch: async (url, init) => this.#fetch(url, init),
      now: () => this.now,
      random: () => 0.5,
      after: (milliseconds, callback) => this.#after(milliseconds, callback),
      uniqueId: () => `id-${++this.#ids}`,
    };
  }

  async #fetch(url: string, init: RequestInit): Promise<Response> {
    const { origin, pathname, search } = new URL(url);
    const asked: Asked = {
      at: origin,
      method: init.method ?? 'GET',
      path: pathname + search,
      headers: { ...(init.headers as Record<string, string>) },
      body: init.body as Uint8Array | string | undefined,
      redirect: init.redirect,
      now: this.now,
    };
    this.asked.push(asked);
    const answer = this.#answers(asked, this.asked.length);
    if (answer instanceof Error) throw answer;
    if (answer !== undefined) return fromNode(asked, answer);
    return new Promise((_, reject) => {
      init.signal?.addEventListener('abort', () => reject(new DOMException('aborted', 'AbortError')));
    });
  }

  #after(milliseconds: number, callback: () => void): () => void {
    const timer = { at: this.now + milliseconds, callback };
    this.#timers.push(timer);
    void this.#turn();
    return () => void this.#timers.splice(this.#timers.indexOf(timer) >>> 0, 1);
  }

  /** When nothing else is left to do, time jumps to the next timer. */
  async #turn(): Promise<void> {
    if (this.#turning) return;
    this.#turning = true;
    for (;;) {
      for (let round = 0; round < 8; round++) await new Promise((resolve) => void setImmediate(resolve));
      const next = this.#timers.toSorted((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.#timers.splice(this.#timers.indexOf(next), 1);
      this.now = Math.max(this.now, next.at);
      next.callback();
    }
    this.#turning = false;
  }
}

/** What bears this header is no node's answer. */
export const STRANGER = { 'x-stranger': 'yes' };

/** What each answer of a node for a key bears. */
function fromNode({ path }: Asked, answer: Response): Response {
  const isKnown = answer.headers.has('x-stranger') || answer.headers.has('quoral-replicas');
  if (/^\/v1\/(kv|leases)64\//.test(path) && !isKnown) {
    answer.headers.set('quoral-replicas', 'acked=2; needed=2; of=3; fallbacks=0');
  }
  return answer;
}

export function problem(
  status: number,
  code: string,
  members: Readonly<Record<string, unknown>> = {},
  headers: Readonly<Record<string, string>> = {},
): Response {
  const body = JSON.stringify({
    type: `urn:quoral:problem:${code}`,
    title: code,
    status,
    detail: 'of a test',
    ...members,
  });
  return new Response(body, { status, headers: { 'content-type': 'application/problem+json', ...headers } });
}

export function refused(): Error {
  return new TypeError('fetch failed', { cause: Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }) });
}

export function cut(): Error {
  return new TypeError('fetch failed', { cause: Object.assign(new Error('reset'), { code: 'ECONNRESET' }) });
}

export function stored(headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(null, { status: 204, headers: { etag: '"e1"', ...headers } });
}
