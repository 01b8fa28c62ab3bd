/**
 * Asks the voters on an epoch and stops as soon as the outcome is certain: a majority said yes, or one knows that the
 * epoch is decided, or a majority has become impossible.
 */

import { higherBallot } from './ballot.ts';
import type { Ballot } from './facts.ts';
import type { DecidedEpochs } from './messages.ts';

export type PollAnswer<T> =
  | { readonly kind: 'yes'; readonly value: T }
  | { readonly kind: 'rejected'; readonly highest: Ballot }
  | { readonly kind: 'decided'; readonly decided: DecidedEpochs }
  /** No answer, or one that does not count. */
  | { readonly kind: 'failed'; readonly detail: string };

export type PollResult<T> =
  | { readonly kind: 'majority'; readonly values: readonly T[] }
  | { readonly kind: 'decided'; readonly decided: DecidedEpochs }
  /** Somebody uses a higher ballot. `got` said yes. */
  | { readonly kind: 'rejected'; readonly highest: Ballot; readonly got: number }
  | { readonly kind: 'failed'; readonly detail: string; readonly got: number };

export interface PollOptions<T> {
  readonly majority: number;
  /** Whether those who said yes, a majority already, have said what is needed; without it they have. More are waited for. */
  readonly isEnough?: ((values: readonly T[]) => boolean) | undefined;
  /** Waits for every answer even when a majority is there already. */
  readonly waitForAll: boolean;
}

/** One promise for each voter; they must not reject. */
export function poll<T>(answers: readonly Promise<PollAnswer<T>>[], options: PollOptions<T>): Promise<PollResult<T>> {
  const values: T[] = [];
  const failures: string[] = [];
  let highest: Ballot | null = null;
  let open = answers.length;

  const outcome = (): PollResult<T> | undefined => {
    if (options.waitForAll && open > 0) return undefined;
    if (values.length >= options.majority) {
      return open === 0 || (options.isEnough?.(values) ?? true) ? { kind: 'majority', values } : undefined;
    }
    if (values.length + open >= options.majority) return undefined;
    if (highest !== null) return { kind: 'rejected', highest, got: values.length };
    return { kind: 'failed', detail: failures.join('; '), got: values.length };
  };

  return new Promise((resolve) => {
    const count = (answer: PollAnswer<T>): void => {
      open--;
      switch (answer.kind) {
        case 'yes':
          values.push(answer.value);
          break;
        case 'rejected':
          highest = higherBallot(highest, answer.highest);
          break;
        case 'failed':
          failures.push(answer.detail);
          break;
        case 'decided':
          resolve({ kind: 'decided', decided: answer.decided });
          return;
      }
      const result = outcome();
      if (result !== undefined) resolve(result);
    };
    for (const answer of answers) void answer.then(count);
  });
}
