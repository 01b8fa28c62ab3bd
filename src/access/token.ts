/**
 * A token as a client sends it: `quoral_NAME_SECRET`. The name finds the row, the secret (32 random bytes in base64url) is
 * compared. So a token says which one it is, to people and to scanners for leaked secrets, and what stays with the cluster
 * is a digest from which nobody can make a token.
 */

import { fromBase64url, toBase64url } from '#kernel/base64.ts';

const PREFIX = 'quoral_';
export const SECRET_BYTES = 32;
const SECRET_CHARACTERS = 43;
/** Without those that cannot stand in a path: nobody could revoke such a token. */
export const TOKEN_NAME_PATTERN = String.raw`^(?!\.{1,2}$)[A-Za-z0-9._-]{1,64}$`;
const NAME = new RegExp(TOKEN_NAME_PATTERN);

/** For messages. */
export const TOKEN_NAME_FORM = '1-64 characters of A-Z a-z 0-9 . _ - other than "." and ".."';

export function isTokenName(text: string): boolean {
  return NAME.test(text);
}

export function formatToken(name: string, secret: Uint8Array): string {
  return `${PREFIX}${name}_${toBase64url(secret)}`;
}

export interface TokenParts {
  readonly name: string;
  /** As it stands in the text. */
  readonly secretText: string;
}

/** Undefined when the text cannot be a token. The secret has a fixed length, so a name may hold underscores. */
export function splitToken(text: string): TokenParts | undefined {
  const underscore = text.length - SECRET_CHARACTERS - 1;
  if (underscore <= PREFIX.length || !text.startsWith(PREFIX) || text[underscore] !== '_') return undefined;
  return { name: text.slice(PREFIX.length, underscore), secretText: text.slice(underscore + 1) };
}

/** Undefined when it is not the canonical form of 32 bytes. */
export function secretOf(secretText: string): Uint8Array | undefined {
  return fromBase64url(secretText);
}
