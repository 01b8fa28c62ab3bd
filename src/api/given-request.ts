/** A request that came over no connection of its own: one of a batch, or of a test. */

import type { Body, BodyRoom, Incoming } from './exchange.ts';

export interface Given extends Pick<Incoming, 'method' | 'target' | 'remote'> {
  /** By names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Uint8Array;
}

export class GivenRequest implements Incoming {
  readonly method: string;
  readonly target: Incoming['target'];
  readonly remote: string;
  readonly #headers: ReadonlyMap<string, string>;
  readonly #body: Uint8Array;

  constructor({ method, target, remote, headers, body }: Given) {
    this.method = method;
    this.target = target;
    this.remote = remote;
    this.#headers = headers;
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

  readBody(limitBytes: number, _deadline: number, room: BodyRoom): Body {
    if (this.#body.length > limitBytes) return { kind: 'too-large' };
    return room.reserve(this.#body.length) ? { kind: 'body', bytes: this.#body } : { kind: 'crowded' };
  }
}
