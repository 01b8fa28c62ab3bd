/** Reads of owners that have too much to do: others are asked at once; when there are none, they are given some time. */

import { expect, test } from 'vitest';
import { DEFAULT_PROPERTIES } from '#buckets/definition.ts';
import { DEFAULT_COORDINATOR_SETTINGS, type Environment } from '#coordinator/environment.ts';
import { CoordinatorFigures } from '#coordinator/figures.ts';
import { readKey } from '#coordinator/get.ts';
import type { ReadOutcome } from '#coordinator/requests.ts';
import { encodeOutline } from '#causality/outline.ts';
import { encodeState } from '#causality/state-codec.ts';
import { utf8 } from '#kernel/bytes.ts';
import { clusterId, epoch, nodeId, nodeIndex, storageId } from '#kernel/identity.ts';
import type { FetchReply, FetchRequest } from '#replica/messages.ts';
import { foundRing } from '#ring/founding.ts';
import type { CallResult } from '#wire/messaging.ts';
import { digest } from '#world/digest.ts';
import { stateOf } from '../causality/examples.ts';
import { OneMachine } from '../replica/worlds.ts';

const RING = foundRing({
  clusterId: clusterId('0'.repeat(32)),
  founders: ['n1', 'n2', 'n3'].map((id, i) => ({
    id: nodeId(id),
    peer: `${id}:1`,
    url: '',
    zone: 'z',
    weight: 1,
    storageId: storageId(String(i).repeat(32)),
  })),
  partitionCount: 8,
  hashSeed: '0'.repeat(32),
});
const FULL: CallResult<FetchReply> = { kind: 'not-sent', reason: 'overloaded' };
const ANSWER: CallResult<FetchReply> = { kind: 'reply', reply: { state: null } };

interface Played {
  readonly outcome: ReadOutcome;
  /** Who was called, in order. */
  readonly called: readonly string[];
  /** Who is noted as having been asked, in order. */
  readonly tried: readonly string[];
}

/** n1 reads at r=2; what comes of a call depends on who is called and when. */
async function play(
  answer: (peer: string, now: number, request: FetchRequest) => CallResult<FetchReply>,
  here: FetchReply | Promise<FetchReply> = Promise.resolve({ state: null }),
  { gathering, slow }: { readonly gathering?: string; readonly slow?: string } = {},
): Promise<Played> {
  const machine = new OneMachine();
  const { clock, digest, log, metrics, random } = machine.boot();
  const called: string[] = [];
  const tried: string[] = [];
  const start = clock.monotonic();
  const environment = {
    repair: { afterRead: () => undefined },
    world: { clock, digest, log, metrics, random },
    self: nodeId('n1'),
    settings: DEFAULT_COORDINATOR_SETTINGS,
    replica: { now: () => 1, fetch: () => here },
    peers: {
      ...{ isSlow: (peer: string) => peer === slow, isGathering: (peer: string) => peer === gathering },
      ...{ consider: () => 'usable', assess: () => 'usable', usable: () => true, why: () => '' },
      asked: (peer: string) => tried.push(peer),
    },
    hedging: { called: () => undefined, delay: () => 50, mayCall: () => false, pause: 50 },
    figures: new CoordinatorFigures(metrics),
    messaging: {
      call: (to: string, _type: unknown, request: FetchRequest) => {
        called.push(to);
        return Promise.resolve(answer(to, clock.monotonic() - start, request));
      },
    },
    knowledge: { epoch: () => epoch(1), ring: () => RING, self: () => nodeIndex(0) },
    resolveBucket: () => ({ name: 'b', incarnation: 0, version: epoch(0), properties: DEFAULT_PROPERTIES }),
  } as unknown as Environment;
  const outcome = await machine.simulation.settle(
    readKey(environment, {
      requestId: 'r',
      bucket: { name: 'b', incarnation: 0, version: epoch(0), properties: DEFAULT_PROPERTIES },
      key: utf8('k'),
      deadline: start + 5000,
      ...{ r: 2, pr: 0 },
      sloppy: true,
    }),
  );
  return { outcome, called, tried };
}

test('another owner is asked at once when one takes no more', async () => {
  const { outcome, called } = await play((peer) => (peer === 'n2' ? FULL : ANSWER));
  expect(outcome).toMatchObject({ kind: 'found', agreement: { acked: 2 } });
  expect(called.filter((peer) => peer === 'n3')).toEqual(['n3']);
  expect(called.length).toBeLessThanOrEqual(2);
});

test('when all others take no more, the read waits for them', async () => {
  const { outcome } = await play((_peer, now) => (now < 200 ? FULL : ANSWER));
  expect(outcome).toMatchObject({ kind: 'found', agreement: { acked: 2 } });
});

test('but not for ever, and then it tells who and why', async () => {
  const { outcome } = await play(() => FULL);
  expect(outcome).toMatchObject({ kind: 'failed', trouble: 'overloaded' });
  expect(outcome.kind === 'failed' ? outcome.detail : '').toMatch(/n2: overloaded.*n3: overloaded|n3: .*n2: /);
});

test.each(['n2', 'n3'])('of two others the one is asked that is being written to anyway: %s', async (gathering) => {
  const { outcome, called } = await play(() => ANSWER, undefined, { gathering });
  expect(outcome.kind).toBe('found');
  expect(called).toEqual([gathering]);
});

test('but one that is slow only when nobody else is left', async () => {
  const { called } = await play((peer) => (peer === 'n2' ? FULL : ANSWER), undefined, { gathering: 'n3', slow: 'n3' });
  expect(called).toEqual(['n2', 'n3']);
});

test('only an owner that is asked uses up the trial that a broken one is allowed', async () => {
  const { called, tried } = await play(() => ANSWER);
  expect(called).toHaveLength(1);
  expect(tried).toEqual(called);
});

test('owners that there was no time to ask make it late, and not unavailable', async () => {
  const { outcome } = await play(() => ({ kind: 'not-sent', reason: 'expired' }));
  expect(outcome).toMatchObject({ kind: 'failed', trouble: 'quorum-timeout' });
  expect(outcome.kind === 'failed' ? outcome.detail : '').toMatch(/in time.*n2: expired/);
});

test('owners that are cut off are named', async () => {
  const { outcome } = await play(() => ({ kind: 'lost', reason: 'disconnected' }));
  expect(outcome).toMatchObject({ kind: 'failed', trouble: 'quorum-unavailable' });
  expect(outcome.kind === 'failed' ? outcome.detail : '').toMatch(/n2: disconnected/);
});

const DOT = { node: nodeIndex(1), tenure: 1, counter: 5 };
const LARGE = stateOf([DOT], [DOT]);
const OUTLINE: CallResult<FetchReply> = { kind: 'reply', reply: { outline: encodeOutline(LARGE, digest.crc32) } };
const VALUE: CallResult<FetchReply> = { kind: 'reply', reply: { state: encodeState(LARGE, digest.crc32) } };

test('a value that nobody has sent is asked for, of whoever named it', async () => {
  const { outcome, called } = await play((_peer, _now, { valuesUpTo }) => (valuesUpTo === undefined ? VALUE : OUTLINE));
  expect(outcome).toMatchObject({ kind: 'found', versions: [{ dot: DOT }] });
  expect(called.length).toBe(2);
  expect(called[0]).toBe(called[1]);
});

test('when that fails, or its answer knows less, all values are asked for', async () => {
  for (const second of [{ kind: 'lost', reason: 'disconnected' }, ANSWER] as const) {
    let asked = 0;
    const { outcome } = await play((_peer, _now, { valuesUpTo }) => {
      asked += 1;
      if (valuesUpTo !== undefined) return OUTLINE;
      return asked === 2 ? second : VALUE;
    });
    expect(outcome).toMatchObject({ kind: 'found', versions: [{ dot: DOT }] });
  }
});

test('a damaged outline is no answer, and is told', async () => {
  const damaged: CallResult<FetchReply> = { kind: 'reply', reply: { outline: utf8('no outline') } };
  const { outcome } = await play((_peer, _now, { valuesUpTo }) => (valuesUpTo === undefined ? VALUE : damaged));
  expect(outcome).toMatchObject({ kind: 'found', versions: [{ dot: DOT }] });
});

const OWN_DOT = { node: nodeIndex(1), tenure: 1, counter: 4 };
const OWN = ((): FetchReply => {
  const content = { value: new Uint8Array(1000), contentType: '', contentEncoding: '', meta: [] };
  const decoded = { vector: [OWN_DOT], versions: [{ dot: OWN_DOT, content, expiresAt: 0 }] };
  return { state: encodeState(decoded, digest.crc32), decoded };
})();

test('who has what this node has says no more than that, and who has something else sends it', async () => {
  for (const [reply, dot] of [
    [{ isSame: true }, OWN_DOT],
    [VALUE.kind === 'reply' ? VALUE.reply : OWN, DOT],
  ] as const) {
    const asked: FetchRequest[] = [];
    const { outcome } = await play((_peer, _now, request) => {
      asked.push(request);
      return { kind: 'reply', reply };
    }, OWN);
    expect(outcome).toMatchObject({ kind: 'found', agreement: { acked: 2 }, versions: [{ dot }] });
    expect(asked.map(({ unless }) => unless?.head.length)).toEqual([OWN.state!.length - 1000 - 4]);
  }
});

test('what this node will know only later is not compared', async () => {
  const asked: FetchRequest[] = [];
  await play((_peer, _now, request) => {
    asked.push(request);
    return ANSWER;
  }, Promise.resolve(OWN));
  expect(asked.map(({ unless }) => unless)).toEqual([undefined]);
});

const LOST: CallResult<FetchReply> = { kind: 'lost', reason: 'disconnected' };

test.each<[string, FetchReply, (request: FetchRequest) => boolean, CallResult<FetchReply>]>([
  ['has the same, and was not told as what', { isSame: true }, ({ unless }) => unless === undefined, LOST],
  ['knows nothing of a request that nobody asked for', { isNew: true }, () => true, LOST],
  [
    'has more than was wanted, where all was',
    OUTLINE.kind === 'reply' ? OUTLINE.reply : OWN,
    ({ valuesUpTo }) => valuesUpTo === undefined,
    OUTLINE,
  ],
])('who says that he %s gives no answer, and is named', async (_what, reply, isNonsense, otherwise) => {
  const named: string[] = [];
  for (const here of [{ state: null }, OWN, Promise.resolve(OWN)]) {
    const { outcome } = await play((peer, _now, request) => {
      if (!isNonsense(request)) return otherwise;
      named.push(`${peer}: answers what it was not asked`);
      // Nor is it asked again for ever.
      expect(named.length).toBeLessThan(20);
      return { kind: 'reply', reply };
    }, here);
    expect(outcome).toMatchObject({ kind: 'failed', trouble: 'quorum-unavailable' });
    for (const name of named.splice(0)) expect(outcome.kind === 'failed' ? outcome.detail : '').toContain(name);
  }
});
