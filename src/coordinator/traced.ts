/**
 * A request's story as a span of its trace: what it was to achieve, what became of it.
 */

import type { Agreement, KeyRequest, ReadOutcome, WriteOutcome } from './requests.ts';
import { failureName } from '#wire/failure-name.ts';

/** Runs `story` inside a span of its own when the request is traced, and as it is otherwise. */
export function traced<Request extends KeyRequest, Outcome extends ReadOutcome | WriteOutcome>(
  name: string,
  request: Request,
  story: (request: Request) => Promise<Outcome>,
): Promise<Outcome> {
  return request.trace === undefined ? story(request) : withSpan(name, request, story);
}

async function withSpan<Request extends KeyRequest, Outcome extends ReadOutcome | WriteOutcome>(
  name: string,
  request: Request,
  story: (request: Request) => Promise<Outcome>,
): Promise<Outcome> {
  const span = request.trace?.child(name, 'internal');
  span?.set('quoral.bucket', request.bucket.name);
  try {
    const outcome = await story({ ...request, trace: span });
    describe(outcome.agreement, (attribute, value) => span?.set(attribute, value));
    span?.set('quoral.outcome', outcome.kind);
    span?.end('trouble' in outcome ? outcome.trouble : undefined);
    return outcome;
  } catch (error) {
    span?.end(failureName(error));
    throw error;
  }
}

function describe({ acked, needed, of, fallbacks }: Agreement, set: (attribute: string, value: number) => void): void {
  set('quoral.replicas.acked', acked);
  set('quoral.replicas.needed', needed);
  set('quoral.replicas.of', of);
  set('quoral.replicas.fallbacks', fallbacks);
}
