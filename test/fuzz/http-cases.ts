/**
 * Bytes that a client may send: whole requests, requests that were damaged on their way, requests whose end two readers
 * might see in different places, and plain noise.
 */

import fc from 'fast-check';

export interface ValidRequest {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'DELETE' | 'POST';
  readonly target: string;
  readonly fields: readonly string[];
  /** Undefined for a request without a body. */
  readonly body: string | undefined;
  readonly framing: 'length' | 'chunked';
  /** Sizes of chunks, used again and again. */
  readonly chunks: readonly number[];
}

/** Text stands for bytes: each character up to U+00FF is one. */
export function serialized({ method, target, fields, body, framing, chunks }: ValidRequest): string {
  const head = [`${method} ${target} HTTP/1.1`, 'Host: x', ...fields];
  if (body === undefined) return `${head.join('\r\n')}\r\n\r\n`;
  if (framing === 'length') return `${head.join('\r\n')}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  let text = `${head.join('\r\n')}\r\nTransfer-Encoding: chunked\r\n\r\n`;
  for (let at = 0, i = 0; at < body.length; i++) {
    const chunk = body.slice(at, at + chunks[i % chunks.length]!);
    text += `${chunk.length.toString(16)}\r\n${chunk}\r\n`;
    at += chunk.length;
  }
  return `${text}0\r\n\r\n`;
}

const byte = fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code));
const noise = (maxLength: number): fc.Arbitrary<string> => fc.string({ unit: byte, maxLength });
const printable = fc.string({
  unit: fc.integer({ min: 33, max: 126 }).map((code) => String.fromCharCode(code)),
  maxLength: 20,
});

// --- Targets -------------------------------------------------------------------------------------------------------

const parameter = fc.constantFrom(
  ...[
    'r',
    'w',
    'pr',
    'pw',
    'dw',
    'sloppy',
    'consistency',
    'session',
    'timeout',
    'ttl',
    'return',
    'sibling',
    'x',
    '%72',
  ],
);
const word = fc.constantFrom(
  ...[
    '0',
    '1',
    '3',
    '9',
    '1e1',
    'one',
    'all',
    'quorum',
    'local_quorum',
    '',
    '%',
    '%zz',
    '%00',
    'true',
    '60000',
    'body',
  ],
);
const query = fc.oneof(
  { weight: 3, arbitrary: fc.constant('') },
  {
    weight: 2,
    arbitrary: fc
      .array(
        fc.tuple(parameter, word).map(([name, value]) => `${name}=${value}`),
        { maxLength: 3 },
      )
      .map((pairs) => `?${pairs.join('&')}`),
  },
);
const piece = fc.constantFrom(
  ...[
    '/',
    '.',
    '..',
    '%2e',
    '%2E',
    '%2f',
    '%2F',
    '%5c',
    '\\',
    '%',
    '%0',
    '%00',
    '%0d%0a',
    '%c3%bc',
    '%ff',
    '%25',
    ';',
    '?',
    '#',
  ],
  ...[
    'v1',
    'kv',
    'kv64',
    'buckets',
    'ring',
    'locate',
    'cluster',
    'livez',
    'metrics',
    'tokens',
    'b',
    'k',
    'YQ',
    'YQ==',
    'a b',
    '\u00e9',
  ],
);
const wildTarget = fc.oneof(
  fc.array(piece, { maxLength: 10 }).map((pieces) => `/${pieces.join('')}`),
  fc.array(piece, { maxLength: 4 }).map((pieces) => `/v1/kv/b/${pieces.join('')}`),
  fc.array(piece, { maxLength: 4 }).map((pieces) => `/v1/kv64/b/${pieces.join('')}`),
  fc.array(piece, { maxLength: 4 }).map((pieces) => `http://h/${pieces.join('/')}`),
  fc.constantFrom(
    '*',
    '',
    'livez',
    'h:80',
    'http://h',
    'ftp://h/livez',
    '/',
    '//',
    '/ui/',
    '/v1/kv',
    '/v1/kv/b',
    '/v1/batch',
  ),
  noise(20).map((text) => `/${text}`),
);
/** Any target, as it may stand on a request line. */
export const anyTarget = fc.tuple(wildTarget, query).map(([path, rest]) => path + rest);

/** Few keys, so that requests meet. */
const key = fc.constantFrom('k', 'k2', '%F0%9F%97%9D', 'a%2Fb', 'a+b;c');
const keyTarget = fc.oneof(
  key.map((text) => `/v1/kv/b/${text}`),
  fc.constantFrom('aw', 'YS9i').map((text) => `/v1/kv64/b/${text}`),
);
const plainQuery = fc.constantFrom('', '', '?w=1', '?r=1', '?w=all&r=all', '?consistency=one');

// --- Fields --------------------------------------------------------------------------------------------------------

const fieldName = fc.constantFrom(
  ...['accept', 'content-type', 'content-encoding', 'content-range', 'if-match', 'if-none-match', 'quoral-context'],
  ...[
    'quoral-session',
    'quoral-meta-x',
    'quoral-odd',
    'x-request-id',
    'idempotency-key',
    'quoral-answered-below',
    'authorization',
    'traceparent',
  ],
  ...['expect', 'range', 'origin', 'cookie', 'upgrade', 'te', 'trailer', 'if-unmodified-since'],
);
const fieldValue = fc.oneof(
  fc.constantFrom(
    ...[
      '*',
      '"a"',
      'W/"a", "b"',
      '"',
      'application/json',
      'application/json;q=2',
      'Bearer x',
      'Bearer ',
      '0',
      '7',
      's:7',
      '',
    ],
  ),
  fc.constantFrom('x'.repeat(9000), '100-continue', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'),
  printable,
);
export const anyFields = fc.dictionary(fieldName, fieldValue, { maxKeys: 4 });
const harmlessField = fc.constantFrom(
  'Idempotency-Key: a',
  'If-Match: *',

  'Accept: application/json',
  'Quoral-Meta-A: b',
  'Content-Type: a/b',
  'If-None-Match: *',
);

// --- Requests ------------------------------------------------------------------------------------------------------

/** Stands inside of bodies: whoever executes it has taken a body for a request. */
export const HIDDEN = 'PUT /v1/kv/hidden/k HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx';

export const anyBody = fc.oneof(
  fc.constantFrom('', 'x', '{"n":3}', '{', HIDDEN, `\r\n\r\n${HIDDEN}`, `0\r\n\r\n${HIDDEN}`),
  noise(40),
  fc.integer({ min: 1000, max: 20_000 }).map((length) => 'y'.repeat(length)),
);
const chunks = fc.array(fc.constantFrom(1, 2, 3, 16, 17, 4096), { minLength: 1, maxLength: 3 });
const framing = fc.constantFrom('length', 'chunked');

export const validRequest: fc.Arbitrary<ValidRequest> = fc
  .record({
    method: fc.constantFrom('GET', 'HEAD', 'PUT', 'PUT', 'DELETE', 'POST'),
    target: fc.tuple(keyTarget, plainQuery).map(([path, rest]) => path + rest),
    fields: fc.uniqueArray(harmlessField, { maxLength: 2 }),
    body: fc.option(anyBody, { nil: undefined }),
    framing,
    chunks,
  })
  .map((request) => request as ValidRequest);

/** Requests that may be refused for whatever reason, their bodies unread. */
export const boldRequest: fc.Arbitrary<ValidRequest> = fc
  .record({
    method: fc.constantFrom('GET', 'HEAD', 'PUT', 'DELETE', 'POST'),
    target: anyTarget.filter((target) => /^[\x21-\x7e]+$/.test(target)),
    fields: anyFields.map((fields) => Object.entries(fields).map(([name, value]) => `${name}: ${value}`)),
    body: fc.option(anyBody, { nil: undefined }),
    framing,
    chunks,
  })
  // What the parser refuses with the rest of the line unread is answered with a body, also to a HEAD.
  .map((request): ValidRequest => {
    const readable = request.target.startsWith('/');
    return { ...(request as ValidRequest), ...(readable ? {} : { method: 'GET' }) };
  });

// --- Damage --------------------------------------------------------------------------------------------------------

type Damage =
  | { readonly kind: 'flip'; readonly at: number; readonly to: string }
  | { readonly kind: 'insert'; readonly at: number; readonly text: string }
  | { readonly kind: 'delete'; readonly at: number; readonly length: number }
  | { readonly kind: 'repeat'; readonly at: number; readonly length: number }
  | { readonly kind: 'truncate'; readonly at: number };

const at = fc.nat(1200);
const length = fc.integer({ min: 1, max: 60 });
const nasty = fc.oneof(
  fc.constantFrom(
    ...['\r\n', '\n', '\r', '\u0000', ' ', '\t', ':', '\r\n\r\n', '\n\n', '%', '..', '/', '\u000b', '\u00ff', ','],
  ),
  fc.constantFrom(
    ...['Content-Length: 1\r\n', 'Content-Length: 99999999999\r\n', 'Transfer-Encoding: chunked\r\n', 'Host: y\r\n'],
    ...[
      'Connection: close\r\n',
      'Expect: 100-continue\r\n',
      'Upgrade: h2c\r\nConnection: upgrade\r\n',
      'X: '.padEnd(40_000, 'x'),
    ],
    ...['ffffffff\r\n', '-1\r\n', '0\r\n\r\n', 'HTTP/1.1', 'GET /livez HTTP/1.1\r\n\r\n'],
  ),
  noise(8),
);
export const damage: fc.Arbitrary<Damage> = fc.oneof(
  fc.record({ kind: fc.constant('flip' as const), at, to: byte }),
  fc.record({ kind: fc.constant('insert' as const), at, text: nasty }),
  fc.record({ kind: fc.constant('delete' as const), at, length }),
  fc.record({ kind: fc.constant('repeat' as const), at, length }),
  fc.record({ kind: fc.constant('truncate' as const), at }),
);

export function damaged(text: string, all: readonly Damage[]): string {
  let result = text;
  for (const one of all) {
    const start = result.length === 0 ? 0 : one.at % result.length;
    const [before, behind] = [result.slice(0, start), result.slice(start)];
    switch (one.kind) {
      case 'flip':
        result = before + one.to + behind.slice(1);
        break;
      case 'insert':
        result = before + one.text + behind;
        break;
      case 'delete':
        result = before + behind.slice(one.length);
        break;
      case 'repeat':
        result = before + behind.slice(0, one.length) + behind;
        break;
      case 'truncate':
        result = before;
        break;
    }
  }
  return result;
}

// --- Where a request ends ------------------------------------------------------------------------------------------

const encodingField = fc.constantFrom(
  ...[
    'Transfer-Encoding: chunked',
    'Transfer-Encoding:chunked',
    'Transfer-Encoding:\tchunked',
    'transfer-encoding: CHUNKED',
  ],
  ...[
    'Transfer-Encoding : chunked',
    'Transfer-Encoding: xchunked',
    'Transfer-Encoding: chunked, identity',
    'Transfer-Encoding: ,chunked',
  ],
  ...[
    'Transfer-Encoding: identity\r\nTransfer-Encoding: chunked',
    'Transfer-Encoding: chunked\r\nTransfer-Encoding: x',
  ],
  ...[
    'Transfer-Encoding:\r\n chunked',
    'Transfer-Encoding: \u000bchunked',
    'Transfer-Encoding: "chunked"',
    ' Transfer-Encoding: chunked',
  ],
  ...[
    'X: y\nTransfer-Encoding: chunked',
    'X: y\rTransfer-Encoding: chunked',
    'Transfer_Encoding: chunked',
    'Transfer-Encoding\u0000: chunked',
  ],
  ...['Transfer-Encoding: chunked;q=1', 'Transfer-Encoding: gzip, chunked', 'Transfer-Encoding: chunked '],
);
const chunkStart = fc.constantFrom(
  ...[
    '0\r\n\r\n',
    '0\n\n',
    '00\r\n\r\n',
    '0;x\r\n\r\n',
    '0;\n\r\n\r\n',
    '0 \r\n\r\n',
    '0x0\r\n\r\n',
    '\r\n0\r\n\r\n',
    '-0\r\n\r\n',
  ],
  ...[
    '0\r\nX: y\r\n\r\n',
    '0\r\nContent-Length: 60\r\n\r\n',
    '0\r\n',
    '0\r\r\n\r\n',
    '1\r\nZ\r\n0\r\n\r\n',
    '1\nZ\n0\n\n',
    '',
  ],
);
const withLengthFields = fc.constantFrom(
  ...['Content-Length: 0\r\nContent-Length: %', 'Content-Length: %\r\nContent-Length: 0', 'Content-Length: 0, %'],
  ...[
    'Content-Length: %, 0',
    'Content-Length: +%',
    'Content-Length: %x',
    'Content-Length: 0%',
    'Content-Length: \u000b%',
  ],
  ...[
    'Content-Length : %',
    'Content-Length:\r\n %',
    'Content-Length: %\nContent-Length: 0',
    'content_length: %',
    'Content-Length: 0x%',
  ],
  ...['Content-Length: %\r\nContent-Length: %'],
);

/**
 * A request with a hidden one where some reader might see the next request begin. A reader by the letter either refuses
 * the whole or takes the hidden one for a part of the body: when there is a length, it covers everything.
 */
export const ambiguous: fc.Arbitrary<string> = fc
  .tuple(
    fc.constantFrom(
      'PUT /v1/kv/b/k',
      'GET /v1/kv/b/k',
      'DELETE /v1/kv/b/k',
      'PUT /v1/kv/b/k?w=9',
      'PATCH /nowhere',
      'GET /livez',
    ),
    fc.oneof(
      fc.tuple(encodingField, chunkStart).map(([field, start]) => ({ fields: [field, 'Content-Length: %'], start })),
      fc.tuple(encodingField, chunkStart).map(([field, start]) => ({ fields: ['Content-Length: %', field], start })),
      // A length that is not one must not be taken for none; with two of them the larger covers the hidden request.
      withLengthFields
        .filter((field) => !field.includes('_') && !field.startsWith('Content-Length: 0%'))
        .map((field) => ({ fields: [field], start: '' })),
    ),
  )
  .map(([line, { fields, start }]) => {
    const body = start + HIDDEN;
    const head = fields.map((field) => field.replaceAll('%', String(body.length))).join('\r\n');
    return `${line} HTTP/1.1\r\nHost: x\r\n${head}\r\n\r\n${body}`;
  });

export const garbage = fc.oneof(
  noise(200),
  fc.array(nasty, { maxLength: 20 }).map((parts) => parts.join('')),
);

/** Where to cut the bytes into chunks; none means all at once. */
export const cuts = fc.oneof(
  fc.constant([] as readonly number[]),
  fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 }),
);

export function chunked(text: string, sizes: readonly number[], most = 400): readonly string[] {
  if (sizes.length === 0) return [text];
  const parts: string[] = [];
  let start = 0;
  for (let i = 0; start < text.length && parts.length < most; i++) {
    parts.push(text.slice(start, start + sizes[i % sizes.length]!));
    start += sizes[i % sizes.length]!;
  }
  if (start < text.length) parts.push(text.slice(start));
  return parts;
}
