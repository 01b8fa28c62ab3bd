/**
 * What a span says of an error: a code or a kind, never the words, which may quote what a client sent.
 */

import { DiskError } from '#world/world.ts';
import { Refusal } from './message.ts';

export function failureName(error: unknown): string {
  if (error instanceof Refusal) return error.code;
  if (error instanceof DiskError) return `disk-${error.kind}`;
  return error instanceof Error ? error.name : 'unknown';
}
