/** Reads multipart bodies by the letter of RFC 2046; whatever is not exactly in its place throws. */

import { etagOf, type Answer } from './site.ts';

export interface Part {
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly value: Buffer;
}

export function partsOf(answer: Answer): readonly Part[] {
  const type = /^multipart\/mixed; boundary="?([0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-])"?$/.exec(
    answer.headers['content-type'] ?? '',
  );
  if (type === null) throw new Error(`not multipart/mixed: ${answer.headers['content-type']}`);
  const delimiter = Buffer.from(`--${type[1]!}`);
  const { body } = answer;
  if (!body.subarray(0, delimiter.length).equals(delimiter)) throw new Error('does not begin with its delimiter');
  const parts: Part[] = [];
  let at = delimiter.length;
  while (body.subarray(at, at + 2).toString() === '\r\n') {
    const next = body.indexOf(Buffer.concat([Buffer.from('\r\n'), delimiter]), at);
    if (next === -1) throw new Error('a part without an end');
    parts.push(partOf(body.subarray(at + 2, next)));
    at = next + 2 + delimiter.length;
  }
  const end = body.subarray(at).toString('latin1');
  if (end !== '--\r\n' && end !== '--') throw new Error(`ends with ${JSON.stringify(end)}`);
  return parts;
}

function partOf(bytes: Buffer): Part {
  const end = bytes.indexOf('\r\n\r\n');
  if (end === -1) throw new Error('a part without a head');
  const headers = Object.fromEntries(
    bytes
      .subarray(0, end)
      .toString('latin1')
      .split('\r\n')
      .map((line) => {
        const match = /^([A-Za-z0-9-]+): (.*)$/.exec(line);
        if (match === null) throw new Error(`not a header field: ${JSON.stringify(line)}`);
        return [match[1]!.toLowerCase(), match[2]!];
      }),
  );
  return { headers, value: bytes.subarray(end + 4) };
}

/** Values of a 300 in either form, sorted. */
export function valuesOf(answer: Answer): readonly string[] {
  etagOf(answer);
  if (answer.headers['content-type'] !== 'application/json')
    return partsOf(answer)
      .map(({ value }) => value.toString())
      .toSorted();
  const { siblings } = JSON.parse(answer.body.toString()) as { siblings: readonly { value: string }[] };
  return siblings.map(({ value }) => Buffer.from(value, 'base64').toString()).toSorted();
}
