/** What watchers, dashboards and people ask a node. */

import { expect, test } from 'vitest';
import { call, get, jsonOf, NAMES, problem, site } from './site.ts';

interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
}

export function healthTests(): void {
  test.each(['/livez', '/readyz', '/healthz'])('%s is 200 with a line for each named check', async (path) => {
    for (const at of NAMES) {
      const answer = await get(path, { at });
      expect(answer.status).toBe(200);
      const { checks } = jsonOf(answer) as unknown as { checks: readonly Check[] };
      expect(checks.length).toBeGreaterThan(0);
      for (const check of checks) expect(check).toMatchObject({ name: expect.stringMatching(/./) as string, ok: true });
      const lines = answer.body.toString().split('\n');
      for (const { name } of checks) expect(lines.filter((line) => line.includes(`"name":"${name}"`))).toHaveLength(1);
      expect((await call('HEAD', path, { at })).status).toBe(200);
      problem(await get(`${path}?verbose`, { at }), 400, 'invalid-request');
    }
  });

  test('/healthz says what share of the ring has a quorum', async () => {
    expect(jsonOf(await get('/healthz'))).toMatchObject({ ringWithQuorum: 1 });
  });

  test('/metrics is Prometheus text: every line of a figure has its name, and each name its help and type', async () => {
    await get('/v1/kv/metrics/k');
    const answer = await get('/metrics');
    expect(answer.headers['content-type']).toMatch(/^text\/plain; *version=/);
    const lines = answer.body.toString().split('\n');
    expect(lines.at(-1)).toBe('');
    const known = new Set<string>();
    for (const line of lines.slice(0, -1).filter((text) => text !== '')) {
      const comment = /^# (HELP|TYPE) ([a-zA-Z_:][\w:]*) \S/.exec(line);
      if (comment !== null) known.add(comment[2]!);
      const figure = /^([a-zA-Z_:][\w:]*)(\{[^}]*\})? -?(\d|NaN|\+Inf|Inf)/.exec(line);
      expect(comment ?? figure, line).not.toBeNull();
      if (figure !== null) expect(known, line).toContain(figure[1]!.replace(/_(bucket|sum|count)$/, ''));
    }
    expect([...known].some((name) => name.startsWith('quoral_'))).toBe(true);
  });

  test('/v1/cluster knows all members, at every node', async () => {
    for (const at of NAMES) {
      const view = jsonOf(await get('/v1/cluster', { at })) as unknown as {
        self: string;
        epoch: number;
        clusterId: string;
        members: readonly Record<string, unknown>[];
      };
      expect(view).toMatchObject({ self: at, transfers: [], hintsWaiting: 0 });
      expect(view.epoch).toBeGreaterThan(0);
      expect(view.members.map(({ id }) => id)).toEqual(['n1', 'n2', 'n3']);
      for (const member of view.members) {
        const id = String(member['id']);
        expect(member).toMatchObject({ url: site().url(id), peer: site().peer(id), state: 'active', reachable: true });
      }
    }
  });

  test('/v1/ring has a tag, and says nothing again to who has it', async () => {
    const answer = await get('/v1/ring');
    const etag = answer.headers['etag']!;
    expect((await get('/v1/ring', { headers: { 'if-none-match': etag } })).status).toBe(304);
    expect((await get('/v1/ring', { headers: { 'if-none-match': '"0"' } })).status).toBe(200);
    const ring = jsonOf(answer);
    expect(ring['members']).toEqual(NAMES.map((id) => ({ id, url: site().url(id), zone: 'default' })));
    expect(ring['hashSeed']).toMatch(/^[0-9a-f]{32}$/);
    const { partitions, placements } = ring as { partitions: number; placements: Record<string, unknown[]> };
    for (const owners of Object.values(placements)) expect(owners).toHaveLength(partitions);
    expect(placements['3']?.every((owners) => new Set(owners as string[]).size === 3)).toBe(true);
  });
}
