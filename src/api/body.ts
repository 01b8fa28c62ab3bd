/**
 * Reading a request's body within its bounds: its own size, the memory of all bodies together, and the deadline.
 */

import type { Answer, Exchange, Incoming } from './exchange.ts';
import { notApplied } from './not-applied.ts';
import { invalid, Problem, problemAnswer } from './problem.ts';

/**
 * Reads the body and hands it to `use`; the memory counts as taken until the answer is there. A body whose length is
 * known to be too large is refused without being held. What has been announced takes no room before it comes: else few clients
 * that are slow to send much would keep all others from sending anything.
 */
export async function withBody(
  exchange: Exchange,
  limitBytes: number,
  deadline: number,
  use: (bytes: Uint8Array) => Promise<Answer>,
): Promise<Answer> {
  const { admission, incoming } = exchange;
  const announced = Number(incoming.header('content-length') ?? 0);
  if (announced > limitBytes) {
    await incoming.letBodyPass?.(deadline);
    return problemAnswer(tooLarge(limitBytes));
  }
  if (!admission.fits(announced)) return problemAnswer(crowded(incoming));
  const reading = incoming.readBody(limitBytes, deadline, admission);
  const body = reading instanceof Promise ? await reading : reading;
  switch (body.kind) {
    case 'body':
      try {
        return await use(body.bytes);
      } finally {
        admission.release(body.bytes.length);
      }
    case 'too-large':
      await incoming.letBodyPass?.(deadline);
      return problemAnswer(tooLarge(limitBytes));
    case 'crowded':
      await incoming.letBodyPass?.(deadline);
      return problemAnswer(crowded(incoming));
    case 'late':
      return problemAnswer(new Problem('request-timeout', 'body: did not arrive in time', { field: 'body' }), CLOSE);
    case 'broken':
      return problemAnswer(invalid('body', 'ended before it was complete, or is malformed'), CLOSE);
  }
}

function crowded(incoming: Incoming): Problem {
  return new Problem('overloaded', 'too many bytes of request bodies are under way', notApplied(incoming));
}

/** The rest of the body would stand where the next request is expected. */
const CLOSE = { connection: 'close' };

function tooLarge(limitBytes: number): Problem {
  return new Problem('value-too-large', `body: at most ${limitBytes} bytes are allowed`, { field: 'body' });
}
