/**
 * One request and its answer as the routes see them: the same for a socket and for a call within the process. Routes
 * never see a parsed URL, because parsing one normalises it.
 */

import type { Access } from '#access/access.ts';
import type { Admission } from './admission.ts';
import type { ApiServices } from './services.ts';
import type { Problem, ProblemCode } from './problem.ts';
import type { Target } from './raw-path.ts';
import type { Span } from '#world/world.ts';

/** What a client may call its request. */
export const REQUEST_ID_PATTERN = '^[\\x21-\\x7e]{1,128}$';

/** What a transport knows of a request, before it is routed. */
export interface Incoming {
  /** In capitals, such as `HEAD`. */
  readonly method: string;
  readonly target: Target | Problem;
  /** The other end's address, for the audit log. */
  readonly remote: string;
  /** A header field's value; its name in lower case. Repeated fields are joined with commas where that is their meaning. */
  header(name: string): string | undefined;
  /** Each field of that name by itself, also where HTTP allows only one. */
  fields(name: string): readonly string[];
  /** The names of all header fields, in lower case. */
  headerNames(): Iterable<string>;
  /**
   * Reads the whole body, once; what is there already comes at once. Never rejects. `deadline` is an instant of the monotonic clock.
   * What is there of it is taken from `room`: whoever gets the body gives that back.
   */
  readBody(limitBytes: number, deadline: number, room: BodyRoom): Body | Promise<Body>;
  /** Resolves when an answer will reach a client whose body nobody wants. */
  letBodyPass?(deadline: number): Promise<void>;
}

/** The memory for all bodies together. */
export interface BodyRoom {
  /** False when there is not so much left. */
  reserve(bytes: number): boolean;
  release(bytes: number): void;
}

export type Body =
  | { readonly kind: 'body'; readonly bytes: Uint8Array }
  | { readonly kind: 'too-large' }
  /** There was no room for it beside the others. */
  | { readonly kind: 'crowded' }
  /** Did not arrive by the deadline. */
  | { readonly kind: 'late' }
  /** The connection ended or broke first, or the body's framing is malformed. */
  | { readonly kind: 'broken' };

export interface Exchange {
  readonly services: ApiServices;
  readonly admission: Admission;
  readonly incoming: Incoming;
  readonly target: Target;
  /** What the client may do; the route's own right was checked before its handler. */
  readonly access: Access;
  readonly requestId: string;
  /** When the request came in, by the monotonic clock. */
  readonly startedAt: number;
  /** The request's span, when it is traced. */
  readonly trace: Span | undefined;
}

/** A body that is made while it is sent, no faster than the client takes it. */
export interface Streamed {
  /** The next part; undefined when that was all. Not asked again before it has answered. Never rejects. */
  next(): Promise<string | undefined>;
  /** Called once when nothing more is wanted, also in the midst of a part that is being made. */
  ended(): void;
}

/** Header names in lower case. */
export type Headers = Readonly<Record<string, string>>;

export interface Answer {
  readonly status: number;
  /** Made for this answer: the desk that sends it adds its own. */
  readonly headers: Record<string, string>;
  /** Null for none. Left out by the transport when the request was a HEAD. */
  readonly body: string | Uint8Array | Streamed | null;
  /** Of one value: when it was written, by the milliseconds, where its header counts seconds. */
  readonly modifiedAt?: number;
  /** Of a problem document: what kind of problem. */
  readonly problem?: ProblemCode;
  /** Its detail. */
  readonly detail?: string;
}
