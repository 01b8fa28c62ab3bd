/** The lines of a stream of bytes, each with its number and where it ends, so that reading can begin there another time. */

import { isUtf8 } from 'node:buffer';
import { UsageError } from './output.ts';

export interface Line {
  readonly text: string;
  readonly number: number;
  /** Bytes of the stream up to and with its end. */
  readonly end: number;
}

/** Bytes: more than the largest object in base64, with everything beside it. */
const LINE_MAX = 32 * 1024 * 1024;
const NEWLINE = 10;

/** Empty lines are passed over. `before` is what an earlier run has read. */
export async function* linesOf(
  source: AsyncIterable<Uint8Array>,
  before: { readonly keys: number; readonly bytes: number },
): AsyncGenerator<Line, void, undefined> {
  let { keys: number, bytes: end } = before;
  let rest: Uint8Array[] = [];
  let length = 0;
  const finish = (last: Uint8Array): Line => {
    const bytes = Buffer.concat([...rest, last]);
    if (!isUtf8(bytes)) throw new UsageError(`line ${number}: is not UTF-8`);
    const text = bytes.toString('utf8');
    rest = [];
    length = 0;
    return { text, number, end };
  };
  for await (const chunk of source) {
    let start = 0;
    for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, start)) {
      number += 1;
      end += length + at + 1 - start;
      const line = finish(chunk.subarray(start, at));
      start = at + 1;
      if (line.text.trim() !== '') yield line;
    }
    rest.push(chunk.subarray(start));
    length += chunk.length - start;
    if (length > LINE_MAX) throw new UsageError(`line ${number + 1}: is longer than ${LINE_MAX} bytes`);
  }
  number += 1;
  end += length;
  const line = finish(new Uint8Array(0));
  if (line.text.trim() !== '') yield line;
}
