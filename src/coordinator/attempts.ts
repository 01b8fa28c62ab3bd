/**
 * The ids of changes of strong keys, and which of them nobody looks for any more.
 *
 * A value remembers its changes by id, so that one whose fate is not known is found when it is made again. Nobody makes a change
 * again whose only proposer has answered. So a node numbers its changes and tells every proposer, with the next change, below which
 * number all have been answered; a proposer that knows it lets go of those with the next value that it makes. (The same idea as in
 * RIFL, SOSP 2015.) When a proposer has not answered, the node goes on under a new name, and what bears the former one is remembered
 * for as long as ever.
 */

import type { Random } from '#world/world.ts';

const NUMBER_BYTES = 8;
const NAME_BYTES = 8;
const TWO_POW_32 = 2 ** 32;
/** Nodes of which this one knows how far they have been answered. */
const NAMES_MAX = 4096;

export interface Attempt {
  readonly id: Uint8Array;
  /** Set when a proposer was given the change and may make it without that this node learns of it. */
  inDoubt: boolean;
}

/** The changes that this node asks proposers for. */
export class Attempts {
  readonly #random: Random;
  #name: Uint8Array;
  #last = 0;
  /** Numbers, in the order in which they were given. */
  #open = new Set<number>();

  constructor(random: Random) {
    this.#random = random;
    this.#name = random.bytes(NAME_BYTES);
  }

  begin(): Attempt {
    const number = ++this.#last;
    this.#open.add(number);
    const id = new Uint8Array(NUMBER_BYTES + NAME_BYTES);
    const view = new DataView(id.buffer);
    // What differs most comes first, for those who compare.
    view.setUint32(0, number % TWO_POW_32, true);
    view.setUint32(4, Math.floor(number / TWO_POW_32), true);
    id.set(this.#name, NUMBER_BYTES);
    return { id, inDoubt: false };
  }

  /** This node will not give the change to anybody again. */
  end({ id, inDoubt }: Attempt): void {
    if (!this.#isOfToday(id)) return;
    if (!inDoubt) {
      this.#open.delete(numberOf(id));
      return;
    }
    this.#name = this.#random.bytes(NAME_BYTES);
    this.#open = new Set();
    this.#last = 0;
  }

  /** All changes under the name of this one with lower numbers have been answered. */
  answeredBelow({ id }: Attempt): number {
    if (!this.#isOfToday(id)) return 0;
    const [lowest = this.#last + 1] = this.#open;
    return lowest;
  }

  #isOfToday(id: Uint8Array): boolean {
    for (let i = 0; i < NAME_BYTES; i++) if (id[NUMBER_BYTES + i] !== this.#name[i]) return false;
    return true;
  }
}

/** What a proposer was told of the changes that others ask it for. */
export class AnsweredAttempts {
  readonly #below = new Map<string, number>();

  /** What came with the change of this id. */
  note(id: Uint8Array, below: number): void {
    const name = nameOf(id);
    const known = this.#below.get(name);
    if (below <= (known ?? 0)) return;
    this.#below.set(name, below);
    if (known !== undefined || this.#below.size <= NAMES_MAX) return;
    for (const oldest of this.#below.keys()) {
      this.#below.delete(oldest);
      return;
    }
  }

  has(id: Uint8Array): boolean {
    const below = this.#below.get(nameOf(id));
    return below !== undefined && numberOf(id) < below;
  }
}

function numberOf(id: Uint8Array): number {
  const view = new DataView(id.buffer, id.byteOffset, NUMBER_BYTES);
  return view.getUint32(4, true) * TWO_POW_32 + view.getUint32(0, true);
}

function nameOf(id: Uint8Array): string {
  let name = '';
  for (let i = NUMBER_BYTES; i < NUMBER_BYTES + NAME_BYTES; i++) name += String.fromCharCode(id[i]!);
  return name;
}
