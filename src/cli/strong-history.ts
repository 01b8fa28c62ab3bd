/**
 * What clients of strong keys did and saw, one JSON line an operation, for any checker of linearizability:
 *
 *     {"client":"c1","key":"k0","operation":"cas","argument":{"expected":"1 c2.7","value":"2 c1.9"},"result":true,"outcome":"applied","start":…,"end":…}
 *
 * `operation` is `read` (`result`: the value, or null for none), `write`, `delete` or `cas` (`result`: whether the value was
 * replaced; an `expected` of null means that there is none). Values are unique. `outcome` is `applied`, `not-applied` (nothing
 * was read or changed; a `cas` that was refused has read, and its `result` is false), or `unknown`: then it may take effect at any
 * time after `start`, or never. `start` and `end` are nanoseconds of one clock.
 */

import { createWriteStream } from 'node:fs';
import { once } from 'node:events';
import { finished } from 'node:stream/promises';

export type Outcome = 'applied' | 'not-applied' | 'unknown';

export type Operation =
  | { readonly operation: 'read' | 'delete'; readonly argument: null }
  | { readonly operation: 'write'; readonly argument: string }
  | { readonly operation: 'cas'; readonly argument: { readonly expected: string | null; readonly value: string } };

export type Entry = Operation & {
  readonly client: string;
  readonly key: string;
  readonly result: string | boolean | null;
  readonly outcome: Outcome;
  readonly start: number;
  readonly end: number;
};

export interface History {
  add(entry: Entry): void;
  /** Resolves when all of it is in the file. */
  close(): Promise<void>;
}

export const NO_HISTORY: History = { add: () => undefined, close: () => Promise.resolve() };

/** Rejects when the file cannot be written. */
export async function historyIn(file: string): Promise<History> {
  const stream = createWriteStream(file);
  await once(stream, 'open');
  let failure: unknown;
  stream.on('error', (error) => (failure = error));
  return {
    add: (entry) => void stream.write(`${JSON.stringify(entry)}\n`),
    close: async () => {
      stream.end();
      await finished(stream);
      if (failure instanceof Error) throw failure;
    },
  };
}
