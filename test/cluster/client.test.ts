/**
 * `quoral/client` and the verbs that move much data, with real nodes: what a program sees of a node that dies, a bucket that is
 * exported, imported and compared, and the published package in an empty project.
 */

import { spawn, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bytes, json, text } from '#client/codec.ts';
import { connect, type Quoral } from '#client/quoral.ts';
import { readmeProgram } from '../readme-program.ts';
import { http, MAIN, runQuoral, temporaryDirectory, TestCluster, until } from './support.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const directory = temporaryDirectory();

let cluster: TestCluster;
let quoral: Quoral;

beforeAll(async () => {
  // Requests have the time that a busy machine needs.
  cluster = await TestCluster.start(3, ['--request-timeout', '30s']);
  quoral = connect({ urls: cluster.url('n1'), timeout: 60_000, attemptTimeout: 30_000 });
  await quoral.ready();
});

afterAll(async () => {
  await cluster.stop();
  rmSync(directory, { recursive: true, force: true });
});

describe('a program', () => {
  test('computes the owners that the nodes compute, whatever n is', async () => {
    await quoral.define('single', { n: 1 });
    await quoral.ready();
    await quoral.bucket('single', text).definition();
    for (const bucket of ['demo', 'single']) {
      for (const key of ['a', 'kéy/1', 'x'.repeat(200), '☃ %2F..']) {
        const place = await http('GET', `${cluster.url('n2')}/v1/ring/locate/${bucket}/${encodeURIComponent(key)}`);
        const { primaries } = JSON.parse(place.body.toString()) as { primaries: string[] };
        expect(quoral.ownersOf(bucket, key), `${bucket}/${key}`).toEqual(primaries);
        await quoral.bucket(bucket, text).put(key, 'v');
        const { coordinator } = await quoral.bucket(bucket, text).get(key);
        expect(coordinator).toBe(primaries[0]);
      }
    }
  });

  test('writes and reads all there is of a value', async () => {
    const files = quoral.bucket('files', bytes);
    const value = new Uint8Array([0, 255, 13, 10, 128]);
    await files.put('..', value, { contentType: 'image/png', meta: { shop: 'north' }, ttl: 3600 });
    const entry = await files.get('..');
    expect(entry.value).toEqual(value);
    expect(entry.siblings[0]).toMatchObject({ contentType: 'image/png', meta: { shop: 'north' }, etag: entry.etag });
    expect(entry.siblings[0]!.expires!.getTime() - Date.now()).toBeGreaterThan(3500_000);
    await files.delete('..', { follows: entry });
    expect((await files.get('..')).exists).toBe(false);
  });

  test('counts up in a strong bucket from many sides at once, and holds a lease', async () => {
    await quoral.define('stock', { consistency: 'strong' });
    const stock = quoral.bucket('stock', json<number>());
    await Promise.all(Array.from({ length: 8 }, async () => stock.update('apples', (now = 0) => now + 1)));
    expect((await stock.get('apples')).value).toBe(8);
    const lease = await stock.lease('nightly', { holder: 'a', ttl: 30 });
    await expect(stock.lease('nightly', { holder: 'b', ttl: 30 })).rejects.toMatchObject({
      code: 'conflict',
      facts: { holder: 'a' },
    });
    await lease.release();
    const next = await stock.lease('nightly', { holder: 'b', ttl: 30 });
    expect(next.token).toBeGreaterThan(lease.token);
  });

  test('changes data types, each operation counting once', async () => {
    for (const type of ['counter', 'set', 'register', 'flag', 'map'] as const)
      await quoral.define(`t-${type}`, { type });
    const visits = quoral.counters('t-counter');
    await Promise.all(Array.from({ length: 10 }, async (_, i) => visits.increment('home', i)));
    expect([await visits.get('home'), await visits.get('nowhere')]).toEqual([45, 0]);
    const tags = quoral.sets('t-set');
    await tags.add('k', ['a', 'b', 'c']);
    await tags.remove('k', ['b']);
    expect((await tags.get('k')).toSorted()).toEqual(['a', 'c']);
    await quoral.registers('t-register').assign('k', { x: [1, null] });
    expect(await quoral.registers('t-register').get('k')).toEqual({ x: [1, null] });
    const flags = quoral.flags('t-flag');
    await flags.enable('k');
    expect([await flags.get('k'), await flags.get('other')]).toEqual([true, false]);
    const maps = quoral.maps('t-map');
    await maps.update('k', 'items', 'set', { op: 'add', values: ['milk'] });
    await maps.update('k', 'count', 'counter', { op: 'increment', by: 2 });
    await maps.update('k', 'gone', 'flag', { op: 'enable' });
    await maps.remove('k', 'gone');
    expect(await maps.get('k')).toEqual({ items: ['milk'], count: 2 });
    await expect(quoral.counters('t-set').get('k')).rejects.toThrow('holds a set and no counter');
  });

  test('watches a bucket through the death of the node that it watches at', async () => {
    const stop = new AbortController();
    const seen = new Set<string>();
    // Knows the others by the ring, and asks this one first.
    const at = connect({ urls: cluster.url('n3') });
    const watching = (async () => {
      for await (const { key, deleted } of at.bucket('watched', text).watch({ prefix: 'k', signal: stop.signal })) {
        if (!deleted) seen.add(key);
      }
    })();
    const notes = quoral.bucket('watched', text);
    // It has begun when a change comes.
    for (let i = 0; seen.size === 0; i++) {
      await notes.put('k', String(i));
      await sleep(20);
    }
    const keys = Array.from({ length: 30 }, (_, i) => `k${i}`);
    for (const [i, key] of keys.entries()) {
      if (i === 10) await cluster.signal('n3', 'SIGKILL');
      await notes.put(key, 'v');
    }
    await until('all are told', () => seen.size >= 31);
    expect(seen).toEqual(new Set(['k', ...keys]));
    stop.abort();
    await watching;
    cluster.startNode('n3');
    await cluster.ready(['n3']);
  });

  test('reads its own writes in a session, at whichever node and with one replica', async () => {
    const session = connect({ urls: cluster.ids.map((id) => cluster.url(id)), routing: false }).session();
    const notes = session.bucket('sessions', text);
    for (let i = 0; i < 20; i++) {
      await notes.put('k', `v${i}`, { w: 1 });
      expect((await notes.get('k', { r: 1 })).value).toBe(`v${i}`);
    }
  });

  test('lists keys in order, and sees no error when a node dies and comes back', async () => {
    const notes = quoral.bucket('outage', text);
    const write = async (from: number, count: number): Promise<void> => {
      for (let i = from; i < from + count; i++) await notes.put(`k${String(i).padStart(4, '0')}`, `v${i}`);
    };
    await write(0, 20);
    const working = Promise.all([write(1000, 60), write(2000, 60), write(3000, 60)]);
    await cluster.signal('n2', 'SIGKILL');
    await working;
    cluster.startNode('n2');
    await cluster.ready(['n2']);
    const keys: string[] = [];
    for await (const key of notes.keys({ limit: 100 })) keys.push(key);
    expect(keys).toHaveLength(200);
    expect(keys).toEqual(keys.toSorted());
  });
});

describe('import and export', () => {
  const source = join(directory, 'source.ndjson');
  const RECORDS = 300;

  /** Names and texts of all kinds, bytes that are no text, and siblings. */
  function records(): string {
    const lines = Array.from({ length: RECORDS }, (_, i) => {
      const key = `${String(i).padStart(5, '0')}/ü${i % 7 === 0 ? '\n' : ''}`;
      if (i % 50 === 1) {
        const siblings = [
          { value: `one of ${i}`, contentType: 'text/plain' },
          { value64: 'AP8=', contentType: 'image/png', meta: { at: String(i) } },
        ];
        return { key, siblings: siblings.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)) };
      }
      if (i % 3 === 0)
        return {
          key,
          value64: Buffer.from([255, i & 255, 0]).toString('base64'),
          contentType: 'a/b',
          contentEncoding: 'gzip',
        };
      return { key, value: `value ${i} `.repeat(i % 90), contentType: 'text/plain; charset=utf-8' };
    });
    return lines.map((line) => `${JSON.stringify(line)}\n`).join('');
  }

  test('a killed import goes on, through the death of a node, and its export is the same file', async () => {
    writeFileSync(source, records());
    await quoral.define('copy', { conflicts: 'siblings' });
    const flags = ['--url', cluster.ids.map((id) => cluster.url(id)).join(',')];
    const importing = spawn(process.execPath, [MAIN, 'import', 'copy', source, '--concurrency', '1', ...flags]);
    const mark = `${source}.copy.import`;
    const done = () => (JSON.parse(readFileSync(mark, 'utf8')) as { keys: number }).keys;
    while ((!existsSync(mark) || done() === 0) && importing.exitCode === null) await sleep(10);
    importing.kill('SIGKILL');
    await new Promise((resolve) => importing.once('exit', resolve));
    const keys = done();
    expect(keys).toBeGreaterThan(0);
    expect(keys).toBeLessThan(RECORDS);
    const going = runQuoral(['import', 'copy', source, '--json', ...flags]);
    await cluster.signal('n3', 'SIGKILL');
    cluster.startNode('n3');
    const imported = await going;
    expect(imported.stderr).toBe('');
    expect(JSON.parse(imported.stdout)).toMatchObject({ imported: RECORDS });
    expect(existsSync(mark)).toBe(false);
    await cluster.ready(['n3']);

    const target = join(directory, 'target.ndjson');
    const exporting = spawn(process.execPath, [MAIN, 'export', 'copy', target, '--concurrency', '1', ...flags]);
    // Before it reads the first key: between the last line and the end there is next to no time.
    while (!existsSync(`${target}.progress`) || !existsSync(target)) {
      expect(exporting.exitCode).toBe(null);
      await sleep(5);
    }
    exporting.kill('SIGKILL');
    await new Promise((resolve) => exporting.once('exit', resolve));
    expect(existsSync(`${target}.progress`), 'it was killed before its end').toBe(true);
    // All lines and half of one more behind what it noted, as a machine that stops would leave them.
    writeFileSync(target, readFileSync(source), { flag: 'a' });
    truncateSync(target, statSync(target).size + 1);
    const exported = await runQuoral(['export', 'copy', target, '--json', ...flags]);
    expect(exported.stderr).toBe('');
    expect(JSON.parse(exported.stdout)).toMatchObject({ exported: RECORDS });
    expect(readFileSync(target).equals(readFileSync(source))).toBe(true);
    const again = await runQuoral(['export', 'copy', target, ...flags]);
    expect([again.status, again.stderr]).toEqual([1, expect.stringContaining('is there already')]);
  });

  test('data types come out as they went in, and an import changes what differs', async () => {
    for (const type of ['map', 'counter'] as const) {
      const [from, to] = [`from-${type}`, `to-${type}`];
      for (const name of [from, to]) await quoral.define(name, { type });
      if (type === 'counter') {
        await quoral.counters(from).increment('a', 7);
        await quoral.counters(from).increment('zero', 0);
        await quoral.counters(to).increment('a', 10);
      } else {
        const maps = quoral.maps(from);
        await maps.update('k', 'tags', 'set', { op: 'add', values: ['x', { y: 1 }] });
        await maps.update('k', 'in', 'map', {
          op: 'update',
          field: 'n',
          type: 'counter',
          with: { op: 'increment', by: -3 },
        });
        await quoral.maps(to).update('k', 'tags', 'register', { op: 'assign', value: 'another type' });
      }
      const [before, after] = [join(directory, `${from}.ndjson`), join(directory, `${to}.ndjson`)];
      const run = async (...args: string[]) => runQuoral([...args, '--json', '--url', cluster.url('n1')]);
      expect(await run('export', from, before)).toMatchObject({ status: 0 });
      expect(await run('import', to, before)).toMatchObject({ status: 0, stderr: '' });
      expect(await run('export', to, after)).toMatchObject({ status: 0 });
      const lines = readFileSync(before, 'utf8');
      expect(readFileSync(after, 'utf8')).toBe(lines);
      expect((await run('export', from, '-')).stdout).toBe(lines);
      const imported = await runQuoral(['import', to, '-', '--url', cluster.url('n1')], { input: lines });
      expect(imported).toMatchObject({ status: 0, stderr: expect.stringContaining('unchanged') as unknown });
    }
  });

  test('an import with contexts that is made again brings nothing twice', async () => {
    await quoral.define('seen', { conflicts: 'siblings' });
    const seen = quoral.bucket('seen', text);
    const shown = async (key: string) => (await seen.get(key)).siblings.map(({ value }) => value).sort();
    for (const [key, value] of [
      ['one', 'a'],
      ['two', 'a'],
      ['two', 'b'],
    ] as const)
      await seen.put(key, value);
    const [file, part] = [join(directory, 'seen.ndjson'), join(directory, 'part.ndjson')];
    const run = async (...args: string[]) => runQuoral([...args, '--url', cluster.url('n1')]);
    expect(await run('export', 'seen', file, '--contexts')).toMatchObject({ status: 0 });
    await seen.put('one', 'a', { follows: await seen.get('one') });
    await seen.put('one', 'since');
    await seen.put('two', 'gone', { follows: await seen.get('two') });
    await seen.put('two', 'since');
    // As one that was killed between the two values of a key.
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    const two = JSON.parse(lines[1]!) as { siblings: object[] };
    writeFileSync(part, JSON.stringify({ ...two, siblings: two.siblings.slice(0, 1) }));
    expect(await run('import', 'seen', part)).toMatchObject({ status: 0 });
    expect(await run('import', 'seen', file)).toMatchObject({ status: 0 });
    expect([await shown('one'), await shown('two')]).toEqual([
      ['a', 'since'],
      ['a', 'b', 'gone', 'since'],
    ]);
  });

  test('two imports at once count nothing twice', async () => {
    await quoral.define('at-once', { type: 'counter' });
    const keys = Array.from({ length: 200 }, (_, i) => `k${i}`);
    const lines = keys.map((key) => JSON.stringify({ key, type: 'counter', value: 5 })).join('\n');
    const ended = await Promise.all(
      ['n1', 'n2'].map(async (id) => {
        // Of two places, so that none knows of the other's note.
        const file = join(directory, `at-once-${id}.ndjson`);
        writeFileSync(file, lines);
        return runQuoral(['import', 'at-once', file, '--url', cluster.url(id)]);
      }),
    );
    expect(ended.map(({ status }) => status)).toEqual([0, 0]);
    const counters = quoral.counters('at-once');
    const values = await Promise.all(keys.map(async (key) => counters.get(key)));
    expect(new Set(values)).toEqual(new Set([5]));
  });

  test('what cannot be imported is named by its line', async () => {
    const file = join(directory, 'wrong.ndjson');
    writeFileSync(file, '{"key":"a","value":"x"}\n{"key":"b","valu":"x"}\n');
    const { status, stderr } = await runQuoral(['import', 'demo', file, '--url', cluster.url('n1')]);
    expect([status, stderr]).toEqual([1, expect.stringContaining('line 2: valu: unknown')]);
  });
});

describe('the command line', () => {
  test('keys, with exit statuses that scripts can act on', async () => {
    const run = async (...args: string[]) => runQuoral([...args, '--url', cluster.url('n2')], { input: 'from input' });
    expect(await run('key', 'put', 'cli', 'k', '--meta', 'a=b', '--ttl', '1m')).toMatchObject({ status: 0 });
    expect(await run('key', 'get', 'cli', 'k')).toMatchObject({ status: 0, stdout: 'from input' });
    expect(await run('key', 'list', 'cli', '--json')).toMatchObject({ status: 0, stdout: '{"key":"k"}\n' });
    const { etag, ...shown } = JSON.parse((await run('key', 'get', 'cli', 'k', '--json')).stdout) as Record<
      string,
      string
    >;
    const value = Buffer.from('from input').toString('base64');
    expect(shown).toMatchObject({ value, meta: { a: 'b' }, contentType: 'text/plain; charset=utf-8' });
    expect([etag, Date.parse(shown['lastModified']!) < Date.parse(shown['expires']!)]).toEqual([
      expect.stringMatching(/^[0-9a-f]{16}$/),
      true,
    ]);
    expect(await run('key', 'put', 'cli', 'k', 'x', '--if-absent')).toMatchObject({ status: 2 });
    expect(await run('key', 'get', 'cli', 'nope')).toMatchObject({ status: 1, stdout: '' });
    const nobody = await runQuoral(['key', 'get', 'cli', 'k', '--url', 'http://127.0.0.1:1']);
    expect([nobody.status, nobody.stderr.split('\n')]).toEqual([4, [expect.stringContaining('no answer from'), '']]);
    const elsewhere = await runQuoral(['key', 'get', 'cli', 'k', '--url', `${cluster.url('n2')}/path`]);
    expect([elsewhere.status, elsewhere.stderr]).toEqual([
      4,
      expect.stringContaining(`${cluster.url('n2')}/path: 404`),
    ]);
  });
});

test('the published package: its client compiles and runs in an empty project', async () => {
  const project = join(directory, 'project');
  const home = join(project, 'node_modules', 'quoral');
  mkdirSync(home, { recursive: true });
  const run = (command: string, args: readonly string[], cwd: string): string => {
    const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8' });
    expect(status, `${command} ${args.join(' ')}: ${stdout}${stderr}`).toBe(0);
    return stdout;
  };
  const packed = run('npm', ['pack', '--json', '--loglevel=error', '--pack-destination', directory], root);
  const filename = /"filename": "([^"]+)"/.exec(packed)![1]!;
  run('tar', ['-xzf', join(directory, filename), '-C', home, '--strip-components=1'], project);

  const urls = (program: string): string =>
    program.replaceAll(/http:\/\/127\.0\.0\.1:710(\d)/g, (_, i: string) => cluster.url(`n${i}`));
  writeFileSync(join(project, 'package.json'), '{"type":"module"}');
  writeFileSync(join(project, 'client.ts'), urls(readmeProgram('A client for programs')));
  writeFileSync(join(project, 'cart.ts'), urls(readmeProgram('A shopping cart')));
  const compilerOptions = {
    strict: true,
    target: 'ES2024',
    module: 'NodeNext',
    outDir: 'out',
    skipLibCheck: false,
    types: [],
  };
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }));
  run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc')], project);
  expect(run(process.execPath, ['out/cart.js'], project)).toBe('2 { milk: 1, bread: 2, eggs: 6 }\n1\n');
  expect(run(process.execPath, ['out/client.js'], project)).toBe('ann\n');
  // The program itself, with what it depends on.
  const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { dependencies: object };
  for (const name of Object.keys(dependencies).filter((one) => !one.includes('/')))
    symlinkSync(join(root, 'node_modules', name), join(project, 'node_modules', name));
  const shown = run(
    process.execPath,
    [join(home, 'dist/main.js'), 'key', 'get', 'users', 'bob', '--url', cluster.url('n1')],
    project,
  );
  expect(JSON.parse(shown)).toEqual({ name: 'Bob', visits: 1 });
});
