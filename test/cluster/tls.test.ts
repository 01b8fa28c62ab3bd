/**
 * Three real nodes that speak TLS with their clients and with each other: made as the README says, by the command line
 * alone, and with certificates that change, end, or name somebody else.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { once } from 'node:events';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { Agent, request } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Authority, writePair, type Files } from '../authority.ts';
import { runQuoral, TestCluster, until } from './support.ts';

const ours = new Authority('ours');
const RELOAD = ['--tls-reload-interval', '200ms'];

let cluster: TestCluster;
let client: Agent;
const files = new Map<string, Files>();

function flagsOf({ cert, key, ca }: Files): readonly string[] {
  return [
    ...['--tls-cert', cert, '--tls-key', key, ...RELOAD],
    ...['--peer-tls-cert', cert, '--peer-tls-key', key, '--peer-tls-ca', ca],
  ];
}

/** n1 and n2 bear the address; n3 is named by its id as a node, and by an address to its clients. */
function filesOf(id: string, names: readonly string[], by = ours): Files {
  const written = writePair(join(cluster.directory, 'tls'), id, by.sign({ names }), ours.pem);
  files.set(id, written);
  return written;
}

beforeAll(async () => {
  cluster = await TestCluster.prepare(3, { scheme: 'https', flagsOf: (id) => flagsOf(files.get(id)!) });
  for (const id of cluster.ids) filesOf(id, [id, '127.0.0.1']);
  client = new Agent({ connect: { ca: ours.pem } });
  cluster.startAll();
  await cluster.ready(cluster.ids, client);
});

afterAll(async () => {
  await client?.close();
  await cluster?.stop();
});

async function put(id: string, key: string, value: string): Promise<number> {
  const answer = await request(`${cluster.url(id)}/v1/kv/b/${key}`, { method: 'PUT', body: value, dispatcher: client });
  await answer.body.dump();
  return answer.statusCode;
}

async function get(id: string, target: string): Promise<string> {
  const answer = await request(cluster.url(id) + target, { dispatcher: client });
  return answer.body.text();
}

async function handshake(id: string): Promise<TLSSocket> {
  const [host, port] = cluster.url(id).slice('https://'.length).split(':');
  const socket = connectTls({ host, port: Number(port), ca: ours.pem });
  await once(socket, 'secureConnect');
  return socket;
}

test('values go in at one node and come out at the others; the ring names https', async () => {
  expect(await put('n1', 'k', 'hello')).toBe(204);
  for (const id of cluster.ids) expect(await get(id, '/v1/kv/b/k'), id).toBe('hello');
  const { members } = JSON.parse(await get('n1', '/v1/cluster')) as { members: { url: string; reachable: boolean }[] };
  expect(members.map(({ url, reachable }) => [url, reachable])).toEqual(
    cluster.ids.map((id) => [cluster.url(id), true]),
  );
  expect(await get('n2', '/readyz')).toMatch(/"certificates".*client door: valid until .*peer door: valid until/);
  expect(await get('n2', '/metrics')).toMatch(/quoral_tls_certificate_expires_seconds\{door="peer"\} \d{10}/);
});

test('a large value, which leaves for the other nodes in pieces, comes out as it went in', async () => {
  const large = Array.from({ length: 400_000 }, (_, i) => String(i).padStart(10, '.')).join('');
  expect(await put('n1', 'large', large)).toBe(204);
  for (const id of cluster.ids) expect((await get(id, '/v1/kv/b/large?r=all')) === large, id).toBe(true);
});

test('the verbs with --ca, with QUORAL_CA, and without', async () => {
  const { ca } = files.get('n1')!;
  const args = ['key', 'get', 'b', 'k', '--url', cluster.url('n1')];
  expect(await runQuoral([...args, '--ca', ca])).toMatchObject({ status: 0, stdout: 'hello' });
  expect(await runQuoral(args, { environment: { QUORAL_CA: ca } })).toMatchObject({ status: 0, stdout: 'hello' });
  const without = await runQuoral(args);
  expect(without).toMatchObject({ status: 4, stdout: '' });
  expect(without.stderr).toMatch(/no answer from https:.*--ca or QUORAL_CA/);
  expect((await runQuoral([...args, '--ca', '/absent'])).stderr).toContain('--ca or QUORAL_CA: /absent cannot be read');
});

test('certificates renewed while it runs: connections stand, new handshakes see the new one, a wrong one changes nothing', async () => {
  const before = await handshake('n1');
  const former = before.getPeerX509Certificate()!.fingerprint256;
  filesOf('n1', ['n1', '127.0.0.1', 'renewed']);
  await until('new handshakes see the new certificate', async () => {
    const after = await handshake('n1');
    const { fingerprint256 } = after.getPeerX509Certificate()!;
    after.destroy();
    return fingerprint256 !== former;
  });
  before.write('GET /livez HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
  expect(String(((await once(before, 'data')) as [Buffer])[0])).toContain('200 OK');
  const good = readFileSync(files.get('n1')!.key, 'utf8');
  writePair(join(cluster.directory, 'tls'), 'n1', { ...ours.sign({ names: ['n1'] }), key: 'nonsense' }, ours.pem);
  // Not by the log alone: a look between the two files of the good pair may have refused that for a moment.
  await until('the wrong pair is refused', async () =>
    (await get('n1', '/readyz')).includes('the changed files are not used'),
  );
  await until('its log says so', () => cluster.nodes.get('n1')!.stdout().includes('certificate-refused'));
  expect(await put('n1', 'k2', 'still served')).toBe(204);
  // Asked by a signal, not found by the interval: the good pair again.
  filesOf('n1', ['n1', '127.0.0.1']);
  cluster.nodes.get('n1')!.process.kill('SIGHUP');
  await until('the good pair is used', async () => !(await get('n1', '/readyz')).includes('not used'));
  const everything = cluster.ids
    .map((id) => cluster.nodes.get(id)!.stdout() + cluster.nodes.get(id)!.stderr())
    .join('');
  expect(everything).not.toContain('PRIVATE KEY');
  expect(everything).not.toContain(good.split('\n')[1]);
});

test.each([
  ['that names another node', () => filesOf('n3', ['n4', '127.0.0.9', 'localhost']), /wrong-certificate/],
  [
    'that another authority signed',
    () => filesOf('n3', ['n3', '127.0.0.1'], new Authority('theirs')),
    /tls-handshake-failed/,
  ],
])(
  'a node with a certificate %s is kept out by the others, who go on; with the right one it comes back',
  async (_name, spoil, complaint) => {
    expect(await cluster.signal('n3', 'SIGTERM')).toBe(0);
    spoil();
    const impostor = cluster.startNode('n3');
    await until('n1 says why', () => complaint.test(cluster.nodes.get('n1')!.stdout()));
    await until('it is told', () => /refused-by-peer|peer-unreachable/.test(impostor.stdout()));
    expect(await put('n1', 'k3', 'without it')).toBe(204);
    expect(JSON.parse(await get('n1', '/v1/cluster'))).toMatchObject({ members: [{}, {}, { reachable: false }] });
    await cluster.signal('n3', 'SIGKILL');
    filesOf('n3', ['n3', '127.0.0.1']);
    cluster.startNode('n3');
    await cluster.ready(['n3'], client);
    expect(await get('n3', '/v1/kv/b/k3')).toBe('without it');
  },
);
