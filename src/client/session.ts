/**
 * A session: reads see what it has written and never less than it has read, at whichever node. What it knows travels as tokens
 * that the answers bring. It also remembers the contexts of what it has read, so that a write in it follows its read.
 *
 * A token grows out of those that were sent along, so an answer replaces exactly those; requests under way at the same time
 * give a token each, and the next request sends all of them. Few at once keep that short.
 */

import { pause, type Runtime } from './runtime.ts';

/** Requests of one session at once; more wait. Tokens have up to 4096 characters, and a head has room for 32 KiB. */
const AT_ONCE_MAX = 4;
/** Keys whose contexts are remembered; those used longest ago leave, and a write to them follows nothing. */
const CONTEXTS_MAX = 1024;

export class Session {
  readonly #tokens = new Set<string>();
  readonly #contexts = new Map<string, string>();
  readonly #waiting: (() => void)[] = [];
  readonly #runtime: Pick<Runtime, 'after'>;
  #underWay = 0;

  constructor(runtime: Pick<Runtime, 'after'>) {
    this.#runtime = runtime;
  }

  /**
   * Asks with the session's tokens, and takes over the one that the answer brings. Undefined when there was no place within the time, or
   * the signal came first: then nothing was asked.
   */
  async around<T extends { readonly headers: Headers }>(
    ask: (tokens: string) => Promise<T>,
    milliseconds: number,
    signal?: AbortSignal,
  ): Promise<T | undefined> {
    if (this.#underWay < AT_ONCE_MAX) this.#underWay += 1;
    else if (!(await this.#isGivenPlace(milliseconds, signal))) return undefined;
    const sent = [...this.#tokens];
    try {
      const answer = await ask(sent.length === 0 ? 'new' : sent.join(','));
      const token = answer.headers.get('quoral-session');
      if (token !== null) {
        for (const old of sent) this.#tokens.delete(old);
        this.#tokens.add(token);
      }
      return answer;
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#underWay -= 1;
      else next();
    }
  }

  /** Whoever ends hands its place on. */
  async #isGivenPlace(milliseconds: number, signal: AbortSignal | undefined): Promise<boolean> {
    const given = new AbortController();
    const take = (): void => given.abort();
    this.#waiting.push(take);
    const either = signal === undefined ? given.signal : AbortSignal.any([given.signal, signal]);
    await pause(this.#runtime, milliseconds, either);
    if (given.signal.aborted) return true;
    this.#waiting.splice(this.#waiting.indexOf(take), 1);
    return false;
  }

  contextOf(bucket: string, key: string): string | undefined {
    return this.#contexts.get(place(bucket, key));
  }

  /** What the session has been shown of the key. An answer without a context shows nothing new. */
  saw(bucket: string, key: string, context: string | undefined): void {
    if (context === undefined) return;
    const name = place(bucket, key);
    this.#contexts.delete(name);
    this.#contexts.set(name, context);
    if (this.#contexts.size <= CONTEXTS_MAX) return;
    for (const oldest of this.#contexts.keys()) {
      this.#contexts.delete(oldest);
      return;
    }
  }
}

/** Names of buckets hold no slash. */
function place(bucket: string, key: string): string {
  return `${bucket}/${key}`;
}
