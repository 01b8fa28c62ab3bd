/**
 * Whether a bucket holds keys: some properties may only change while it does not. All members are asked. For most changes
 * all must answer, because a key that only a silent member knows would not be found under the new definition any more. When
 * siblings are going to be kept, nothing can be lost of a key that turns up later, so a majority will do.
 */

import type { Votes } from '#consensus/epoch-proposer.ts';
import type { NodeId } from '#kernel/identity.ts';
import type { MessageType } from '#wire/message.ts';
import type { Messaging } from '#wire/messaging.ts';
import { asArray, asBoolean, asInteger, asString } from '#wire/shape.ts';

interface HoldsKeysRequest {
  readonly bucket: string;
  readonly incarnation: number;
}

const HoldsKeysMessage: MessageType<HoldsKeysRequest, boolean> = {
  name: 'operator.holds-keys',
  encodeRequest: ({ bucket, incarnation }) => [bucket, incarnation],
  decodeRequest: (body) => {
    const fields = asArray(body, 2, 'operator.holds-keys');
    return { bucket: asString(fields[0], 'bucket', 128), incarnation: asInteger(fields[1], 'incarnation', 0) };
  },
  encodeReply: (holds) => [holds],
  decodeReply: (body) => asBoolean(asArray(body, 1, 'operator.holds-keys reply')[0], 'holds'),
};

export type HoldsKeys =
  | { readonly kind: 'answer'; readonly holds: boolean }
  | { readonly kind: 'unknown'; readonly silent: readonly NodeId[]; readonly votes: Votes };

/** A room that may have rows of a bucket. */
export interface KeyHolder {
  holdsKeys(bucket: string, incarnation: number): boolean | Promise<boolean>;
}

export class BucketKeys {
  readonly #messaging: Messaging;
  readonly #holders: readonly KeyHolder[];

  constructor(messaging: Messaging, holders: readonly KeyHolder[]) {
    this.#messaging = messaging;
    this.#holders = holders;
    messaging.handle(HoldsKeysMessage, (request) => this.#heldHere(request));
  }

  async #heldHere({ bucket, incarnation }: HoldsKeysRequest): Promise<boolean> {
    for (const holder of this.#holders) if (await holder.holdsKeys(bucket, incarnation)) return true;
    return false;
  }

  /** Asks this node and `others`; unknown when none that answers holds any and more than `silentMax` do not answer. */
  async ask(
    request: HoldsKeysRequest,
    others: readonly NodeId[],
    silentMax: number,
    deadline: number,
  ): Promise<HoldsKeys> {
    if (await this.#heldHere(request)) return { kind: 'answer', holds: true };
    const answers = await Promise.all(
      others.map(async (id) => ({
        id,
        result: await this.#messaging.call(id, HoldsKeysMessage, request, { deadline }),
      })),
    );
    if (answers.some(({ result }) => result.kind === 'reply' && result.reply)) return { kind: 'answer', holds: true };
    const silent = answers.filter(({ result }) => result.kind !== 'reply').map(({ id }) => id);
    if (silent.length <= silentMax) return { kind: 'answer', holds: false };
    const all = others.length + 1;
    return { kind: 'unknown', silent, votes: { needed: all - silentMax, got: all - silent.length } };
  }
}
