/**
 * `npm run bench:kinds`: what a request of each kind costs three nodes, over the barest PUT or GET. All kinds in turns at one cluster,
 * 48 connections in a closed loop, values of 1 KiB, 2,000 keys of each kind. What is in the client's way of asking and nobody has
 * measured is found here: a PUT with an idempotency key cost twice a bare one, a GET in a long session three times.
 *
 *     --rounds 5  --seconds 2  --only get,get-session-60  --base-port 17801
 */

import { randomBytes, randomUUID } from 'node:crypto';
import { flagsFrom, namesIn } from '../flags.ts';
import { HttpConnection, type HttpAnswer } from './http-connection.ts';
import { Nodes } from './nodes.ts';
import { cpuMicros } from './run-generator.ts';
import { commit, machine } from './surroundings.ts';

const { values: flags } = flagsFrom(
  {
    options: {
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '2' },
      only: { type: 'string' },
      'base-port': { type: 'string', default: '17801' },
    },
  },
  ['rounds', 'seconds', 'base-port'],
);

const CONNECTIONS = 48;
const KEYS = 2000;
const BYTES = 1024;
/** Keys of which one connection's session knows. */
const SESSION_KEYS = 60;

/** One connection, with what it remembers from answer to answer. */
class Caller {
  readonly connection: HttpConnection;
  readonly number: number;
  readonly contexts = new Map<string, string>();
  session = 'new';
  #next = 0;

  constructor(connection: HttpConnection, number: number) {
    this.connection = connection;
    this.number = number;
  }

  /** A key of its own, one of so many. */
  own(of: number): string {
    return `${this.number}-${this.#next++ % of}`;
  }
}

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers?: string;
  readonly body?: Uint8Array;
  readonly after?: (answer: HttpAnswer) => void;
}

interface Kind {
  readonly over: 'put' | 'get';
  readonly ask: (caller: Caller) => Asked;
}

const noise = randomBytes(BYTES);
function value(): Buffer {
  const bytes = Buffer.from(noise);
  bytes.writeDoubleLE(Math.random(), 0);
  return bytes;
}

const OCTETS = 'Content-Type: application/octet-stream\r\n';
const JSON_TYPE = 'Content-Type: application/json\r\n';
const BROWSER = [
  'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36',
  ...[
    'Accept: */*',
    'Accept-Language: en-US,en;q=0.9',
    'Accept-Encoding: gzip, deflate, br',
    'Cache-Control: no-cache',
    '',
  ],
].join('\r\n');

const any = (prefix = 'k'): string => `${prefix}-${Math.floor(Math.random() * KEYS)}`;
const put = (path: string, headers = ''): Asked => ({ method: 'PUT', path, headers: OCTETS + headers, body: value() });
const get = (path: string, headers = ''): Asked => ({ method: 'GET', path, headers });
const operate = (path: string, operation: object): Asked => ({
  ...{ method: 'POST', path, headers: JSON_TYPE },
  body: Buffer.from(JSON.stringify(operation)),
});
const field = ({ head }: HttpAnswer, name: string): string | undefined =>
  new RegExp(`^${name}: (.*)$`, 'im').exec(head)?.[1];
const kv64 = (): string => `/v1/kv64/bench/${Buffer.from(any()).toString('base64url')}`;

function inSession(caller: Caller, asked: Asked): Asked {
  const after = (answer: HttpAnswer): void => void (caller.session = field(answer, 'quoral-session') ?? caller.session);
  return { ...asked, headers: `${asked.headers ?? ''}Quoral-Session: ${caller.session}\r\n`, after };
}

/** On top of the version that this connection wrote last. */
function onTop(caller: Caller): Asked {
  const path = `/v1/kv/siblings/${caller.own(40)}`;
  const context = caller.contexts.get(path);
  const after = (answer: HttpAnswer): void => void caller.contexts.set(path, field(answer, 'quoral-context') ?? '');
  return { ...put(`${path}?return=body`, context === undefined ? '' : `Quoral-Context: ${context}\r\n`), after };
}

const KINDS: Readonly<Record<string, Kind>> = {
  put: { over: 'put', ask: () => put(`/v1/kv/bench/${any()}`) },
  'put-new-key': { over: 'put', ask: () => put(`/v1/kv/bench/${randomUUID()}`) },
  'put-idempotency-key': {
    over: 'put',
    ask: () => put(`/v1/kv/bench/${any()}`, `Idempotency-Key: ${randomUUID()}\r\n`),
  },
  'put-meta-ttl': {
    over: 'put',
    ask: () => put(`/v1/kv/bench/${any('m')}?ttl=3600`, 'Quoral-Meta-A: one\r\nQuoral-Meta-B: two\r\n'),
  },
  'put-key-in-base64': { over: 'put', ask: () => put(kv64()) },
  'put-return-body': { over: 'put', ask: () => put(`/v1/kv/bench/${any()}?return=body`) },
  'put-context': { over: 'put', ask: onTop },
  'put-if-none-match': { over: 'put', ask: () => put(`/v1/kv/bench/${randomUUID()}`, 'If-None-Match: *\r\n') },
  'put-session': { over: 'put', ask: (caller) => inSession(caller, put(`/v1/kv/bench/${caller.own(1)}`)) },
  'put-session-60': {
    over: 'put',
    ask: (caller) => inSession(caller, put(`/v1/kv/bench/${caller.own(SESSION_KEYS)}`)),
  },
  'put-durable-3': { over: 'put', ask: () => put(`/v1/kv/bench/${any()}?w=3&dw=3`) },
  delete: { over: 'put', ask: () => ({ method: 'DELETE', path: `/v1/kv/bench/${any('d')}` }) },
  'counter-increment': { over: 'put', ask: () => operate(`/v1/kv/counters/${any()}`, { op: 'increment', by: 1 }) },
  'set-add': {
    over: 'put',
    ask: () => operate(`/v1/kv/sets/${any()}`, { op: 'add', values: [any('x').slice(0, 4)] }),
  },
  'strong-put': { over: 'put', ask: () => put(`/v1/kv/strong/${any()}`) },
  get: { over: 'get', ask: () => get(`/v1/kv/bench/${any()}`) },
  'get-r1': { over: 'get', ask: () => get(`/v1/kv/bench/${any()}?r=1`) },
  'get-r3': { over: 'get', ask: () => get(`/v1/kv/bench/${any()}?r=3`) },
  'get-browser': { over: 'get', ask: () => get(`/v1/kv/bench/${any()}`, BROWSER) },
  'get-meta-ttl': { over: 'get', ask: () => get(`/v1/kv/bench/${any('m')}`) },
  'get-key-in-base64': { over: 'get', ask: () => get(kv64()) },
  'get-siblings': { over: 'get', ask: (caller) => get(`/v1/kv/siblings/${caller.own(40)}`) },
  'get-if-none-match': {
    over: 'get',
    ask: () => get(`/v1/kv/bench/${any()}`, 'If-None-Match: "0123456789abcdef"\r\n'),
  },
  'get-nothing': { over: 'get', ask: () => get(`/v1/kv/bench/${any('none')}`) },
  'get-session': { over: 'get', ask: (caller) => inSession(caller, get(`/v1/kv/bench/${caller.own(1)}`)) },
  'get-session-60': {
    over: 'get',
    ask: (caller) => inSession(caller, get(`/v1/kv/bench/${caller.own(SESSION_KEYS)}`)),
  },
  'counter-get': { over: 'get', ask: () => get(`/v1/kv/counters/${any()}`) },
  'set-get': { over: 'get', ask: () => get(`/v1/kv/sets/${any()}`) },
  'strong-get': { over: 'get', ask: () => get(`/v1/kv/strong/${any()}`) },
};

const BUCKETS = {
  siblings: { conflicts: 'siblings' },
  counters: { type: 'counter' },
  sets: { type: 'set' },
  strong: { consistency: 'strong' },
};

interface Turn {
  readonly micros: number;
  readonly perSecond: number;
  readonly statuses: ReadonlyMap<number, number>;
}

async function turn(nodes: Nodes, { ask }: Kind, milliseconds: number): Promise<Turn> {
  const urls = Object.values(nodes.urls);
  const callers = Array.from(
    { length: CONNECTIONS },
    (_, i) => new Caller(new HttpConnection(urls[i % urls.length]!), i),
  );
  const statuses = new Map<number, number>();
  const [before, began] = [cpuMicros(nodes.pids), performance.now()];
  let count = 0;
  const work = async (caller: Caller): Promise<void> => {
    while (performance.now() < began + milliseconds) {
      const { method, path, headers = '', body, after } = ask(caller);
      const answer = await caller.connection.request(method, path, headers, body);
      after?.(answer);
      statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
      count += 1;
    }
    caller.connection.close();
  };
  await Promise.all(callers.map(work));
  const perSecond = (count / (performance.now() - began)) * 1000;
  return { micros: (cpuMicros(nodes.pids) - before) / count, perSecond, statuses };
}

async function prepare(nodes: Nodes): Promise<void> {
  const [url] = Object.values(nodes.urls);
  for (const [bucket, properties] of Object.entries(BUCKETS)) {
    const request = {
      method: 'PUT',
      body: JSON.stringify(properties),
      headers: { 'content-type': 'application/json' },
    };
    const { ok, status } = await fetch(`${url}/v1/buckets/${bucket}`, request);
    if (!ok) throw new Error(`bucket ${bucket}: ${status}`);
  }
  const connection = new HttpConnection(url!);
  for (let i = 0; i < KEYS; i++) {
    for (const bucket of ['bench', 'strong'])
      await connection.request('PUT', `/v1/kv/${bucket}/k-${i}`, OCTETS, value());
  }
  for (let caller = 0; caller < CONNECTIONS; caller++) {
    for (let i = 0; i < SESSION_KEYS; i++)
      await connection.request('PUT', `/v1/kv/bench/${caller}-${i}`, OCTETS, value());
  }
  connection.close();
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

function print(turns: ReadonlyMap<string, readonly Turn[]>): void {
  console.log(`${machine()}, ${commit()}`);
  console.log('| kind | ops/s | CPU µs | over the barest | statuses |');
  console.log('| ---- | ----: | -----: | --------------: | -------- |');
  for (const [name, own] of turns) {
    const bare = turns.get(KINDS[name]!.over)!;
    // Round by round, for the machine drifts.
    const ratio = median(own.map(({ micros }, round) => micros / bare[round]!.micros));
    const statuses = new Set(own.flatMap((one) => [...one.statuses.keys()]));
    const figures = [median(own.map(({ perSecond }) => perSecond)), median(own.map(({ micros }) => micros))];
    console.log(
      `| ${name} | ${figures.map((figure) => figure.toFixed(0)).join(' | ')} | ${ratio.toFixed(2)} | ${[...statuses].join(' ')} |`,
    );
  }
}

async function main(): Promise<void> {
  const only = flags.only === undefined ? undefined : namesIn('only', flags.only, Object.keys(KINDS));
  const names = Object.keys(KINDS).filter(
    (name) => only === undefined || only.includes(name) || name === 'put' || name === 'get',
  );
  const nodes = new Nodes(3, Number(flags['base-port']), ['--log-level', 'warn']);
  try {
    await nodes.startAll();
    await prepare(nodes);
    const turns = new Map<string, Turn[]>(names.map((name) => [name, []]));
    // The first round warms up.
    for (let round = -1; round < Number(flags.rounds); round++) {
      for (const name of round % 2 === 0 ? names : names.toReversed()) {
        const one = await turn(nodes, KINDS[name]!, Number(flags.seconds) * 1000);
        if (round >= 0) turns.get(name)!.push(one);
      }
    }
    print(turns);
  } finally {
    await nodes.stop();
  }
}

await main();
