/**
 * Every request ends by its deadline, with an answer that the contract allows. A node that was stopped or stood still while
 * a request was with it is excused: for the requests sent to it, and for as long as they had to run.
 */

import type { History, Request, Stall } from '../history.ts';
import { keyName } from './key-history.ts';
import type { Violation } from './violation.ts';

/** `slack`: virtual milliseconds that an answer may be late, for its way back to the client. */
export function checkEndsByDeadline({ requests, stalls, end }: History, slack: number): readonly Violation[] {
  const stallsOf = Map.groupBy(stalls, ({ node }) => node);
  return requests.flatMap((request): readonly Violation[] => {
    const problem = problemOf(request, end.time, slack);
    if (problem === undefined) return [];
    const { kind, client, node, start } = request;
    if (problem.excusable && stallsOf.get(node)?.some((stall) => overlaps(stall, request, slack)) === true) return [];
    const detail = `the ${kind} by ${client} to ${node} at time ${start.time} ${problem.text}`;
    const writes = request.kind === 'read' ? [] : [request.write];
    return [{ check: 'ends-by-deadline', key: keyName(request.bucket, request.key), detail, writes }];
  });
}

function problemOf(
  { ending, end, deadline, answer }: Request,
  stopped: number,
  slack: number,
): { readonly text: string; readonly excusable: boolean } | undefined {
  switch (ending) {
    case 'unexpected':
      return { text: `ended with ${answer}`, excusable: false };
    case 'gave-up':
      return { text: `was never answered`, excusable: true };
    case 'open':
      return stopped > deadline + slack ? { text: `was still open at time ${stopped}`, excusable: true } : undefined;
    case 'answered':
    case 'connection-lost': {
      const late = (end?.time ?? Infinity) - deadline;
      return late > slack ? { text: `ended ${late} ms after its deadline`, excusable: true } : undefined;
    }
  }
}

function overlaps({ from, to }: Stall, { start, deadline }: Request, slack: number): boolean {
  return from <= deadline + slack && to >= start.time;
}
