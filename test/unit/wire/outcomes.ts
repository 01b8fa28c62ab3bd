/** How calls of tests end, and a handler that lets them wait. */

import type { Handler } from '#wire/messaging.ts';
import type { Note } from './nodes.ts';

export const LOST_TIMEOUT = { kind: 'lost', reason: 'timeout' };

export const LOST_DISCONNECTED = { kind: 'lost', reason: 'disconnected' };

export const UNREACHABLE = { kind: 'not-sent', reason: 'unreachable' };

export const OVERLOADED = { kind: 'not-sent', reason: 'overloaded' };

/** A handler that answers when it is told to. */
export function gate(): { handler: Handler<Note, Note>; open: () => void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { handler: (request) => opened.then(() => request), open: () => open() };
}
