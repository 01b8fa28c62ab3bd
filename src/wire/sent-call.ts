/**
 * A call that was sent, until it ends: one object for each, where functions for its ends would be several.
 */

import type { Span } from '#world/world.ts';
import type { PendingCall, Unanswered } from './calls.ts';
import type { CallEnd } from './counters.ts';
import { asMalformed } from './message.ts';
import type { MessageType } from './message.ts';
import type { CallEnding, CallResult, Priority } from './messaging.ts';

export interface SentCallOwner {
  /** It has ended, after so long, with a reply or an answer of another kind. */
  callEnded(name: string, result: CallEnding['result'], reason: string, startedAt: number, priority: Priority): void;
  countEnd(end: CallEnd): void;
}

interface Facts<Reply> {
  readonly deadline: number;
  readonly bytes: number;
  readonly startedAt: number;
  readonly priority: Priority;
  /** The call's own, when it is traced. */
  readonly span: Span | undefined;
  readonly resolve: (result: CallResult<Reply>) => void;
}

export class SentCall<Request, Reply> implements PendingCall {
  readonly deadline: number;
  readonly bytes: number;
  readonly #owner: SentCallOwner;
  readonly #type: MessageType<Request, Reply>;
  readonly #facts: Facts<Reply>;

  constructor(owner: SentCallOwner, type: MessageType<Request, Reply>, facts: Facts<Reply>) {
    this.deadline = facts.deadline;
    this.bytes = facts.bytes;
    this.#owner = owner;
    this.#type = type;
    this.#facts = facts;
  }

  reply(body: unknown): void {
    const { resolve, startedAt, priority, span } = this.#facts;
    resolve({ kind: 'reply', reply: decodeReply(this.#type, body) });
    this.#owner.countEnd('reply');
    this.#owner.callEnded(workOf(this.#type), 'reply', '', startedAt, priority);
    span?.end();
  }

  unanswered(result: Unanswered): void {
    const { resolve, startedAt, priority, span } = this.#facts;
    resolve(result);
    this.#owner.countEnd(result.kind === 'refused' ? 'refused' : result.reason);
    const reason = result.kind === 'refused' ? result.code : result.reason;
    if (result.kind !== 'not-sent') this.#owner.callEnded(workOf(this.#type), result.kind, reason, startedAt, priority);
    span?.end(reason);
  }
}

function workOf({ name, measuredAs }: Pick<MessageType<never, never>, 'name' | 'measuredAs'>): string {
  return measuredAs ?? name;
}

function decodeReply<Request, Reply>(type: MessageType<Request, Reply>, body: unknown): Reply {
  try {
    return type.decodeReply(body);
  } catch (error) {
    throw asMalformed(`reply to ${type.name}`, error);
  }
}
