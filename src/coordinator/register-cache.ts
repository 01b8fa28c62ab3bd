/**
 * What this node proposed last for a key and a majority accepted, with the ballot that they promised to it in the same step:
 * enough to propose again without a first phase. It is only ever a shortcut: whoever takes an entry has to put a new one in
 * after a success, and nothing else may.
 */

import type { Ballot } from '#consensus/facts.ts';
import type { Epoch } from '#kernel/identity.ts';
import type { RegisterValue } from './register-value.ts';

export interface Warm {
  readonly ballot: Ballot;
  readonly value: RegisterValue;
  /** Of the encoded value. */
  readonly bytes: number;
  /** The epoch in which the owners had last changed: later ones have promised nothing. */
  readonly changedIn: Epoch;
}

const KEYS_MAX = 4096;
const BYTES_MAX = 32 * 1024 * 1024;

export class RegisterCache {
  readonly #entries = new Map<string, Warm>();
  #bytes = 0;

  /** Takes the entry out, for one proposal. */
  take(name: string, changedIn: Epoch): Warm | undefined {
    const entry = this.#entries.get(name);
    if (entry === undefined) return undefined;
    this.#drop(name, entry);
    return entry.changedIn === changedIn ? entry : undefined;
  }

  put(name: string, entry: Warm): void {
    const former = this.#entries.get(name);
    if (former !== undefined) this.#drop(name, former);
    this.#entries.set(name, entry);
    this.#bytes += entry.bytes;
    // A Map lists its entries in the order in which they were put in.
    for (const [oldest, { bytes }] of this.#entries) {
      if (this.#entries.size <= KEYS_MAX && this.#bytes <= BYTES_MAX) break;
      this.#entries.delete(oldest);
      this.#bytes -= bytes;
    }
  }

  #drop(name: string, { bytes }: Warm): void {
    this.#entries.delete(name);
    this.#bytes -= bytes;
  }
}
