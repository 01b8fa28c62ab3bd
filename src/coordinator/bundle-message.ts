/**
 * Several calls of one kind of work in one message. What each of them is and does stays as it is: a bundle only saves the
 * messages, and what reaches the other node at once is committed there together.
 */

import { FetchMessage, StoreMessage } from '#replica/messages.ts';
import { MalformedMessage, type MessageType } from '#wire/message.ts';
import { asArray, asInteger, asListOf, asString } from '#wire/shape.ts';

/** Calls in a bundle. */
export const BUNDLE_MAX = 128;

/** The messages that may come in one. */
export const BUNDLED: ReadonlySet<string> = new Set([StoreMessage.name, FetchMessage.name, 'coordinator.write']);

export interface BundleItem {
  readonly name: string;
  /** As the message's own type encodes it. */
  readonly body: unknown;
}

export type ItemReply =
  | { readonly kind: 'reply'; readonly body: unknown }
  | { readonly kind: 'refused'; readonly code: string; readonly detail: string; readonly value: number }
  /** Done, but the answers together would be too large: to be called by itself. Only of a message that changes nothing. */
  | { readonly kind: 'alone' };

export interface BundleRequest {
  readonly items: readonly BundleItem[];
}

export interface BundleReply {
  readonly items: readonly ItemReply[];
}

export const BundleMessage: MessageType<BundleRequest, BundleReply> = {
  name: 'coordinator.bundle',
  encodeRequest: ({ items }) => [items.map(({ name, body }) => [name, body])],
  decodeRequest: (request) => ({
    items: asListOf(asArray(request, 1, 'coordinator.bundle')[0], 'items', BUNDLE_MAX, (item) => {
      const [name, body] = asArray(item, 2, 'item');
      if (typeof name !== 'string' || !BUNDLED.has(name)) throw new MalformedMessage(`item ${String(name)}`);
      return { name, body };
    }),
  }),
  encodeReply: ({ items }) => [
    items.map((item) => {
      switch (item.kind) {
        case 'reply':
          return [0, item.body];
        case 'refused':
          return [1, item.code, item.detail, item.value];
        case 'alone':
          return [2];
      }
    }),
  ],
  decodeReply: (reply) => ({
    items: asListOf(asArray(reply, 1, 'coordinator.bundle reply')[0], 'items', BUNDLE_MAX, itemFromWire),
  }),
};

function itemFromWire(item: unknown): ItemReply {
  const fields = asArray(item, 1, 'item');
  switch (fields[0]) {
    case 0:
      return { kind: 'reply', body: fields[1] };
    case 1:
      return {
        kind: 'refused',
        code: asString(fields[1], 'code', 64),
        detail: asString(fields[2], 'detail', 4096),
        value: asInteger(fields[3], 'value', Number.MIN_SAFE_INTEGER),
      };
    case 2:
      return { kind: 'alone' };
    default:
      throw new MalformedMessage(`item of kind ${String(fields[0])}`);
  }
}
