/**
 * Calls of the operations of a batch, put together by peer: what is called in one turn travels in one message. Each caller
 * gets its own result and sees no difference. Their stores are put together with those of all other writes (stores-together.ts).
 */

import { FetchMessage, StoreMessage, type FetchRequest } from '#replica/messages.ts';
import { present } from '#kernel/assert.ts';
import type { NodeId } from '#kernel/identity.ts';
import type { MessageType } from '#wire/message.ts';
import { MalformedMessage, Refusal } from '#wire/message.ts';
import type { CallOptions, CallResult, CallerInfo, Handler } from '#wire/messaging.ts';
import type { Clock } from '#world/world.ts';
import {
  BUNDLE_MAX,
  BUNDLED,
  BundleMessage,
  type BundleReply,
  type BundleRequest,
  type ItemReply,
} from './bundle-message.ts';
import type { Messages } from './environment.ts';

/** Of the states and values in one message. */
const BUNDLE_BYTES = 4 * 1024 * 1024;
/** Of what comes back in one. */
const REPLY_BYTES = 8 * 1024 * 1024;

interface Waiting {
  readonly type: MessageType<unknown, unknown>;
  readonly request: unknown;
  readonly options: CallOptions;
  readonly resolve: (result: CallResult<never>) => void;
}

/** All batches under way at this node. */
export class Bundles {
  readonly #messaging: Messages;
  readonly #clock: Clock;
  /** Those with calls that wait. */
  #open: Bundler[] = [];

  constructor(messaging: Messages, clock: Clock) {
    this.#messaging = messaging;
    this.#clock = clock;
  }

  /** For the operations of one batch. */
  bundler(): Messages {
    return new Bundler(this.#messaging, (bundler) => {
      if (this.#open.length === 0) this.#clock.defer(() => this.flush());
      this.#open.push(bundler);
    });
  }

  /** Sends what waits: before work that holds the thread, such as the commit of what is being sent. */
  flush(): void {
    const open = this.#open;
    this.#open = [];
    for (const bundler of open) bundler.send();
  }
}

class Bundler implements Messages {
  readonly #messaging: Messages;
  readonly #opened: (bundler: Bundler) => void;
  #waiting = new Map<NodeId, Waiting[]>();
  #bytes = 0;

  constructor(messaging: Messages, opened: (bundler: Bundler) => void) {
    this.#messaging = messaging;
    this.#opened = opened;
  }

  handle(): never {
    throw new TypeError('handlers are registered with the messaging itself');
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
    if (!BUNDLED.has(type.name) || type.name === StoreMessage.name)
      return this.#messaging.call(to, type, request, options);
    return new Promise((resolve) => {
      if (this.#waiting.size === 0) this.#opened(this);
      const waiting = { type: type as MessageType<unknown, unknown>, request, options, resolve };
      const forPeer = this.#waiting.get(to);
      if (forPeer === undefined) this.#waiting.set(to, [waiting]);
      else forPeer.push(waiting);
      this.#bytes += sizeOf(type.name, request);
      if (this.#bytes >= BUNDLE_BYTES) this.send();
    });
  }

  send(): void {
    const waiting = this.#waiting;
    this.#waiting = new Map();
    for (const [peer, calls] of waiting) {
      for (let i = 0; i < calls.length; i += BUNDLE_MAX) void this.#sendTo(peer, calls.slice(i, i + BUNDLE_MAX));
    }
    this.#bytes = 0;
  }

  async #sendTo(peer: NodeId, calls: readonly Waiting[]): Promise<void> {
    const [first] = calls;
    if (calls.length === 1) return this.#alone(peer, first!);
    const items = calls.map(({ type, request }) => ({ name: type.name, body: type.encodeRequest(request) }));
    const deadline = Math.max(...calls.map(({ options }) => options.deadline));
    const result = await this.#messaging.call(
      peer,
      BundleMessage,
      { items },
      { deadline, trace: first!.options.trace },
    );
    if (result.kind === 'reply') {
      for (const [i, call] of calls.entries()) this.#settle(peer, call, result.reply.items[i]);
    } else if (result.kind === 'refused' && result.code === 'unknown-message') {
      // An older program: it takes them one by one.
      for (const call of calls) void this.#alone(peer, call);
    } else for (const call of calls) call.resolve(result);
  }

  #settle(peer: NodeId, call: Waiting, item: ItemReply | undefined): void {
    if (item?.kind === 'alone') void this.#alone(peer, call);
    else if (item?.kind === 'refused') call.resolve(item);
    else call.resolve(decoded(call.type, item));
  }

  async #alone(peer: NodeId, { type, request, options, resolve }: Waiting): Promise<void> {
    resolve((await this.#messaging.call(peer, type, request, options)) as CallResult<never>);
  }
}

/** What cannot be read is as good as no answer. */
function decoded(type: MessageType<unknown, unknown>, item: ItemReply | undefined): CallResult<never> {
  try {
    if (item?.kind === 'reply') return { kind: 'reply', reply: type.decodeReply(item.body) as never };
  } catch (error) {
    if (!(error instanceof MalformedMessage)) throw error;
  }
  return { kind: 'lost', reason: 'disconnected' };
}

function sizeOf(name: string, request: unknown): number {
  if (name === FetchMessage.name) return (request as FetchRequest).key.length;
  const { content } = request as { readonly content: { readonly value: Uint8Array } | null };
  return content?.value.length ?? 0;
}

/** One kind of call that may come in a bundle: what its own handler does, on encoded bodies. */
export interface BundledCall {
  readonly name: string;
  readonly run: (body: unknown, caller: CallerInfo) => Promise<{ readonly body: unknown; readonly bytes: number }>;
}

export function bundled<Request, Reply>(
  type: MessageType<Request, Reply>,
  run: Handler<Request, Reply>,
  sizeOfReply: (reply: Reply) => number = () => 0,
): BundledCall {
  return {
    name: type.name,
    run: async (body, caller) => {
      const reply = await run(type.decodeRequest(body), caller);
      return { body: type.encodeReply(reply), bytes: sizeOfReply(reply) };
    },
  };
}

/** Carries out what came in a bundle, all at once. */
export async function takeBundle(
  { items }: BundleRequest,
  caller: CallerInfo,
  calls: readonly BundledCall[],
): Promise<BundleReply> {
  let bytes = 0;
  const replies = await Promise.all(
    items.map(async ({ name, body }): Promise<ItemReply> => {
      const call = present(
        calls.find((one) => one.name === name),
        name,
      );
      try {
        const reply = await call.run(body, caller);
        bytes += reply.bytes;
        return bytes > REPLY_BYTES && reply.bytes > 0 ? { kind: 'alone' } : { kind: 'reply', body: reply.body };
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        return { kind: 'refused', code: error.code, detail: error.message, value: error.value };
      }
    }),
  );
  return { items: replies };
}
