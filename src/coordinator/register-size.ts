/** What a change may make of a strong key: no more than any key may be, unless it makes it smaller. Pure. */

import type { SizeLimits } from '#replica/mint.ts';
import type { RegisterValue } from './register-value.ts';

export type RegisterLimits = Pick<SizeLimits, 'entriesMax' | 'stateBytesMax'>;

/**
 * Why the change is refused; undefined when it is not. Bytes are looked at where it is said how many a value has, which is known only
 * when it has been encoded.
 */
export function tooLarge(
  before: RegisterValue,
  after: RegisterValue,
  { entriesMax, stateBytesMax }: RegisterLimits,
  bytesOf: ((value: RegisterValue) => number) | undefined,
): string | undefined {
  const [had, has] = [before.state.versions.length, after.state.versions.length];
  if (has > entriesMax && has > had) return `the key would have ${has} entries; at most ${entriesMax} are allowed`;
  if (bytesOf === undefined || after === before) return undefined;
  const bytes = bytesOf(after);
  if (bytes <= stateBytesMax || bytes <= bytesOf(before)) return undefined;
  return `the key's register would have ${bytes} bytes; at most ${stateBytesMax} are allowed`;
}
