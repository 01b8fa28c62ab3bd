/**
 * Reading a request's body within its bounds: its own size, the memory of all bodies together, and the deadline.
 */

import type { Answer, Exchange } from './exchange.ts';
import { invalid, Problem, problemAnswer } from './problem.ts';

/**
 * Reads the body and hands it to `use`; the memory counts as taken until the answer is there. A body whose length is
 * known to be too large is refused without being held.
 */
export async function withBody(
  exchange: Exchange,
  limitBytes: number,
  deadline: number,
  use: (bytes: Uint8Array) => Promise<Answer>,
): Promise<Answer> {
  const { admission, incoming } = exchange;
  const announced = incoming.header('content-length');
  const bytes = announced === undefined ? limitBytes : Number(announced);
  if (bytes > limitBytes) {
    await incoming.letBodyPass?.(deadline);
    return problemAnswer(tooLarge(limitBytes));
  }
  if (!admission.reserve(bytes)) {
    return problemAnswer(new Problem('overloaded', 'too many bytes of request bodies are under way'));
  }
  try {
    const reading = incoming.readBody(limitBytes, deadline);
    const body = reading instanceof Promise ? await reading : reading;
    switch (body.kind) {
      case 'body':
        return await use(body.bytes);
      case 'too-large':
        await incoming.letBodyPass?.(deadline);
        return problemAnswer(tooLarge(limitBytes));
      case 'late':
        return problemAnswer(new Problem('request-timeout', 'body: did not arrive in time', { field: 'body' }), CLOSE);
      case 'broken':
        return problemAnswer(invalid('body', 'ended before it was complete, or is malformed'), CLOSE);
    }
  } finally {
    admission.release(bytes);
  }
}

/** The rest of the body would stand where the next request is expected. */
const CLOSE = { connection: 'close' };

function tooLarge(limitBytes: number): Problem {
  return new Problem('value-too-large', `body: at most ${limitBytes} bytes are allowed`, { field: 'body' });
}
