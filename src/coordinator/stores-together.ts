/**
 * Stores of different writes, put together by peer: what one commit mints here leaves in one message to each other owner,
 * before that commit, and is committed there together. A message costs both ends more than the row that it carries. Each
 * caller gets its own result and sees no difference.
 *
 * A store that need not wait for stable storage goes alone, for its answer would wait for the others'; so does one that is traced.
 */

import type { NodeId } from '#kernel/identity.ts';
import {
  StoreMessage,
  STORES_MAX,
  StoresMessage,
  type StoreReply,
  type StoreRequest,
  type StoreResult,
} from '#replica/messages.ts';
import { Refusal, type MessageType } from '#wire/message.ts';
import type { CallOptions, CallResult, Handler } from '#wire/messaging.ts';
import { LARGE_MESSAGE_BYTES } from '#world/limits.ts';
import type { Clock, Log } from '#world/world.ts';
import type { Messages } from './environment.ts';

/** A message with more than so many bytes of states gets no further store: no other message should wait for it. */
const STATES_BYTES: number = LARGE_MESSAGE_BYTES / 2;

/** Deadlines that lie further apart have messages of their own: a call ends with the last of them. */
const DEADLINES_MS = 1000;
/** Characters of the detail of a refusal. */
const DETAIL_MAX = 4096;

interface Waiting {
  readonly request: StoreRequest;
  readonly options: CallOptions;
  readonly resolve: (result: CallResult<StoreReply>) => void;
}

/** Passes other calls on as they are. */
export class StoresTogether implements Messages {
  readonly #messaging: Messages;
  readonly #clock: Clock;
  /** A new one each time: see kernel/by-number for what comes of a Map that is cleared again and again. */
  #waiting = new Map<NodeId, Waiting[]>();

  constructor(messaging: Messages, clock: Clock) {
    this.#messaging = messaging;
    this.#clock = clock;
  }

  handle<Request, Reply>(type: MessageType<Request, Reply>, handler: Handler<Request, Reply>): void {
    this.#messaging.handle(type, handler);
  }

  reachable(peer: NodeId): boolean {
    return this.#messaging.reachable(peer);
  }

  versionOf(peer: NodeId): number | undefined {
    return this.#messaging.versionOf(peer);
  }

  call<Request, Reply>(
    to: NodeId,
    type: MessageType<Request, Reply>,
    request: Request,
    options: CallOptions,
  ): Promise<CallResult<Reply>> {
    if (type.name !== StoreMessage.name || options.trace !== undefined)
      return this.#messaging.call(to, type, request, options);
    const store = request as unknown as StoreRequest;
    if (!store.durable) return this.#messaging.call(to, type, request, options);
    return new Promise<CallResult<StoreReply>>((resolve) => {
      if (this.#waiting.size === 0) this.#clock.defer(() => this.flush());
      const waiting = { request: store, options, resolve };
      const others = this.#waiting.get(to);
      if (others === undefined) this.#waiting.set(to, [waiting]);
      else others.push(waiting);
    }) as Promise<CallResult<never>>;
  }

  /** Sends what waits: before work that holds the thread, such as the commit of what is being sent. */
  flush(): void {
    if (this.#waiting.size === 0) return;
    const waiting = this.#waiting;
    this.#waiting = new Map();
    for (const [peer, stores] of waiting) for (const message of messagesOf(stores)) this.#send(peer, message);
  }

  #send(peer: NodeId, stores: readonly Waiting[]): void {
    if (stores.length === 1) this.#alone(peer, stores[0]!);
    else void this.#together(peer, stores);
  }

  async #together(peer: NodeId, stores: readonly Waiting[]): Promise<void> {
    let deadline = 0;
    for (const { options } of stores) deadline = Math.max(deadline, options.deadline);
    const requests = stores.map(({ request }) => request);
    const result = await this.#messaging.call(peer, StoresMessage, requests, { deadline });
    if (result.kind === 'reply') {
      for (const [i, { resolve }] of stores.entries()) {
        // An answer that is missing is none.
        resolve(result.reply[i] ?? { kind: 'lost', reason: 'disconnected' });
      }
    } else if (result.kind === 'refused' && result.code === 'unknown-message') {
      // An older program: it takes them one by one.
      for (const store of stores) this.#alone(peer, store);
    } else for (const { resolve } of stores) resolve(result);
  }

  #alone(peer: NodeId, { request, options, resolve }: Waiting): void {
    void this.#messaging.call(peer, StoreMessage, request, options).then(resolve);
  }
}

/** Which of them go in one message. */
function messagesOf(stores: readonly Waiting[]): readonly (readonly Waiting[])[] {
  let message: Waiting[] = [];
  let bytes = 0;
  const messages = [message];
  for (const store of stores) {
    const apart = message.length > 0 && Math.abs(store.options.deadline - message[0]!.options.deadline) > DEADLINES_MS;
    if (apart || bytes >= STATES_BYTES || message.length === STORES_MAX) {
      message = [];
      bytes = 0;
      messages.push(message);
    }
    message.push(store);
    bytes += store.request.state.length;
  }
  return messages;
}

/** What the sender is told of one of several stores: {@link StoresMessage} has an answer for each. */
export function storeResult(failure: Error | undefined, { requestId, durable }: StoreRequest, log: Log): StoreResult {
  if (failure === undefined) return { kind: 'reply', reply: { durable } };
  if (failure instanceof Refusal) {
    const { code, message, value } = failure;
    return { kind: 'refused', code, detail: message.slice(0, DETAIL_MAX), value };
  }
  log.error('handler-failed', { message: StoresMessage.name, requestId, error: failure });
  return { kind: 'refused', code: 'internal', detail: 'the store failed', value: 0 };
}
