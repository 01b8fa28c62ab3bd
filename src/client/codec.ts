/** How a program's values become the bytes that are stored, and the other way round. */

import { fromUtf8, utf8 } from '#kernel/bytes.ts';

export interface Codec<T> {
  /** What values are labelled as. */
  readonly contentType: string;
  encode(value: T): Uint8Array;
  decode(bytes: Uint8Array, contentType: string): T;
}

/** Bytes as they are. */
export const bytes: Codec<Uint8Array> = {
  contentType: 'application/octet-stream',
  encode: (value) => value,
  decode: (value) => value,
};

/** Text in UTF-8. */
export const text: Codec<string> = {
  contentType: 'text/plain; charset=utf-8',
  encode: utf8,
  decode: fromUtf8,
};

/** Anything that JSON can say; whether what is stored is a T, its writers have to know. */
export function json<T>(): Codec<T> {
  return {
    contentType: 'application/json',
    encode: (value) => {
      const said: string | undefined = JSON.stringify(value);
      if (said === undefined) throw new TypeError(`a value of type ${typeof value} is nothing that JSON can say`);
      return utf8(said);
    },
    decode: (value) => JSON.parse(fromUtf8(value)) as T,
  };
}
