/** What the network can tell of an encoded message without taking it apart: enough to lose some kinds and not others. */

import { decodeEnvelope } from '#wire/envelope.ts';

/** Requests that nodes send each other in normal operation. */
export const MESSAGE_NAMES = [
  'replica.store',
  'replica.fetch',
  'coordinator.write',
  'consensus.confirm',
  'consensus.learn',
  'consensus.prepare',
  'consensus.accept',
] as const;

/** The name of the message of a request; for anything else what kind of envelope it is. */
export function requestName(message: Uint8Array): string {
  const envelope = decodeEnvelope(message);
  return envelope.kind === 'request' ? envelope.name : envelope.kind;
}

export function isAnswer(message: Uint8Array): boolean {
  const { kind } = decodeEnvelope(message);
  return kind === 'reply' || kind === 'refusal';
}
