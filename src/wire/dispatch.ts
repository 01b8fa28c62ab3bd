/**
 * Requests of other nodes on their way to the handlers of the rooms, and the answers on their way back. A request is
 * either begun at once or refused: there is no queue in between, whose end nobody would wait for under overload.
 */

import { assert } from '#kernel/assert.ts';
import type { Pieces } from '#kernel/pieces.ts';
import { LARGE_MESSAGE_BYTES } from '#world/limits.ts';
import type { RequestEnvelope } from './envelope.ts';
import { encodeCall, encodeEnvelope, MAXIMUM_DETAIL_LENGTH, MAXIMUM_NAME_LENGTH } from './envelope.ts';
import { asMalformed, MalformedMessage, Refusal } from './message.ts';
import type { MessageType } from './message.ts';
import type { CallerInfo, Handler } from './messaging.ts';
import type { Session, SessionContext } from './session.ts';
import type { Span } from '#world/world.ts';
import { failureName } from './failure-name.ts';

/** Runs the handler and settles the answer, now or later. Throws MalformedMessage when the body does not fit. */
type Run = (body: unknown, caller: CallerInfo, answer: Answer) => void;

/** What is answered once: with a reply or with a failure. */
interface Answer {
  readonly session: Session;
  readonly request: RequestEnvelope;
  /** Until then the caller waits for it. */
  readonly deadline: number;
  /** The request's own, when it is traced. */
  readonly trace: Span | undefined;
}

export class Dispatch {
  readonly #context: SessionContext;
  readonly #handlers = new Map<string, Run>();
  #running = 0;
  #refusing = false;
  #whenIdle: (() => void) | undefined;

  constructor(context: SessionContext) {
    this.#context = context;
  }

  register<Request, Reply>(type: MessageType<Request, Reply>, handler: Handler<Request, Reply>): void {
    assert(type.name.length <= MAXIMUM_NAME_LENGTH, `the message name ${type.name} is too long`);
    assert(!this.#handlers.has(type.name), `${type.name} has a handler already`);
    this.#handlers.set(type.name, (body, caller, answer) => {
      const request = decodeRequest(type, body);
      const result = handler(request, caller);
      if (!(result instanceof Promise)) return this.#reply(answer, type.encodeReply(result));
      this.#running++;
      result.then(
        (reply) => {
          this.#running--;
          this.#settle(answer, type, reply);
          this.#checkIdle();
        },
        (error: unknown) => {
          this.#running--;
          this.#fail(answer, error);
          this.#checkIdle();
        },
      );
    });
  }

  /** Requests that are being worked on. */
  get running(): number {
    return this.#running;
  }

  /** From now on new requests are refused, but for those of peers that have been told to stop sending any. */
  refuse(): void {
    this.#refusing = true;
  }

  /** Resolves when all requests that were begun have been answered. */
  async idle(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#whenIdle = resolve;
      this.#checkIdle();
    });
  }

  #checkIdle(): void {
    if (this.#running === 0) this.#whenIdle?.();
  }

  /** Begins the work or refuses it. */
  dispatch(session: Session, request: RequestEnvelope): void {
    const { world, settings } = this.#context;
    const { callId, name, remaining } = request;
    const { remote } = session;
    assert(remote !== undefined, 'a request came before the end of the handshake');
    const { id: from, storageId } = remote;
    const run = this.#handlers.get(name);
    if (run === undefined) return this.#refuse(session, callId, 'unknown-message', `no handler for ${name}`);
    if (this.#refusing && !session.isDraining) {
      return this.#refuse(session, callId, 'stopping', 'this node is stopping');
    }
    const now = world.clock.monotonic();
    const waited = request.sentAt === undefined ? 0 : session.waited(request.sentAt, now);
    if (remaining <= waited) {
      const detail = `${name} had ${remaining} ms left and waited ${Math.round(waited)} ms on its way`;
      return this.#refuse(session, callId, 'deadline', detail);
    }
    if (this.#running >= settings.maxConcurrentHandlers) {
      return this.#refuse(session, callId, 'overloaded', `${this.#running} requests are being worked on`);
    }
    const trace = request.trace === undefined ? undefined : world.trace.begin(name, 'server', request.trace);
    trace?.set('client.address', from);
    const deadline = now + remaining - waited;
    const answer: Answer = { session, request, deadline, trace };
    try {
      run(request.body, { from, storageId, deadline, trace, way: session }, answer);
    } catch (error) {
      this.#fail(answer, error);
    }
  }

  #settle<Reply>(answer: Answer, type: Pick<MessageType<never, Reply>, 'encodeReply'>, reply: Reply): void {
    try {
      this.#reply(answer, type.encodeReply(reply));
    } catch (error) {
      this.#fail(answer, error);
    }
  }

  #fail({ session, request, trace }: Answer, error: unknown): void {
    this.#failed(session, request, error);
    trace?.end(failureName(error));
  }

  #reply({ session, request, deadline, trace }: Answer, body: unknown): void {
    const { counters, settings } = this.#context;
    const { callId, name } = request;
    const message = encodeCall({ kind: 'reply', callId, body });
    if (message.length > settings.maxMessageBytes) {
      throw new RangeError(`the reply to ${name} has ${message.length} bytes, more than ${settings.maxMessageBytes}`);
    }
    if (message.length > LARGE_MESSAGE_BYTES && !session.hasRoomFor(message.length)) {
      // What was asked for is done, so this is no `overloaded`.
      this.#refuse(session, callId, 'internal', `the answer of ${message.length} bytes had no room beside the others`);
      trace?.end('no-room');
      return;
    }
    counters.handled.add();
    this.#send(session, message, deadline);
    trace?.end();
  }

  #failed(session: Session, request: RequestEnvelope, error: unknown): void {
    const { callId, name } = request;
    if (error instanceof MalformedMessage) {
      session.endMalformed(error);
    } else if (error instanceof Refusal) {
      this.#refuse(session, callId, error.code, error.message, error.value);
    } else {
      const { log } = this.#context.world;
      log.error('handler-failed', { message: name, peer: session.remote?.id, error });
      this.#refuse(session, callId, 'internal', `the handler of ${name} failed`);
    }
  }

  #refuse(session: Session, callId: number, code: string, detail: string, value = 0): void {
    this.#context.counters.refused(code).add();
    const short = detail.slice(0, MAXIMUM_DETAIL_LENGTH);
    this.#send(session, encodeEnvelope({ kind: 'refusal', callId, code, detail: short, value }));
  }

  #send(session: Session, message: Uint8Array | Pieces, until?: number): void {
    // Small answers leave before large ones: who lets even these pile up does not read, and would fill the memory.
    if (session.hasRoomFor(message.length)) session.sendEncoded(message, until);
    else session.end('the peer does not read its answers');
  }
}

function decodeRequest<Request, Reply>(type: MessageType<Request, Reply>, body: unknown): Request {
  try {
    return type.decodeRequest(body);
  } catch (error) {
    throw asMalformed(type.name, error);
  }
}
