/**
 * The end of one node's log of changes, as far as it concerns one bucket, followed from another node. It asks, is told of what comes
 * later, and asks again now and then: when nothing has come for a while, when there is a gap, when the node was away.
 */

import type { Member } from '#ring/ring.ts';
import type { CallResult } from '#wire/messaging.ts';
import type { Clock, Timer } from '#world/world.ts';
import { NO_LOG, type FollowReply, type FollowRequest, type KeyChange, type Life, type News } from './messages.ts';

/** Asks a node; how, is the caller's business. */
export type Ask = (member: Member, request: FollowRequest) => Promise<CallResult<FollowReply>>;

export interface TailOptions {
  readonly member: Member;
  readonly life: Life;
  readonly clock: Clock;
  readonly ask: Ask;
  /** Milliseconds between two questions when all is well. */
  readonly renewal: number;
  /** The node has answered for the first time: what comes from here on is told. */
  readonly found: (tail: Tail) => void;
  /**
   * In order, without gaps: what has changed after group `from` up to `upTo`. What it returns must be over before more is told;
   * what comes meanwhile is asked for then.
   */
  readonly tells: (tail: Tail, from: number, upTo: number, changes: readonly KeyChange[]) => Promise<void> | undefined;
  /** The node has let go of what was not told of yet, or keeps no log. */
  readonly lost: (tail: Tail) => void;
}

export class Tail {
  readonly member: Member;
  readonly #options: TailOptions;
  /** Whose groups are counted; empty until the node has answered. */
  storage = '';
  /** The node keeps no log. */
  logless = false;
  /** Everything up to here has been told. */
  position = 0;
  #timer: Timer | undefined;
  #asking = false;
  #again = false;
  #stopped = false;
  #telling = false;
  /** Something came while it was telling. */
  #missed = false;
  /** Resolves when the node has answered or failed to for the first time. */
  readonly begun: Promise<void>;
  #begin: () => void = () => undefined;

  constructor(options: TailOptions) {
    this.#options = options;
    this.member = options.member;
    this.begun = new Promise((resolve) => (this.#begin = resolve));
    void this.#work();
  }

  get known(): boolean {
    return this.storage !== '';
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#begin();
  }

  take(news: News): void {
    if (this.#stopped || !this.known) return;
    if (news.storage !== this.storage || news.from > this.position) {
      void this.#work();
      return;
    }
    this.#told(news.upTo, news.changes);
  }

  #told(upTo: number, changes: readonly KeyChange[]): void {
    const from = this.position;
    if (upTo <= from) return;
    if (this.#telling) {
      this.#missed = true;
      return;
    }
    this.position = upTo;
    const news = changes.filter(({ group }) => group > from);
    const telling = this.#options.tells(this, from, upTo, news);
    if (telling !== undefined) void this.#await(telling, from, upTo);
  }

  /** Until it is over nothing has been told. */
  async #await(telling: Promise<void>, from: number, upTo: number): Promise<void> {
    const { storage } = this;
    this.position = from;
    this.#telling = true;
    await telling;
    this.#telling = false;
    if (this.storage === storage) this.position = Math.max(this.position, upTo);
    if (this.#missed && !this.#stopped) void this.#work();
  }

  async #work(): Promise<void> {
    if (this.#asking) {
      this.#again = true;
      return;
    }
    this.#asking = true;
    this.#timer?.cancel();
    do {
      this.#again = false;
      await this.#ask();
    } while (this.#again && !this.#stopped);
    this.#asking = false;
    this.#begin();
    if (!this.#stopped) this.#timer = this.#options.clock.after(this.#options.renewal, () => void this.#work());
  }

  async #ask(): Promise<void> {
    if (this.#telling) {
      this.#missed = true;
      return;
    }
    this.#missed = false;
    const { ask, life, lost } = this.#options;
    const after = this.known ? this.position : null;
    const request = { ...life, after, since: 0, storage: this.storage, follow: true };
    const result = await ask(this.member, request);
    if (this.#stopped) return;
    if (result.kind === 'refused' && result.code === NO_LOG) {
      this.logless = true;
      this.storage = '';
      lost(this);
    }
    if (result.kind !== 'reply') return;
    this.logless = false;
    const { storage, gone, from, upTo, more, changes } = result.reply;
    if (gone) {
      this.storage = '';
      lost(this);
      this.#again = true;
      return;
    }
    if (!this.known) {
      this.storage = storage;
      this.position = upTo;
      this.#options.found(this);
      return;
    }
    if (storage !== this.storage) {
      this.storage = storage;
      this.position = from;
    }
    if (from > this.position) return;
    this.#told(upTo, changes);
    if (this.#telling) this.#missed ||= more;
    else this.#again ||= more;
  }
}
