/**
 * What both sides of the upgrade request must agree on.
 */

import type { Channel } from '#world/world.ts';

/** The version counts incompatible changes of the framing; what the messages mean has its own version in wire/. */
export const PROTOCOL = 'quoral/1';
export const PEER_PATH = '/peer';
export const CHANNEL_HEADER = 'quoral-channel';

export function parseChannel(header: string | string[] | undefined): Channel | undefined {
  return header === 'foreground' || header === 'bulk' ? header : undefined;
}
