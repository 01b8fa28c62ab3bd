/**
 * What a reader has to know, and whether what it was shown agrees with that.
 *
 * A reader that knows a write is shown that write or something that supersedes it, and nothing that it supersedes. Which
 * writes a reader has to know is the caller's matter: those acknowledged to a quorum that meets the reader's, or those of
 * its own session. Of these only the ones that no other of them supersedes are kept, so a reader costs little.
 */

import type { WriteId } from '../history.ts';
import { compareRank, earliest, latest } from './dots.ts';
import { mayExist, mayHaveFound } from './key-history.ts';
import type { KeyHistory, Write } from './key-history.ts';

export interface Fault {
  readonly kind: 'missing' | 'superseded';
  readonly write: WriteId;
  /** Of a superseded write: what superseded it. Of a missing one: itself. */
  readonly by: Write;
}

export class MustKnow {
  readonly #history: KeyHistory;
  readonly #known = new Set<WriteId>();
  /** Known writes that no known write supersedes. In a last-write-wins bucket only the latest of those with dots. */
  readonly #frontier = new Map<WriteId, Write>();
  readonly #superseded = new Map<WriteId, Write>();

  constructor(history: KeyHistory) {
    this.#history = history;
  }

  /** From now on the reader has to know this write. */
  add(write: Write): void {
    if (this.#known.has(write.id)) return;
    this.#known.add(write.id);
    this.#supersede(write);
    if (this.#superseded.has(write.id)) return;
    if (this.#history.mode === 'lww') this.#keepLatest(write);
    else if (write.kind === 'put') this.#frontier.set(write.id, write);
  }

  /** Values that the reader certainly meets, if no write that is not in the reckoning has superseded them. */
  mustShow(): readonly WriteId[] {
    return [...this.#frontier.keys()];
  }

  /** What is wrong with an answer that shows these values, given to a reader before that moment. */
  faultsOf(shown: readonly WriteId[], before: number): Fault[] {
    const faults: Fault[] = [];
    for (const id of new Set(shown)) {
      const by = this.#superseded.get(id);
      if (by !== undefined) faults.push({ kind: 'superseded', write: id, by });
    }
    for (const write of this.#frontier.values()) {
      const excused =
        this.#history.mode === 'lww' ? this.#isBeaten(write, shown, before) : this.#isReplaced(write, shown, before);
      if (!excused) faults.push({ kind: 'missing', write: write.id, by: write });
    }
    return faults;
  }

  #supersede(by: Write): void {
    const open = [by];
    for (let write = open.pop(); write !== undefined; write = open.pop()) {
      for (const id of write.replaces) {
        if (this.#superseded.has(id)) continue;
        this.#superseded.set(id, by);
        this.#frontier.delete(id);
        const earlier = this.#history.writes.get(id);
        if (earlier !== undefined) open.push(earlier);
      }
    }
  }

  #keepLatest(write: Write): void {
    const dot = earliest(write.dots);
    if (dot !== undefined) {
      for (const other of this.#frontier.values()) {
        const rival = earliest(other.dots);
        if (rival === undefined) continue;
        if (compareRank(rival, dot) > 0) return;
        this.#frontier.delete(other.id);
      }
    }
    this.#frontier.set(write.id, write);
  }

  /** Siblings: follows the writes that supersede it until one is shown, or is a delete and so leaves nothing to show. */
  #isReplaced(write: Write, shown: readonly WriteId[], before: number): boolean {
    if (shown.includes(write.id)) return true;
    const visited = new Set<WriteId>([write.id]);
    const open = [write];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      if (this.#mayBeFoundAndDeleted(next, before)) return true;
      for (const successor of this.#history.successors.get(next.id) ?? []) {
        if (visited.has(successor.id) || !mayExist(successor, before)) continue;
        if (successor.kind === 'delete' || shown.includes(successor.id)) return true;
        visited.add(successor.id);
        open.push(successor);
      }
    }
    return false;
  }

  #mayBeFoundAndDeleted(write: Write, before: number): boolean {
    return this.#history.deletes.some((finder) => mayHaveFound(finder, write) && mayExist(finder, before));
  }

  /** Last write wins: what is shown, or the delete that left nothing to show, must be the write itself or a later one. */
  #isBeaten(write: Write, shown: readonly WriteId[], before: number): boolean {
    const dot = earliest(write.dots);
    const isLater = (other: Write | undefined): boolean => {
      if (other === undefined || other.id === write.id) return true;
      const rival = latest(other.dots);
      return dot === undefined || rival === undefined || compareRank(rival, dot) > 0;
    };
    if (shown.length > 0) return shown.some((id) => isLater(this.#history.writes.get(id)));
    return this.#history.deletes.some((other) => mayExist(other, before) && isLater(other));
  }
}
