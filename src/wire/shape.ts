/**
 * Checks of decoded values, for the decoders of all rooms. Each returns the value with its type or throws
 * {@link MalformedMessage} naming what was wrong, so that a log line tells which field of which message it was.
 */

import { MalformedMessage } from './message.ts';

/** An array of at least so many elements. More are accepted: later versions append, and earlier ones ignore that. */
export function asArray(value: unknown, minimumLength: number, what: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new MalformedMessage(`${what}: expected an array, got ${kindOf(value)}`);
  if (value.length < minimumLength) {
    throw new MalformedMessage(`${what}: expected ${minimumLength} elements or more, got ${value.length}`);
  }
  return value;
}

/** Each element read by `read`, at most `maximumLength` of them. */
export function asListOf<T>(
  value: unknown,
  what: string,
  maximumLength: number,
  read: (element: unknown, what: string) => T,
): T[] {
  const elements = asArray(value, 0, what);
  if (elements.length > maximumLength) {
    throw new MalformedMessage(`${what}: expected ${maximumLength} elements or fewer, got ${elements.length}`);
  }
  return elements.map((element) => read(element, what));
}

/** A whole number, by default from 0 to 2^53-1. */
export function asInteger(value: unknown, what: string, min = 0, max: number = Number.MAX_SAFE_INTEGER): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) {
    throw new MalformedMessage(`${what}: expected a whole number, got ${describe(value)}`);
  }
  if (value < min || value > max) throw new MalformedMessage(`${what}: expected ${min} to ${max}, got ${value}`);
  return value;
}

/** Any finite number. */
export function asNumber(value: unknown, what: string): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) {
    throw new MalformedMessage(`${what}: expected a number, got ${describe(value)}`);
  }
  return value;
}

/** A string of at most `maximumLength` UTF-16 units. */
export function asString(value: unknown, what: string, maximumLength: number): string {
  if (typeof value !== 'string') throw new MalformedMessage(`${what}: expected a string, got ${kindOf(value)}`);
  if (value.length > maximumLength) {
    throw new MalformedMessage(`${what}: expected ${maximumLength} characters or fewer, got ${value.length}`);
  }
  return value;
}

/** Bytes: a view of the message that they came in. */
export function asBytes(value: unknown, what: string, maximumLength: number): Uint8Array {
  if (!(value instanceof Uint8Array)) throw new MalformedMessage(`${what}: expected bytes, got ${kindOf(value)}`);
  if (value.length > maximumLength) {
    throw new MalformedMessage(`${what}: expected ${maximumLength} bytes or fewer, got ${value.length}`);
  }
  return value;
}

export function asBoolean(value: unknown, what: string): boolean {
  if (typeof value !== 'boolean') throw new MalformedMessage(`${what}: expected true or false, got ${kindOf(value)}`);
  return value;
}

function kindOf(value: unknown): string {
  if (value === null) return 'nil';
  if (value instanceof Uint8Array) return 'bytes';
  return Array.isArray(value) ? 'an array' : `a ${typeof value}`;
}

function describe(value: unknown): string {
  return typeof value === 'number' ? String(value) : kindOf(value);
}
