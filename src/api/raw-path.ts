/**
 * Reads the request target exactly as it stands on the request line. The usual URL parsers resolve dot segments, turn
 * backslashes around and decode escapes, so that `/v1/kv/b/%2e%2e/%2e%2e/cluster` would reach another route; here such a
 * target is refused before any route is looked for, and what passes is still in its raw form.
 */

import { invalid, type Problem } from './problem.ts';

export interface Target {
  /** Everything before the question mark, raw. */
  readonly path: string;
  /** What stands between the slashes, raw. Only `/` and `/ui/` end with an empty one. */
  readonly segments: readonly string[];
  /** Everything after the question mark, raw; empty when there is none. */
  readonly query: string;
}

const SLASH = 0x2f;
const QUESTION_MARK = 0x3f;
const PERCENT = 0x25;
const HASH = 0x23;
const BACKSLASH = 0x5c;
const SPACE = 0x20;
const DELETE = 0x7f;

/** RFC 9112 section 3.2.2: a request to a proxy names scheme and authority, and a server must take that too. */
const ABSOLUTE_FORM = /^https?:\/\/[^/?#]*/i;
const ENDS_WITH_SLASH: ReadonlySet<string> = new Set(['/', '/ui/']);
/** What stands before a bucket. Where a key comes behind that, there is a second form for keys that cannot stand in a path. */
const WITH_KEY = /^(kv|leases|explain|ring\/(locate|force))(64)?$/;
const WITH_BUCKET: ReadonlySet<string> = new Set(['buckets', 'watch']);
/** The server as a whole, of which only OPTIONS can ask (RFC 9112 section 3.2.4). */
export const WHOLE_SERVER = '*';

export function parseTarget(raw: string): Target | Problem {
  if (raw === WHOLE_SERVER) return { path: raw, segments: [raw], query: '' };
  const target = raw.charCodeAt(0) === SLASH ? raw : raw.replace(ABSOLUTE_FORM, '');
  if (target.charCodeAt(0) !== SLASH) return invalid('path', 'must begin with a slash');
  const segments: string[] = [];
  let start = 1;
  for (let i = 1; ; i++) {
    const code = i < target.length ? target.charCodeAt(i) : QUESTION_MARK;
    if (code === SLASH || code === QUESTION_MARK) {
      const segment = target.slice(start, i);
      segments.push(segment);
      if (isDotSegment(segment)) return notAsKey(segments, `dot segment "${segment}"`);
      if (code === QUESTION_MARK) return whole(target, segments, i);
      start = i + 1;
    } else if (code === PERCENT) {
      const byte = escapedByte(target, i);
      if (byte < 0) return invalid(fieldOf([...segments, '']), `malformed escape ${quoted(target.slice(i, i + 3))}`);
      if (isControl(byte)) {
        return notAsKey([...segments, ''], `control byte ${target.slice(i, i + 3)}`);
      }
      i += 2;
    } else if (!isPlain(code)) {
      return invalid(fieldOf([...segments, '']), `${quoted(target.charAt(i))} must be percent-encoded`);
    }
  }
}

/** What cannot stand in a path; of a key there is another way to say it. */
function notAsKey(segments: readonly string[], what: string): Problem {
  const field = fieldOf(segments);
  if (field !== 'key') return invalid(field, what);
  const family = segments.slice(0, -2).join('/').replace(/64$/, '');
  return invalid(field, `${what}; send it as /${family}64/{bucket}/{base64url of the key}`);
}

/** Pages that people type themselves: a slash at the end makes no difference. */
function pageOf([first, ...rest]: readonly string[]): Omit<Target, 'query'> | undefined {
  if (first === 'ui' && rest.length === 0) return { path: '/ui/', segments: ['ui', ''] };
  return first === 'docs' && rest[0] === '' ? { path: '/docs', segments: ['docs'] } : undefined;
}

function whole(target: string, segments: readonly string[], end: number): Target | Problem {
  const page = segments.length < 3 ? pageOf(segments) : undefined;
  if (page !== undefined) return { ...page, query: target.slice(end + 1) };
  const path = target.slice(0, end);
  const empty = segments.indexOf('');
  if (empty !== -1 && !ENDS_WITH_SLASH.has(path)) {
    return invalid(fieldOf(segments.slice(0, empty + 1)), 'empty path segment');
  }
  return { path, segments, query: target.slice(end + 1) };
}

/** What the last of these segments stands for, in the words of the contract. */
function fieldOf(segments: readonly string[]): string {
  if (segments[0] !== 'v1') return 'path';
  const of = segments[1] === 'ring' ? 3 : 2;
  const family = segments.slice(1, of).join('/');
  const hasKey = WITH_KEY.test(family);
  if (segments.length === of + 1) return hasKey || WITH_BUCKET.has(family) ? 'bucket' : 'path';
  return segments.length === of + 2 && hasKey ? 'key' : 'path';
}

/** `.` and `..`, each dot plain or escaped. */
function isDotSegment(segment: string): boolean {
  if (segment.length > 6) return false;
  const first = segment.charCodeAt(0);
  if (first !== 0x2e && first !== PERCENT) return false;
  const decoded = segment.replaceAll(/%2e/gi, '.');
  return decoded === '.' || decoded === '..';
}

/** The byte of the escape that begins at `at`; -1 when it is none. */
export function escapedByte(text: string, at: number): number {
  const high = hexValue(text.charCodeAt(at + 1));
  const low = hexValue(text.charCodeAt(at + 2));
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/** NaN, the code behind a text's end, is no digit either. */
function hexValue(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

export function isControl(byte: number): boolean {
  return byte < SPACE || byte === DELETE;
}

/**
 * Whether the character may stand in a target as it is. More than the grammar of URIs allows, as browsers send some of
 * the rest; but not what others read as a separator.
 */
export function isPlain(code: number): boolean {
  return code > SPACE && code < DELETE && code !== HASH && code !== BACKSLASH;
}

/** For messages: nothing of a request gets into an answer or a log line unescaped. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
