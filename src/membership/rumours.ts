/**
 * News that travel along with other messages: those sent least often first, each as often as it takes to reach everybody
 * with near certainty, which grows with the logarithm of the cluster (SWIM, section 4.1).
 */

import type { NodeIndex } from '#kernel/identity.ts';
import type { News } from './member-table.ts';

/** Each is sent at most this often times the logarithm. */
const SENDS_FACTOR = 4;

export function sendsOf(members: number): number {
  return SENDS_FACTOR * Math.ceil(Math.log10(members + 1));
}

interface Rumour {
  readonly news: News;
  sent: number;
}

export class Rumours {
  /** By member: newer news of a member replace older ones, so there are never more than members. */
  readonly #rumours = new Map<NodeIndex, Rumour>();

  get size(): number {
    return this.#rumours.size;
  }

  spread(news: News): void {
    this.#rumours.delete(news.member);
    this.#rumours.set(news.member, { news, sent: 0 });
  }

  forget(member: NodeIndex): void {
    this.#rumours.delete(member);
  }

  /** At most so many for one message to one member; each counts as sent. */
  take(most: number, members: number): readonly News[] {
    if (this.#rumours.size === 0) return [];
    const limit = sendsOf(members);
    // The sort is stable, so of those sent equally often the latest come first.
    const chosen = [...this.#rumours.values()]
      .reverse()
      .sort((a, b) => a.sent - b.sent)
      .slice(0, most);
    for (const rumour of chosen) {
      rumour.sent += 1;
      if (rumour.sent >= limit) this.#rumours.delete(rumour.news.member);
    }
    return chosen.map(({ news }) => news);
  }
}
