/**
 * Several versions of a key in one answer: as `multipart/mixed` (RFC 2046), bytes untouched, or as JSON.
 */

import { etagOf } from '#causality/etag.ts';
import { timeOf } from '#causality/hybrid-clock.ts';
import { concatBytes, utf8 } from '#kernel/bytes.ts';
import { contentHeaders, type LiveVersion } from './content-headers.ts';
import { isoDate } from './http-date.ts';
import { jsonWithBase64 } from './json.ts';

/** The body; `boundary` must be unpredictable, so that no value can contain it on purpose. */
export function multipartBody(versions: readonly LiveVersion[], boundary: string): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const version of versions) {
    parts.push(fieldBytes(`--${boundary}\r\n${fieldLines(version)}\r\n`), version.content.value, fieldBytes('\r\n'));
  }
  parts.push(fieldBytes(`--${boundary}--\r\n`));
  return concatBytes(parts);
}

const SPELLING: Readonly<Record<string, string>> = {
  'content-type': 'Content-Type',
  'content-encoding': 'Content-Encoding',
  'last-modified': 'Last-Modified',
  etag: 'ETag',
};

function fieldLines(version: LiveVersion): string {
  const headers: Record<string, string> = {};
  contentHeaders(headers, version);
  return Object.entries(headers)
    .map(([name, value]) => `${SPELLING[name] ?? name}: ${value}\r\n`)
    .join('');
}

/** Header fields are bytes that HTTP shows as characters up to U+00FF; they leave as the bytes that came in. */
function fieldBytes(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

export function jsonBody(versions: readonly LiveVersion[], context: string): Uint8Array {
  const parts: Uint8Array[] = [utf8(`{"context":${JSON.stringify(context)},"siblings":[`)];
  for (const [i, { dot, content, expiresAt }] of versions.entries()) {
    const sibling = {
      etag: etagOf(versions.slice(i, i + 1)),
      contentType: content.contentType,
      ...(content.contentEncoding === '' ? {} : { contentEncoding: content.contentEncoding }),
      lastModified: isoDate(timeOf(dot.counter)),
      ...(expiresAt === 0 ? {} : { expires: isoDate(expiresAt) }),
      meta: Object.fromEntries(content.meta),
    };
    if (i > 0) parts.push(utf8(','));
    parts.push(...jsonWithBase64(sibling, 'value', content.value));
  }
  parts.push(utf8(']}'));
  return Buffer.concat(parts);
}
