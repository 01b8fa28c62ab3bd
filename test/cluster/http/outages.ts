/** What is answered when replicas are dead, frozen or cut off, and how nodes stop and start. Comes last: it does harm. */

import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { agreementOf } from './levels.ts';
import { valuesOf } from './multipart.ts';
import { OpenSocket } from './raw.ts';
import { retryAfterDeath } from './retries.ts';
import { typesWithOneDead } from './types.ts';
import { sessionOf } from './sessions.ts';
import {
  call,
  contextOf,
  defineBucket,
  definedBucket,
  del,
  etagOf,
  freshBucket,
  freshKey,
  get,
  jsonOf,
  NAMES,
  problem,
  put,
  site,
  siblingsKey,
  type Answer,
  type Name,
} from './site.ts';

interface View {
  readonly members: readonly { readonly id: string; readonly reachable: boolean }[];
}

/** Waits until `at` sees each of the others as it is. */
async function sees(at: Name, reachable: readonly Name[]): Promise<void> {
  for (;;) {
    const { members } = jsonOf(await get('/v1/cluster', { at })) as unknown as View;
    const seen = members.filter((member) => member.reachable).map(({ id }) => id);
    if (seen.toSorted().join() === reachable.toSorted().join()) return;
    await sleep(20);
  }
}

async function restart(...names: readonly Name[]): Promise<void> {
  for (const name of names) site().startNode(name);
  await site().ready(names);
  for (const at of NAMES) await sees(at, NAMES);
}

/** The target of a new key of a bucket with one replica that lives on this node. */
async function ownedBy(name: Name, bucket: string): Promise<string> {
  for (;;) {
    const target = freshKey(bucket);
    const { primaries } = jsonOf(await get(target.replace('/v1/kv/', '/v1/ring/locate/')));
    if ((primaries as readonly string[])[0] === name) return target;
  }
}

/** Until the others have seen it. */
async function kill(...names: readonly Name[]): Promise<void> {
  await Promise.all(names.map((name) => site().signal(name, 'SIGKILL')));
  const left = NAMES.filter((name) => !names.includes(name));
  for (const at of left) await sees(at, left);
}

/** What an earlier test has left dead or frozen comes back. */
async function allUp(): Promise<void> {
  const dead = NAMES.filter((name) => {
    const { process: child } = site().nodes.get(name)!;
    return child.exitCode !== null || child.signalCode !== null;
  });
  for (const name of NAMES) await site().signal(name, 'SIGCONT');
  await restart(...dead);
}

/** A write that found out in time that it could not be done. */
function notApplied(answer: Answer, needed: number): void {
  const members = problem(answer, 503, 'quorum-unavailable');
  expect(members).toMatchObject({ needed, got: expect.any(Number) as number, outcome: 'not-applied' });
  expect(Number(members['got'])).toBeLessThan(needed);
  expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
}

/** A read that could not be done. */
function unavailable(answer: Answer, needed: number): void {
  const members = problem(answer, 503, 'quorum-unavailable');
  expect(members).toMatchObject({ needed, got: expect.any(Number) as number });
  expect(members['outcome']).toBeUndefined();
  expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
}

/** These share the death of n3, since a start takes its time. */
function oneDeadTests(): void {
  test('a write whose node died before it answered is retried at another one, and is one version', async () => {
    await retryAfterDeath((name) => kill(name));
  });

  test('with one of three dead, everything at quorum goes on', async () => {
    const before = freshKey();
    await put(before, 'before');
    await kill('n3');
    for (const at of ['n1', 'n2'] as const) {
      expect((await get(before, { at })).body.toString()).toBe('before');
      for (const query of [
        '',
        '?consistency=quorum',
        '?consistency=strict_quorum',
        '?sloppy=false',
        '?r=2&pr=2&w=2&pw=2&dw=2',
      ]) {
        const target = freshKey();
        expect((await put(target + query, 'x', { at })).status).toBe(204);
        expect((await get(target + query, { at: 'n2' })).body.toString()).toBe('x');
        expect((await del(target + query, { at })).status).toBe(204);
        problem(await get(target + query, { at: 'n1' }), 404, 'not-found');
      }
    }
    // Where one replica is all there is, a dead node takes it away.
    const health = await get('/healthz');
    expect(health.status).toBe(503);
    expect(jsonOf(health)['ringWithQuorum']).toBeGreaterThan(0);
    expect(jsonOf(health)['ringWithQuorum']).toBeLessThan(1);
  });

  test('what needs all is refused before anything is written, and says so', async () => {
    await kill('n3');
    const target = freshKey();
    const tag = etagOf(await put(target, 'old'));
    for (const query of ['w=all', 'w=3', 'w=3&dw=3', 'w=3&pw=3&sloppy=false', 'consistency=all']) {
      notApplied(await put(`${target}?${query}`, 'new', { at: 'n2' }), 3);
      notApplied(await del(`${target}?${query}`), 3);
      notApplied(await put(`${target}?${query}`, 'new', { headers: { 'if-match': tag } }), 3);
    }
    expect(jsonOf(await put(`${target}?w=all`, 'new'))['detail']).toMatch(/can take the write \(n3: /);
    for (const query of ['r=all', 'r=3', 'r=3&pr=3&sloppy=false', 'consistency=all']) {
      unavailable(await get(`${target}?${query}`), 3);
      expect((await call('HEAD', `${target}?${query}`, { at: 'n2' })).status).toBe(503);
    }
    // A write that begins with a read which cannot be done has done nothing either.
    notApplied(await put(`${target}?r=all`, 'new', { headers: { 'if-match': tag } }), 3);
    notApplied(await del(`${target}?r=all`), 3);
    const read = await get(target);
    expect([read.body.toString(), etagOf(read)]).toEqual(['old', tag]);
  });

  test('where owners are dead, others stand in, unless the request or the bucket says no', async () => {
    await allUp();
    const lone = await definedBucket({ n: 1 });
    const before = await ownedBy('n3', lone);
    const target = await ownedBy('n3', lone);
    expect((await put(before, 'before')).status).toBe(204);
    await kill('n3');
    for (const query of ['sloppy=false', 'pw=1', 'consistency=strict_quorum', 'consistency=all'])
      notApplied(await put(`${target}?${query}`, 'no'), 1);
    const written = await put(target, 'held for n3', { at: 'n2' });
    expect([written.status, agreementOf(written)]).toEqual([204, { acked: 1, needed: 1, of: 1, fallbacks: 1 }]);
    const read = await get(target);
    expect([read.status, read.body.toString(), agreementOf(read).fallbacks]).toEqual([200, 'held for n3', 1]);
    for (const query of ['sloppy=false', 'pr=1', 'consistency=all']) unavailable(await get(`${target}?${query}`), 1);
    // Who only stands in does not know what the owner had: that it has nothing is no answer.
    const unknown = await get(before);
    unavailable(unknown, 1);
    expect(jsonOf(unknown)['detail']).toMatch(/: keeps nothing of the key[,)]/);
  });

  test('what only all can vouch for waits for the dead one: whether there are keys that a definition would move', async () => {
    await kill('n3');
    const answer = problem(await defineBucket(freshBucket(), { n: 1 }), 503, 'quorum-unavailable');
    expect(answer['detail']).toContain('no answer from n3');
    expect(answer['detail']).toContain('quoral ring plan --leave n3');
    expect(answer).toMatchObject({ outcome: 'not-applied', needed: 3, got: 2 });
  });

  test('a definition is confirmed without the dead one, which knows it before it serves', async () => {
    await kill('n3');
    const bucket = freshBucket();
    expect((await defineBucket(bucket, { conflicts: 'siblings' })).status).toBe(200);
    await put(`/v1/kv/${bucket}/k`, 'a');
    site().startNode('n3');
    await site().ready(['n3']);
    const shown = await get(`/v1/buckets/${bucket}`, { at: 'n3' });
    expect(jsonOf(shown)).toMatchObject({ conflicts: 'siblings' });
    expect((await put(`/v1/kv/${bucket}/k`, 'b', { at: 'n3' })).status).toBe(204);
    expect(valuesOf(await get(`/v1/kv/${bucket}/k`))).toEqual(['a', 'b']);
  });

  test('data types go on with one of three dead, and it has all of it when it is back', async () => {
    await allUp();
    await typesWithOneDead(kill, restart);
  });
}

function manyDeadTests(): void {
  test('with two of three dead, nothing is served at quorum, and what asks for one replica is', async () => {
    const [target, other] = [freshKey(), await siblingsKey()];
    await put(`${target}?w=all`, 'old');
    await put(`${other}?w=all`, 'old');
    const strong = freshKey(await definedBucket({ consistency: 'strong' }));
    await put(strong, 'strong');
    await kill('n2', 'n3');
    unavailable(await get(strong), 2);
    notApplied(await put(strong, 'weak'), 2);
    notApplied(await del(strong), 2);
    unavailable(await get(target), 2);
    notApplied(await put(target, 'new'), 2);
    notApplied(await del(target), 2);
    const body = {
      body: JSON.stringify({ name: 'shop', scopes: [] }),
      headers: { 'content-type': 'application/json' },
    };
    for (const decided of [
      await defineBucket(freshBucket(), { ttl: 1 }),
      await del(`/v1/buckets/${other.split('/')[3]}`),
      await call('POST', '/v1/tokens', body),
      await del('/v1/tokens/shop'),
    ])
      notApplied(decided, 2);
    const definition = problem(await defineBucket(freshBucket(), { n: 1 }), 503, 'quorum-unavailable');
    expect(definition['outcome']).toMatch(/^(not-applied|unknown)$/);
    const read = await get(`${target}?consistency=one`);
    expect([read.status, read.body.toString()]).toEqual([200, 'old']);
    const written = await put(`${other}?consistency=one&session=new`, 'alone');
    expect([written.status, agreementOf(written)]).toEqual([204, { acked: 1, needed: 1, of: 3, fallbacks: 0 }]);
    expect((await get('/healthz')).status).toBe(503);
    expect((await get('/livez')).status).toBe(200);

    // Without the node that took it, a session that wrote it reads nothing rather than less.
    await site().signal('n1', 'SIGKILL');
    for (const name of ['n2', 'n3']) site().startNode(name);
    await site().ready(['n2', 'n3']);
    const headers = { 'quoral-session': sessionOf(written) };
    const unmet = await get(`${other}?r=1&timeout=300`, { at: 'n2', headers });
    expect(problem(unmet, 504, 'session-not-met')).toMatchObject({ needed: 1, got: expect.any(Number) as number });
    expect((await get(other, { at: 'n3' })).body.toString()).toBe('old');
    await restart('n1');
    expect((await get(strong, { at: 'n2' })).body.toString()).toBe('strong');
    expect(valuesOf(await get(`${other}?r=1`, { at: 'n2', headers }))).toEqual(['alone', 'old']);
    expect((await get(target, { at: 'n3' })).body.toString()).toBe('old');
  });

  test('a whole cluster that was killed has everything that it confirmed', async () => {
    const targets = Array.from({ length: 20 }, () => freshKey());
    await Promise.all(targets.map((target, i) => put(target, target, { at: NAMES[i % 3] })));
    await Promise.all(NAMES.map((name) => site().signal(name, 'SIGKILL')));
    await restart(...NAMES);
    for (const [index, target] of targets.entries())
      expect((await get(target, { at: NAMES[(index + 1) % 3] })).body.toString()).toBe(target);
  });
}

/** Attempts before it is taken to be no matter of the machine's speed. */
const TRIES = 6;

/**
 * Does something while these are frozen, before the others know of it; where that came too late, because the machine is busy, it
 * says so and is done again. In the last attempt nothing is too late.
 */
async function whileFrozen(
  names: readonly Name[],
  act: (last: boolean) => Promise<'too late' | 'done'>,
): Promise<void> {
  for (let tries = 1; ; tries++) {
    await Promise.all(names.map((name) => site().signal(name, 'SIGSTOP')));
    let did;
    try {
      did = await act(tries === TRIES);
    } finally {
      await Promise.all(names.map((name) => site().signal(name, 'SIGCONT')));
    }
    for (const at of NAMES) await sees(at, NAMES);
    if (did === 'done') return;
  }
}

function frozenTests(): void {
  test('with one of three frozen, what needs all is late, and what became of a write is not known', async () => {
    const target = freshKey();
    await whileFrozen(['n3'], async (last) => {
      const late = await put(`${target}?w=all&timeout=250`, 'late');
      const read = await get(`${target}?r=all&timeout=250`, { at: 'n2' });
      const condition = await put(`${target}?r=all&timeout=250`, 'x', { headers: { 'if-none-match': '*' } });
      const inTime = [late, read].every((answer) => answer.status === 504 && jsonOf(answer)['got'] === 2);
      if (!last && !(inTime && condition.status === 504)) return 'too late';
      expect(problem(late, 504, 'quorum-timeout')).toMatchObject({ needed: 3, got: 2, outcome: 'unknown' });
      const members = problem(read, 504, 'quorum-timeout');
      expect(members).toMatchObject({ needed: 3, got: 2 });
      expect(members['outcome']).toBeUndefined();
      expect(problem(condition, 504, 'quorum-timeout')['outcome']).toBe('not-applied');
      // It was not known, and it did win.
      expect((await get(target, { at: 'n2' })).body.toString()).toBe('late');
      for (const at of ['n1', 'n2'] as const) {
        expect((await put(target, at, { at })).status).toBe(204);
        expect((await get(target, { at })).body.toString()).toBe(at);
      }
      return 'done';
    });
    expect((await get(`${target}?r=all`, { at: 'n3' })).body.toString()).toBe('n2');
  });

  test('with two of three frozen, a write is unknown, and stays one version whatever comes of it', async () => {
    const target = await siblingsKey();
    await put(`${target}?w=all`, 'old');
    const context = contextOf(await get(target));
    await whileFrozen(['n2', 'n3'], async (last) => {
      const late = await put(`${target}?timeout=250`, 'new', { headers: { 'quoral-context': context } });
      if (!last && late.status === 503) {
        notApplied(late, 2);
        return 'too late';
      }
      expect(problem(late, 504, 'quorum-timeout')).toMatchObject({ needed: 2, got: 1, outcome: 'unknown' });
      return 'done';
    });
    // The replica that coordinated it has it, so a reading of all finds it, and from then on everybody does.
    for (const at of NAMES) {
      const read = await get(`${target}?r=all`, { at });
      expect([read.status, read.body.toString()]).toEqual([200, 'new']);
    }
  });
}

function stopTests(): void {
  let kept: string;

  test('SIGTERM finishes what is under way, takes nothing new, and ends with 0', async () => {
    kept = await definedBucket({ conflicts: 'siblings', r: 'all' });
    await put(`/v1/kv/${kept}/k`, 'kept');
    const target = freshKey();
    const socket = new OpenSocket('n2');
    socket.send(`PUT ${target} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 8\r\n\r\n`);
    await socket.until(/100 Continue/);
    socket.send('half');
    const ended = site().signal('n2', 'SIGTERM');
    for (;;) {
      const refused = await get('/livez', { at: 'n2' }).then(
        () => false,
        () => true,
      );
      if (refused) break;
      await sleep(10);
    }
    socket.send('half');
    await socket.until(/HTTP\/1\.1 204 [^]*\r\n\r\n/);
    expect(await ended).toBe(0);
    expect((await get(target, { at: 'n3' })).body.toString()).toBe('halfhalf');
    for (const name of ['n1', 'n3'] as const) expect(await site().signal(name, 'SIGTERM'), name).toBe(0);
  });

  test('one of three started alone serves no data, whatever is asked of it', async () => {
    site().startNode('n2');
    while (
      !(await get('/livez', { at: 'n2' }).then(
        ({ status }) => status === 200,
        () => false,
      ))
    )
      await sleep(20);
    const target = freshKey();
    for (const answer of [
      await get(`${target}?r=1`, { at: 'n2' }),
      await get(`${target}?consistency=one`, { at: 'n2' }),
      await put(`${target}?w=1&dw=0`, 'x', { at: 'n2' }),
      await del(`${target}?w=1`, { at: 'n2' }),
      await get('/v1/kv64/b/aw', { at: 'n2' }),
      await get('/v1/buckets', { at: 'n2' }),
      await get('/v1/buckets/b', { at: 'n2' }),
      await defineBucket('b', {}, 'n2'),
    ]) {
      problem(answer, 503, 'not-ready');
      expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
    }
    const ready = await get('/readyz', { at: 'n2' });
    expect([ready.status, jsonOf(ready)['status']]).toEqual([503, 'failing']);
    expect((await get('/healthz', { at: 'n2' })).status).toBe(503);
    // A mistake in a request is a mistake in any state of the node.
    problem(await get('/v1/nothing', { at: 'n2' }), 404, 'not-found');
    problem(await call('PATCH', target, { at: 'n2' }), 405, 'method-not-allowed');
  });

  test('with a second one it serves, and with the third everything is as it was', async () => {
    await restartAll();
    for (const at of NAMES) {
      expect(jsonOf(await get(`/v1/buckets/${kept}`, { at }))).toMatchObject({ conflicts: 'siblings', r: 'all' });
      expect((await get(`/v1/kv/${kept}/k`, { at })).body.toString()).toBe('kept');
    }
  });
}

async function restartAll(): Promise<void> {
  site().startNode('n1');
  await site().ready(['n1', 'n2']);
  const target = freshKey();
  expect((await put(target, 'x', { at: 'n2' })).status).toBe(204);
  await restart('n3');
}

export function outageTests(): void {
  describe('one dead node', () => {
    beforeAll(async () => {
      await definedBucket({ n: 1 });
    });
    oneDeadTests();
  });
  describe('dead nodes', () => {
    beforeEach(allUp);
    manyDeadTests();
  });
  describe('frozen nodes', () => {
    beforeEach(allUp);
    frozenTests();
  });
  describe('stop and start', () => {
    stopTests();
  });
}
