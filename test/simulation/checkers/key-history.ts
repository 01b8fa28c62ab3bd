/**
 * One key's history, made ready for the checkers: all requests with one write id are one write, and each write knows
 * which writes it certainly supersedes.
 *
 * Which ones? A context covers what the client was shown with it, and beyond that only writes that something else, known
 * to the same replica, had superseded already. So if each write is given what its client was shown, then "superseded by a
 * write that took effect, directly or through others" is exact without a look at any version vector. Only a delete that
 * was sent without a context stays vague: it removes what its coordinator finds.
 */

import type { Dot, ReadRequest, WriteId, WriteRequest } from '../history.ts';

export interface Write {
  readonly id: WriteId;
  readonly kind: 'put' | 'delete';
  /** `unknown` also for an acknowledged write that the faults may have destroyed. */
  readonly outcome: 'applied' | 'not-applied' | 'unknown';
  /** The order of its first request's start: it cannot take effect earlier. */
  readonly start: number;
  /** The order of its first acknowledgement; Infinity when `outcome` is not `applied`. */
  readonly acknowledged: number;
  /** At that acknowledgement at least so many owners had it, in a way that the crashes of this run do not undo. */
  readonly holders: number;
  /** Writes that it supersedes wherever it is known. */
  readonly replaces: readonly WriteId[];
  /** A delete without a context: it may supersede any write that started before it was over. */
  readonly finds: boolean;
  /** The dots that it is known to have got. */
  readonly dots: readonly Dot[];
  readonly requests: readonly WriteRequest[];
}

/** A read that was answered. */
export interface AnsweredRead {
  readonly start: number;
  readonly end: number;
  /** So many owners answered it, at least. */
  readonly answerers: number;
  readonly shown: readonly WriteId[];
  readonly request: ReadRequest;
}

export interface KeyHistory {
  readonly bucket: string;
  readonly key: string;
  /** `bucket/key`. */
  readonly name: string;
  readonly mode: 'siblings' | 'lww' | 'strong';
  readonly owners: number;
  /** In order of their starts. */
  readonly writes: ReadonlyMap<WriteId, Write>;
  /** In order of their starts. */
  readonly reads: readonly AnsweredRead[];
  /** Of a write: those that certainly supersede it once they are known. */
  readonly successors: ReadonlyMap<WriteId, readonly Write[]>;
  readonly deletes: readonly Write[];
}

export type KeyHistories = ReadonlyMap<string, KeyHistory>;

export function keyName(bucket: string, key: string): string {
  return `${bucket}/${key}`;
}

/**
 * The causal past of the given writes, themselves left out unless others of them had been shown them. Only as far back as
 * writes that started at or after `since`: nobody is shown a write before it started.
 */
export function pastOf(history: KeyHistory, writes: Iterable<Write>, since = 0): ReadonlySet<WriteId> {
  const past = new Set<WriteId>();
  const open = [...writes];
  for (let write = open.pop(); write !== undefined; write = open.pop()) {
    for (const id of write.replaces) {
      const earlier = history.writes.get(id);
      if (past.has(id) || earlier === undefined || earlier.start < since) continue;
      past.add(id);
      open.push(earlier);
    }
  }
  return past;
}

/** Whether the write can be known to somebody at that moment. */
export function mayExist(write: Write, order: number): boolean {
  return write.outcome !== 'not-applied' && write.start < order;
}

/** Whether a delete that removes what it finds can have found the write. */
export function mayHaveFound(finder: Write, found: Write): boolean {
  return finder.finds && finder !== found && found.start < finder.acknowledged;
}
