/**
 * A register with compare-and-set, as a model for the search for a linear order. Its state is the id of the last write
 * that took effect, or null when there is no value.
 */

import type { WriteId } from '../history.ts';
import type { Call, Model } from './linearizability.ts';

export type RegisterState = WriteId | null;

export type RegisterOperation =
  | { readonly kind: 'read'; readonly result: RegisterState }
  /** Null deletes. */
  | { readonly kind: 'write'; readonly value: RegisterState }
  /** Writes if the register holds what is expected. `swapped` is what it answered, null when that is unknown. */
  | {
      readonly kind: 'cas';
      readonly expected: RegisterState;
      readonly value: RegisterState;
      readonly swapped: boolean | null;
    };

export const REGISTER: Model<RegisterState, RegisterOperation> = {
  initial: null,
  next: (state, operation) => {
    switch (operation.kind) {
      case 'read':
        return operation.result === state ? state : undefined;
      case 'write':
        return operation.value;
      case 'cas':
        if (operation.swapped === false) return operation.expected === state ? undefined : state;
        return operation.expected === state ? operation.value : undefined;
    }
  },
  nameOf: (state) => (state === null ? '' : `=${state}`),
};

/**
 * Leaves out writes of unknown outcome that nobody can have noticed, so that they do not multiply the orders to explore:
 * the value was never read, nor expected by a swap, and no swap failed. Without such a write all other operations have the
 * same answers in the same order.
 */
export function withoutUnnoticed(calls: readonly Call<RegisterOperation>[]): readonly Call<RegisterOperation>[] {
  const noticed = new Set<RegisterState>();
  for (const { operation } of calls) {
    if (operation.kind === 'read') noticed.add(operation.result);
    if (operation.kind !== 'cas') continue;
    if (operation.swapped === false) return calls;
    noticed.add(operation.expected);
  }
  return calls.filter(
    ({ operation, end }) => end < Infinity || operation.kind === 'read' || noticed.has(operation.value),
  );
}
