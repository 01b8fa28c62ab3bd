/**
 * A message type ties a stable name to the two shapes that cross the wire. The room that owns a message defines it; this
 * room only carries it. Bodies are positional arrays, so both directions are written out and every decoder checks what
 * it reads: a body that does not fit throws {@link MalformedMessage}, which closes the connection that it came from.
 */

import { assert } from '#kernel/assert.ts';

export interface MessageType<Request, Reply> {
  /** Room and verb, such as `replica.store`: part of the wire format, never to be reused for something else. */
  readonly name: string;
  /** The name of a message that asks for the same work: how long it takes tells of that too. */
  readonly measuredAs?: string;
  readonly encodeRequest: (request: Request) => unknown;
  readonly decodeRequest: (body: unknown) => Request;
  readonly encodeReply: (reply: Reply) => unknown;
  readonly decodeReply: (body: unknown) => Reply;
}

export class MalformedMessage extends Error {
  override readonly name = 'MalformedMessage';
}

/** Whatever a decoder throws means that the body does not fit. `what` is prepended to its message. */
export function asMalformed(what: string, error: unknown): MalformedMessage {
  return new MalformedMessage(`${what}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
}

/**
 * A handler's way to say no: the caller gets the code and the detail instead of a reply, and the connection lives on. The
 * room itself uses `deadline`, `unknown-message` and `overloaded`, none of which has begun the work, and `internal`.
 */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  /** Kebab-case and stable: callers decide by it. */
  readonly code: string;
  /** A number that goes with the code, such as the refuser's epoch; 0 when there is none. */
  readonly value: number;

  constructor(code: string, detail: string, value = 0) {
    super(detail);
    assert(Number.isSafeInteger(value), `the refusal ${code} has the value ${value}`);
    this.code = code;
    this.value = value;
  }
}
