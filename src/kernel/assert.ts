/**
 * Assertions for programmer errors. They stay on in production: a node that has found its own state impossible must
 * stop before it spreads that state to others. Errors of the outside world are never assertions.
 */

export class AssertionError extends Error {
  override readonly name = 'AssertionError';
}

/** Throws {@link AssertionError} unless the condition holds. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** Returns the value, which the caller knows to be present. */
export function present<T>(value: T | null | undefined, what: string): T {
  if (value === undefined || value === null) throw new AssertionError(`${what} is missing`);
  return value;
}
