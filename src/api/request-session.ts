/**
 * `session`: read your writes and monotonic reads across nodes. The client begins one with `new`, and gives back the tokens
 * that it got; every answer has one that knows more.
 */

import {
  decodeSession,
  encodeSession,
  joinSessions,
  mayHaveForgotten,
  NEW_SESSION,
  seenOf,
  sessionKey,
  withSeen,
  type Session,
} from '#causality/session-token.ts';
import type { VersionVector } from '#causality/state.ts';
import type { Mac } from '#kernel/native.ts';
import type { Answer, Incoming } from './exchange.ts';
import { invalid, Problem } from './problem.ts';
import type { Query } from './query.ts';

/** A session as a request for one key sees it. */
export class RequestSession {
  readonly #session: Session;
  readonly #key: Uint8Array;
  readonly #mac: Mac;

  constructor(session: Session, scope: Uint8Array, mac: Mac) {
    this.#session = session;
    this.#key = sessionKey(scope);
    this.#mac = mac;
  }

  /** What a read of the key must know at least. */
  least(): VersionVector {
    return seenOf(this.#session, this.#key);
  }

  /** Whether the token had no room for what the session has seen of the key: then a strict quorum is asked. */
  needsQuorum(): boolean {
    return mayHaveForgotten(this.#session, this.#key);
  }

  /** The answer with the session's token, grown by what the answer shows. */
  answer(answer: Answer, seen: VersionVector): Answer {
    const session = withSeen(this.#session, this.#key, seen);
    return { ...answer, headers: { ...answer.headers, 'quoral-session': encodeSession(session, this.#mac) } };
  }
}

/** Undefined when the request belongs to no session. */
export function parseSession(
  incoming: Incoming,
  query: Query,
  scope: Uint8Array,
  mac: Mac,
): RequestSession | undefined | Problem {
  const parameter = query.get('session');
  const header = incoming.header('quoral-session');
  if (parameter === undefined && header === undefined) return undefined;
  if (parameter !== undefined && header !== undefined)
    return invalid('session', 'given as a parameter and as the header Quoral-Session; give one of them');
  if ((parameter ?? header) === 'new') return new RequestSession(NEW_SESSION, scope, mac);
  const field = parameter === undefined ? 'Quoral-Session' : 'session';
  const session = readTokens((parameter ?? header)!, field, mac);
  return session instanceof Problem ? session : new RequestSession(session, scope, mac);
}

/** Why a request of this kind, which takes no part in sessions, is refused when it names one: it might show less than was seen. */
export function refuseSession(incoming: Incoming, what: string): Problem | undefined {
  if (incoming.header('quoral-session') === undefined) return undefined;
  return invalid('Quoral-Session', `${what} takes no part in a session`);
}

function readTokens(text: string, field: string, mac: Mac): Session | Problem {
  let joined: Session = NEW_SESSION;
  for (const token of text.split(',')) {
    const decoded = decodeSession(token.trim(), mac);
    if (decoded.kind === 'invalid') return invalid(field, `a token ${decoded.reason}; without one it is session=new`);
    joined = joinSessions(joined, decoded.session);
  }
  return joined;
}
