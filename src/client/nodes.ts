/**
 * The nodes that a client knows, and which of them to ask: an owner of the key that seems to work, else any node that does.
 * A node that could not be reached is left alone for a time that doubles with each failure; when all seem to be down, all are
 * tried again.
 */

export interface NodeEntry {
  /** Base URL without a slash at the end. */
  readonly url: string;
  /** Known once the ring is; undefined for an address that the user gave. */
  id: string | undefined;
  failures: number;
  /** An instant; 0 when it works. */
  downUntil: number;
}

const REST_MS = 500;
const REST_MAX_MS = 15_000;

export class Nodes {
  readonly #given: readonly NodeEntry[];
  #members = new Map<string, NodeEntry>();
  #all: readonly NodeEntry[];
  /** Requests without an owner go to one after the other. */
  #turn: number;

  constructor(urls: readonly string[], random: () => number) {
    this.#given = [...new Set(urls.map(tidied))].map((url) => ({ url, id: undefined, failures: 0, downUntil: 0 }));
    this.#all = this.#given;
    this.#turn = Math.floor(random() * this.#given.length);
  }

  get size(): number {
    return this.#all.length;
  }

  /** What the ring says about who is there. Addresses that the user gave stay, in case those of the ring lead nowhere. */
  learn(members: readonly { readonly id: string; readonly url: string }[]): void {
    const known = new Map(this.#all.map((entry) => [entry.url, entry]));
    this.#members = new Map();
    for (const { id, url } of members) {
      if (url === '') continue;
      const entry = known.get(tidied(url)) ?? { url: tidied(url), id, failures: 0, downUntil: 0 };
      entry.id = id;
      this.#members.set(id, entry);
    }
    this.#all = [...new Set([...this.#members.values(), ...this.#given])];
  }

  /**
   * The best node that is not among those tried: an owner that works, another that works, whatever is left. With all of them
   * tried it begins anew.
   */
  choose(owners: readonly string[], tried: ReadonlySet<NodeEntry>, now: number): NodeEntry {
    const fresh = (entry: NodeEntry): boolean => !tried.has(entry);
    const works = (entry: NodeEntry): boolean => entry.downUntil <= now;
    for (const id of owners) {
      const owner = this.#members.get(id);
      if (owner !== undefined && fresh(owner) && works(owner)) return owner;
    }
    const inTurn = this.#inTurn();
    return (
      inTurn.find((entry) => fresh(entry) && works(entry)) ??
      inTurn.find(fresh) ??
      inTurn.find(works) ??
      inTurn.reduce((best, entry) => (entry.downUntil < best.downUntil ? entry : best))
    );
  }

  #inTurn(): readonly NodeEntry[] {
    this.#turn = (this.#turn + 1) % this.#all.length;
    return [...this.#all.slice(this.#turn), ...this.#all.slice(0, this.#turn)];
  }

  hasOthers(tried: ReadonlySet<NodeEntry>): boolean {
    return this.#all.some((entry) => !tried.has(entry));
  }

  works(entry: NodeEntry): void {
    entry.failures = 0;
    entry.downUntil = 0;
  }

  failed(entry: NodeEntry, now: number, random: () => number): void {
    // Requests that were under way together fail together, and are one failure.
    if (entry.downUntil > now) return;
    entry.failures += 1;
    entry.downUntil = now + Math.min(REST_MAX_MS, REST_MS * 2 ** (entry.failures - 1)) * (0.5 + random() / 2);
  }
}

function tidied(url: string): string {
  return url.replace(/\/+$/, '');
}
