/**
 * What this node believes of each member, as a value that merges: the greater of (incarnation, standing) wins, whoever says
 * it and in whatever order it comes, so all tables that have heard the same news are equal (SWIM, Das et al. 2002, section
 * 4.2, made total). Only a member itself raises its incarnation, which is how it refutes what others say of it.
 *
 * A table says who can be reached. Who owns what is the ring's business, and nothing here changes it.
 */

import type { NodeIndex } from '#kernel/identity.ts';

/** In the order in which they win within one incarnation. `left` is what a member says of itself when it stops. */
export const STANDINGS = ['alive', 'suspect', 'dead', 'left'] as const;
export type Standing = (typeof STANDINGS)[number];

export interface News {
  readonly member: NodeIndex;
  readonly standing: Standing;
  readonly incarnation: number;
  /** Who found it out: the accuser of a suspect. */
  readonly from: NodeIndex;
}

export interface Belief {
  readonly standing: Standing;
  readonly incarnation: number;
}

export type Effect =
  /** Nothing new. */
  | { readonly kind: 'known' }
  /** The same suspicion from one more accuser. */
  | { readonly kind: 'confirmed'; readonly accusers: number }
  | { readonly kind: 'changed'; readonly before: Belief; readonly after: Belief }
  /** Somebody accuses this node, which has raised its incarnation above the accusation. */
  | { readonly kind: 'refuted'; readonly accusation: News }
  /** About somebody who is no member. */
  | { readonly kind: 'stranger' };

interface Row extends Belief {
  readonly accusers: Set<NodeIndex>;
}

export function rankOf(standing: Standing): number {
  return STANDINGS.indexOf(standing);
}

/** Whether the one is newer than the other: the order in which beliefs merge. */
export function overrides(news: Belief, known: Belief): boolean {
  if (news.incarnation !== known.incarnation) return news.incarnation > known.incarnation;
  return rankOf(news.standing) > rankOf(known.standing);
}

/** Nothing is known of a member that is new here; the first it says of itself is newer. */
const UNHEARD: Belief = { standing: 'alive', incarnation: 0 };

export class MemberTable {
  readonly self: NodeIndex;
  readonly #rows = new Map<NodeIndex, Row>();
  #incarnation: number;
  #leaving = false;

  constructor(self: NodeIndex, incarnation: number) {
    this.self = self;
    this.#incarnation = incarnation;
  }

  get incarnation(): number {
    return this.#incarnation;
  }

  /** The members beside this node. */
  get others(): readonly NodeIndex[] {
    return [...this.#rows.keys()];
  }

  /** Forgets who is no member any more. */
  setMembers(members: readonly NodeIndex[]): void {
    const wanted = new Set(members);
    for (const member of [...this.#rows.keys()]) if (!wanted.has(member)) this.#rows.delete(member);
    for (const member of wanted) {
      if (member !== this.self && !this.#rows.has(member)) this.#rows.set(member, { ...UNHEARD, accusers: new Set() });
    }
  }

  /** Undefined for a stranger. */
  belief(member: NodeIndex): Belief | undefined {
    return this.#rows.get(member);
  }

  /** How many accuse the member now. */
  accusers(member: NodeIndex): number {
    return Math.max(1, this.#rows.get(member)?.accusers.size ?? 0);
  }

  /** What to tell others of the member. */
  newsOf(member: NodeIndex): News | undefined {
    if (member === this.self) return this.ownNews();
    const row = this.#rows.get(member);
    if (row === undefined) return undefined;
    const [accuser = this.self] = row.accusers;
    return { member, standing: row.standing, incarnation: row.incarnation, from: accuser };
  }

  ownNews(): News {
    const standing = this.#leaving ? 'left' : 'alive';
    return { member: this.self, standing, incarnation: this.#incarnation, from: this.self };
  }

  /** This node stops: the last that it says of itself. */
  leave(): News {
    this.#leaving = true;
    return this.ownNews();
  }

  apply(news: News): Effect {
    if (news.member === this.self) return this.#aboutSelf(news);
    const row = this.#rows.get(news.member);
    if (row === undefined) return { kind: 'stranger' };
    if (overrides(news, row)) {
      const { standing, incarnation, from } = news;
      const accusers = new Set(standing === 'suspect' ? [from] : []);
      this.#rows.set(news.member, { standing, incarnation, accusers });
      return { kind: 'changed', before: { standing: row.standing, incarnation: row.incarnation }, after: news };
    }
    const same = row.standing === 'suspect' && news.standing === 'suspect' && news.incarnation === row.incarnation;
    if (!same || row.accusers.has(news.from)) return { kind: 'known' };
    row.accusers.add(news.from);
    return { kind: 'confirmed', accusers: row.accusers.size };
  }

  /** Everything, this node first. */
  everything(): readonly News[] {
    return [this.ownNews(), ...this.others.flatMap((member) => this.newsOf(member) ?? [])];
  }

  /** An earlier life of this node may have had a higher incarnation, if the calendar was put back since. */
  #aboutSelf(news: News): Effect {
    if (this.#leaving || !overrides(news, this.ownNews())) return { kind: 'known' };
    this.#incarnation = news.incarnation + 1;
    return { kind: 'refuted', accusation: news };
  }
}
