/** Base64 with padding (RFC 4648 section 4), as values travel in JSON. */

import { fromBase64url } from '#kernel/base64.ts';
import { QuoralError } from './errors.ts';

export function fromBase64(text: string): Uint8Array {
  const bytes = fromBase64url(text.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, ''));
  if (bytes === undefined) throw new QuoralError('bad-answer', 'a value is not base64');
  return bytes;
}
