/**
 * What an answer with large values waits for before they are put together (coordinator/answer-turns).
 */

import type { Version } from '#causality/state.ts';
import type { Exchange } from './exchange.ts';
import type { KeyRequest } from './key-request.ts';
import { Problem } from './problem.ts';

export const NO_TURN = new Problem('overloaded', 'too many answers with large values wait to be put together');

/** One value leaves as it is; of several, and of a data type, another body is made. False: it cannot be by the deadline. */
export function turnToShow(
  { services }: Exchange,
  { bucket, query }: KeyRequest,
  versions: readonly Version[],
  deadline: number,
): boolean | Promise<boolean> {
  if (bucket.properties.type === 'value' && (versions.length < 2 || query.has('sibling'))) return true;
  let bytes = 0;
  for (const { content } of versions) bytes += content?.value.length ?? 0;
  return services.answerTurns.take(bytes, deadline);
}
