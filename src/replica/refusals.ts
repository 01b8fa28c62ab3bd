/**
 * How a replica says no: the errors of its own operations, and the codes under which a peer is told of them.
 */

import type { State } from '#causality/state.ts';
import { Refusal } from '#wire/message.ts';
import { DiskError } from '#world/world.ts';
import { QueueFull } from './group-commit.ts';

/** The request with this idempotency key has been minted before. */
export class AlreadyMinted extends Error {
  override readonly name = 'AlreadyMinted';
}

/** A write that would leave more concurrent versions than the limits allow. */
export class TooManySiblings extends Error {
  override readonly name = 'TooManySiblings';
  /** What is there now: enough for the client to resolve it. */
  readonly state: State;

  constructor(message: string, state: State) {
    super(message);
    this.state = state;
  }
}

/** An operation that would leave a data type with more than the limits allow. */
export class TooLarge extends Error {
  override readonly name = 'TooLarge';
}

/** Refusal codes of a replica beside those of the fence. */
export const DISK_FULL = 'disk-full';
export const DISK_FAILED = 'disk-failed';
export const OVERLOADED = 'overloaded';
export const TOO_LATE = 'deadline';
/** The replica has lost its disk and is being filled: it takes writes, its answers count for nothing. */
export const REFILLING = 'refilling';
/** A commit failed in a way that may have left the write in place. */
export const DISK_UNCERTAIN = 'disk-uncertain';

/** What a peer is told of an operation that failed here. */
export function asRefusal(error: unknown): unknown {
  if (error instanceof DiskError) {
    if (error.uncertain) return new Refusal(DISK_UNCERTAIN, error.message);
    if (error.kind === 'busy') return new Refusal(OVERLOADED, error.message);
    return new Refusal(error.kind === 'full' ? DISK_FULL : DISK_FAILED, error.message);
  }
  if (error instanceof QueueFull) return new Refusal(OVERLOADED, error.message);
  return error;
}

/** Whether a request that was refused with this code may have left something behind all the same. */
export function mayHaveBegun(refusalCode: string): boolean {
  return refusalCode === DISK_UNCERTAIN || refusalCode === 'internal';
}

/** A disk that takes nothing is told of as such. */
export async function orRefusal<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw asRefusal(error);
  }
}
