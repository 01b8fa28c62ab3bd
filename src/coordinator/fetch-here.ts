/** Asking this node's own replica, or its hints where it stands in for an owner: nearly always answered at once, without a promise. */

import type { HeldReply } from '#handoff/messages.ts';
import type { FetchReply, FetchRequest } from '#replica/messages.ts';
import type { Member } from '#ring/ring.ts';
import { failureName } from '#wire/failure-name.ts';
import type { Span } from '#world/world.ts';
import type { Environment } from './environment.ts';
import type { RoundRequest } from './requests.ts';

export interface LocalRead {
  /** An owner has answered. */
  answered(here: Member, reply: FetchReply): void;
  /** A fallback has answered. */
  heldBy(here: Member, reply: HeldReply): void;
  failedHere(here: Member, error: unknown): void;
}

export function fetchHere(
  { replica, hints }: Environment,
  { deadline, trace }: RoundRequest,
  fetch: FetchRequest,
  here: Member,
  isOwner: boolean,
  read: LocalRead,
): void {
  const span = trace?.child('replica.fetch', 'internal');
  try {
    const reply = isOwner ? replica.fetch(fetch, deadline) : hints.held(fetch, deadline);
    if (reply instanceof Promise) void later(reply, here, read, span);
    else {
      read.answered(here, reply);
      span?.end();
    }
  } catch (error) {
    span?.end(failureName(error));
    read.failedHere(here, error);
  }
}

async function later(
  reply: Promise<FetchReply | HeldReply>,
  here: Member,
  read: LocalRead,
  span: Span | undefined,
): Promise<void> {
  try {
    const given = await reply;
    if ('owners' in given) read.heldBy(here, given);
    else read.answered(here, given);
    span?.end();
  } catch (error) {
    span?.end(failureName(error));
    read.failedHere(here, error);
  }
}
