/**
 * The data types of a bucket: what can be done to a counter, a set, a map, a register and a flag. How each of them is kept
 * in a key's state says entry.ts, what an operation makes of a state operate.ts, what a reader sees type-value.ts.
 */

export const DATA_TYPES = ['counter', 'set', 'map', 'register', 'flag'] as const;

export type DataType = (typeof DATA_TYPES)[number];

/** Values of sets and registers are canonical JSON texts (canonical-json.ts): equal values have equal texts. */
export type Operation =
  | { readonly kind: 'increment'; readonly by: number }
  | { readonly kind: 'add' | 'remove'; readonly values: readonly string[] }
  | { readonly kind: 'assign'; readonly value: string }
  | { readonly kind: 'enable' | 'disable' }
  | { readonly kind: 'update'; readonly field: string; readonly type: DataType; readonly with: Operation }
  | { readonly kind: 'remove-field'; readonly field: string };

/** What can be done to a key beside writing a value: an operation on its data type, or letting it live longer (touch.ts). */
export type KeyOperation = Operation | { readonly kind: 'touch' };

/** The operation that is done in the end, within fields of maps. */
export function innermost(operation: KeyOperation): KeyOperation {
  return operation.kind === 'update' ? innermost(operation.with) : operation;
}

/** Maps that stand in each other: a field of a map of depth 1 holds no map. */
export function depthOf(operation: KeyOperation): number {
  return operation.kind === 'update' ? 1 + depthOf(operation.with) : operation.kind === 'remove-field' ? 1 : 0;
}

/** Whether it takes away what somebody has seen, so that it must be known what that is. */
export function takesAway(operation: KeyOperation): boolean {
  const { kind } = innermost(operation);
  return kind === 'remove' || kind === 'remove-field' || kind === 'disable';
}

/**
 * Whether what it writes may have a time to live. The parts of a counter make sense together only, so they would have to end
 * together: where several replicas count by themselves, one would go on with what has ended for another.
 */
export function mayExpire(operation: Operation, consistency: 'eventual' | 'strong'): boolean {
  const { kind } = innermost(operation);
  return kind === 'add' || kind === 'assign' || kind === 'enable' || (kind === 'increment' && consistency === 'strong');
}
