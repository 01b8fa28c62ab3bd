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

const TYPES: Readonly<Record<Operation['kind'], DataType>> = {
  increment: 'counter',
  add: 'set',
  remove: 'set',
  assign: 'register',
  enable: 'flag',
  disable: 'flag',
  update: 'map',
  'remove-field': 'map',
};

/** What the operation can be done to. */
export function typeOf({ kind }: Operation): DataType {
  return TYPES[kind];
}

/** The operation that is done in the end, within fields of maps. */
export function innermost(operation: Operation): Operation {
  return operation.kind === 'update' ? innermost(operation.with) : operation;
}

/** Maps that stand in each other: a field of a map of depth 1 holds no map. */
export function depthOf(operation: Operation): number {
  return operation.kind === 'update' ? 1 + depthOf(operation.with) : operation.kind === 'remove-field' ? 1 : 0;
}

/** Whether it takes away what somebody has seen, so that it must be known what that is. */
export function takesAway(operation: Operation): boolean {
  const { kind } = innermost(operation);
  return kind === 'remove' || kind === 'remove-field' || kind === 'disable';
}

/** Whether what it writes may have a time to live: the parts of a counter make sense together only. */
export function mayExpire(operation: Operation): boolean {
  return operation.kind === 'add' || operation.kind === 'assign' || operation.kind === 'enable';
}
