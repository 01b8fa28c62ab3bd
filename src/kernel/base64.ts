/**
 * Base64 (RFC 4648): with padding for values in JSON (section 4), and without for keys and tokens in URLs and headers (section 5).
 * There each byte string has one text form, and no other is read.
 *
 * Node.js does it in native code, which takes a twentieth of the time for the text of a session and a half for that of a context.
 * The client runs in browsers too, which have nothing of the kind; for them it is spelled out here.
 */

type Form = 'base64' | 'base64url';

/** What is used of Node's `Buffer`. */
interface Native {
  from(
    bytes: ArrayBufferLike,
    offset: number,
    length: number,
  ): { toString(form: Form): string; write(text: string, form: Form): number };
  isEncoding(form: string): boolean;
}

const { Buffer: found } = globalThis as { readonly Buffer?: Native };
/** Stand-ins for `Buffer` that come with bundlers may not know this form. */
const native = found?.isEncoding('base64url') === true ? found : undefined;

/** Texts of this length and less are read here: reading and writing them again by calls costs more. */
const SHORT = 64;

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const VALUES = new Int8Array(128).fill(-1);
for (let i = 0; i < DIGITS.length; i++) VALUES[DIGITS.charCodeAt(i)] = i;

export function toBase64url(bytes: Uint8Array): string {
  return native === undefined ? spelledOut(bytes) : nativeView(native, bytes).toString('base64url');
}

/** Undefined for anything but what {@link toBase64url} makes. */
export function fromBase64url(text: string): Uint8Array | undefined {
  if (native === undefined || text.length <= SHORT) return readOff(text);
  const bytes = new Uint8Array(bytesIn(text));
  nativeView(native, bytes).write(text, 'base64url');
  // It also reads the other alphabet, passes over what is in neither, and stops at padding.
  return toBase64url(bytes) === text ? bytes : undefined;
}

/** With padding. */
export function toBase64(bytes: Uint8Array): string {
  if (native !== undefined) return nativeView(native, bytes).toString('base64');
  const text = spelledOut(bytes).replaceAll('-', '+').replaceAll('_', '/');
  return text.padEnd(Math.ceil(text.length / 4) * 4, '=');
}

function nativeView(from: Native, bytes: Uint8Array): ReturnType<Native['from']> {
  return from.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

function bytesIn(text: string): number {
  return Math.floor((text.length * 3) / 4);
}

/** {@link toBase64url} without help. */
function spelledOut(bytes: Uint8Array): string {
  let text = '';
  let i = 0;
  for (; i + 2 < bytes.length; i += 3) {
    const group = (bytes[i]! << 16) | (bytes[i + 1]! << 8) | bytes[i + 2]!;
    text += DIGITS[group >> 18]! + DIGITS[(group >> 12) & 63]! + DIGITS[(group >> 6) & 63]! + DIGITS[group & 63]!;
  }
  const rest = bytes.length - i;
  if (rest === 1) text += DIGITS[bytes[i]! >> 2]! + DIGITS[(bytes[i]! << 4) & 63]!;
  if (rest === 2) {
    const group = (bytes[i]! << 8) | bytes[i + 1]!;
    text += DIGITS[group >> 10]! + DIGITS[(group >> 4) & 63]! + DIGITS[(group << 2) & 63]!;
  }
  return text;
}

/** {@link fromBase64url} without help. */
function readOff(text: string): Uint8Array | undefined {
  const rest = text.length % 4;
  if (rest === 1) return undefined;
  const bytes = new Uint8Array(bytesIn(text));
  let group = 0;
  let bits = 0;
  let length = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    const value = code < 128 ? VALUES[code]! : -1;
    if (value < 0) return undefined;
    group = ((group << 6) | value) & 0xffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes[length++] = (group >> bits) & 0xff;
    }
  }
  const leftover = group & ((1 << bits) - 1);
  return leftover === 0 ? bytes : undefined;
}
