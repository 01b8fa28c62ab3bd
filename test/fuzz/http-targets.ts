/**
 * The client door in front of a node that remembers what it was asked to do: whatever is sent, only what was asked is
 * done, and what was done is confirmed.
 */

import fc from 'fast-check';
import { createApp } from '#api/app.ts';
import { inProcess } from '#api/in-process.ts';
import { startServer } from '#api/server.ts';
import { toHex } from '#kernel/bytes.ts';
import { bytesBack, parseAnswers, type RawAnswer } from '../raw-http.ts';
import { StubNode } from '../unit/api/stub-services.ts';
import { heapBytesAfterCollection } from './heap.ts';
import {
  ambiguous,
  anyBody,
  anyFields,
  anyTarget,
  boldRequest,
  chunked,
  cuts,
  damage,
  damaged,
  garbage,
  serialized,
  validRequest,
  type ValidRequest,
} from './http-cases.ts';
import { admitsWrite, broken, checkAll, checkAnswer, leadsSomewhere, reachOf } from './promises.ts';
import type { OpenTarget, Target } from './target.ts';

/** How long a door may keep a client that has said everything waiting. */
const SILENCE_MAX_MS = 20_000;

function freshNode(): StubNode {
  const node = new StubNode();
  node.properties.set('siblings', { conflicts: 'siblings' });
  return node;
}

function forget(node: StubNode): void {
  node.states.clear();
  node.retries.clear();
  node.reads.length = 0;
  node.writes.length = 0;
  node.minted = 0;
}

/** What may be logged of any request. */
const HARMLESS = ['audit', 'request-slow'];

/** Faults of the program have come to the log. */
function checkLog(node: StubNode): void {
  const faults = node.logged.filter(({ event }) => !HARMLESS.includes(event));
  if (faults.length > 0) broken('nothing of a client makes the log', faults[0]);
}

function touched(node: StubNode): readonly string[] {
  return [...node.reads, ...node.writes].map(({ bucket, key }) => `${bucket.name}/${toHex(key)}`);
}

/** Undamaged, a body is never taken for a request. */
function noneHidden(node: StubNode): void {
  const keys = touched(node);
  if (keys.some((key) => key.startsWith('hidden/'))) broken('a body is no request', keys);
}

const METHODS = ['GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'PATCH', 'OPTIONS'] as const;

/** Without a socket: any method, target, fields and body. */
const withinProcess: Target = {
  name: 'http-in-process',
  about: 'generated requests, as the routes see them: no route but the one that the target names',
  async open() {
    const node = freshNode();
    const send = inProcess(createApp(node.services()));
    const generated = fc.record({
      method: fc.constantFrom(...METHODS),
      target: anyTarget,
      fields: anyFields,
      body: anyBody,
    });
    return opened(node, generated, async ({ method, target, fields, body }) => {
      const answer = await send(method, target, fields, Buffer.from(body, 'latin1'));
      const headers = Object.fromEntries(answer.headers);
      checkAnswer({ status: answer.status, headers, body: answer.body }, method);
      if (!answer.headers.has('x-request-id')) broken('every answer has an id', answer.status);
      const reach = reachOf(target);
      const allowed = reach === undefined ? undefined : `${reach.bucket}/${reach.key}`;
      for (const key of touched(node)) if (key !== allowed) broken('only the key that was named', { target, key });
      if (answer.status < 400 && !leadsSomewhere(target))
        broken('nowhere leads nowhere', { target, status: answer.status });
      if (node.writes.length > 0 && (method === 'GET' || method === 'HEAD')) broken('reading writes nothing', target);
      if (node.minted > 0 && !admitsWrite({ ...answer, headers })) broken('no write behind a refusal', answer.status);
    });
  },
};

/** Over sockets: whole requests, cut anywhere, are answered like the same bytes in one piece. */
const whole: Target = {
  name: 'http-whole',
  about: 'pipelined requests cut into pieces: an answer each, in order, the same as in one piece',
  open: () =>
    overSocket(
      fc.record({ requests: fc.array(validRequest, { minLength: 1, maxLength: 5 }), sizes: cuts }),
      async ({ requests, sizes }, send, node) => {
        const bytes = requests.map(serialized).join('');
        const methods = requests.map(({ method }) => method);
        const answers = parseAnswers(await send(chunked(bytes, sizes)), methods);
        const again = parseAnswers(await send([bytes]), methods);
        const statuses = answers.map(({ status }) => status);
        noneHidden(node);
        if (statuses.length !== requests.length) broken('an answer to each request', statuses);
        if (statuses.join() !== again.map(({ status }) => status).join()) broken('pieces do not matter', statuses);
        return answers;
      },
    ),
};

/** Over sockets: requests that are refused with their bodies unread, and requests whose end is in doubt. */
const hidden: Target = {
  name: 'http-hidden',
  about: 'requests hidden in bodies, behind refusals and ambiguous lengths: never executed',
  open: () =>
    overSocket(
      fc.record({
        before: fc.array(validRequest, { maxLength: 2 }),
        last: fc.oneof(ambiguous, boldRequest.map(serialized)),
        sizes: cuts,
      }),
      async ({ before, last, sizes }, send, node) => {
        const bytes = before.map(serialized).join('') + last;
        const received = await send(chunked(bytes, sizes));
        noneHidden(node);
        return parseAnswers(received, [...before.map(({ method }) => method), methodOf(last)]);
      },
    ),
};

function methodOf(request: string): string {
  return request.slice(0, request.indexOf(' '));
}

/** Over sockets: requests damaged anywhere, and noise. */
const damages: Target = {
  name: 'http-damaged',
  about: 'requests flipped, cut, doubled and stuffed with nasty bytes, and plain noise',
  open: () =>
    overSocket(
      fc.record({
        bytes: fc.oneof(
          {
            weight: 4,
            arbitrary: fc
              .tuple(
                fc.array(withoutHead(), { minLength: 1, maxLength: 3 }),
                fc.array(damage, { minLength: 1, maxLength: 3 }),
              )
              .map(([requests, all]) => damaged(requests.map(serialized).join(''), all)),
          },
          { weight: 1, arbitrary: garbage },
        ),
        sizes: cuts,
      }),
      async ({ bytes, sizes }, send) => {
        // A damaged method may be a HEAD, whose answer has no body; which one it is cannot be known here.
        const received = await send(chunked(bytes, sizes));
        return /HEAD/.test(bytes) ? [] : parseAnswers(received);
      },
    ),
};

/** Damage must not be what makes a HEAD, or bodies would be looked for where there are none. */
function withoutHead(): fc.Arbitrary<ValidRequest> {
  return fc.oneof(validRequest, boldRequest).filter((request) => !serialized(request).includes('HEAD'));
}

type Send = (chunks: readonly string[]) => Promise<Buffer>;

/** A door on a real socket; `exchange` sends a case and gives the answers to the last thing that it sent. */
async function overSocket<Case>(
  generated: fc.Arbitrary<Case>,
  exchange: (one: Case, send: Send, node: StubNode) => Promise<readonly RawAnswer[]>,
): Promise<OpenTarget> {
  const node = freshNode();
  const services = node.services();
  const server = await startServer(createApp(services), services, { host: '127.0.0.1', port: 0 });
  const send: Send = (chunks) => {
    forget(node);
    return bytesBack(server.port, chunks, { limitMs: SILENCE_MAX_MS, end: true });
  };
  const target = opened(node, generated, async (one) => {
    const answers = await exchange(one, send, node);
    checkAll(answers);
    const confirmed = answers.filter(admitsWrite).length;
    if (answers.length > 0 && node.minted > confirmed)
      broken(
        'no write without its answer',
        answers.map(({ status }) => status),
      );
  });
  return {
    ...target,
    wellness: async () => {
      await target.wellness();
      const [alive] = parseAnswers(await send(['GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n']));
      if (alive?.status !== 200) broken('the door is open', alive?.status);
    },
    close: () => server.close(0),
  };
}

function opened<Case>(node: StubNode, generated: fc.Arbitrary<Case>, check: (one: Case) => Promise<void>): OpenTarget {
  const property = fc.asyncProperty(generated, async (one) => {
    forget(node);
    await check(one);
    checkLog(node);
  });
  return {
    property,
    wellness: async () => checkLog(node),
    heapBytes: async () => heapBytesAfterCollection(),
    close: async () => undefined,
  };
}

export const HTTP_TARGETS: readonly Target[] = [withinProcess, whole, hidden, damages];
