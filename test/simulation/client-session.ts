/** A client's session: it gives back the token that it got last, and begins anew now and then, or when it cannot go on. */

import type { Reply } from './exchange.ts';

/** So often in a row a session may not be met before the client gives it up. */
const PATIENCE = 3;

export class ClientSession {
  readonly #client: string;
  #number = 1;
  #token: string | undefined;
  #unmet = 0;

  constructor(client: string) {
    this.#client = client;
  }

  /** For the history. */
  get id(): string {
    return `${this.#client}-s${this.#number}`;
  }

  /** The request, in the session. */
  get query(): string {
    return `session=${this.#token ?? 'new'}`;
  }

  renew(): void {
    this.#number += 1;
    this.#token = undefined;
    this.#unmet = 0;
  }

  /** Takes what the answer says; false when it has no token, which every answer of a session must have. */
  hear(reply: Reply): boolean {
    if (reply.kind !== 'answered') return true;
    const { status, headers, body } = reply.answer;
    const token = headers.get('quoral-session');
    // What is refused at the door belongs to no session.
    if (token === undefined) return status === 429 || status === 503;
    this.#token = token;
    const unmet = status === 504 && new TextDecoder().decode(body).includes('session-not-met');
    this.#unmet = unmet ? this.#unmet + 1 : 0;
    if (this.#unmet >= PATIENCE) this.renew();
    return true;
  }
}
