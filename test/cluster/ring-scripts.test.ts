/** The operators' scripts with real nodes: they do what they say, change nothing in a dry run, and may run twice. */

import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePorts } from './ports.ts';
import { http } from './support.ts';
import { PROGRAM_COMMAND, RingCluster, runScript, type Ended } from './ring-support.ts';

let cluster: RingCluster;

beforeAll(async () => {
  cluster = await RingCluster.start(3, 5);
  for (let key = 0; key < 20; key++) {
    await http('PUT', `${cluster.url('n1')}/v1/kv/b/k${key}?consistency=strict_quorum`, { body: `value ${key}` });
  }
});

afterAll(async () => {
  await cluster.nodes.stop();
});

async function run(name: string, args: readonly string[]): Promise<Ended> {
  return runScript(`ring-${name}.sh`, args, cluster.url('n3'), PROGRAM_COMMAND);
}

test('join: a dry run changes nothing, a run waits for the end, a second one finds nothing to do', async () => {
  const early = await run('join', ['--patience', '0', 'n4']);
  expect(early).toMatchObject({ status: 1, stderr: expect.stringContaining('n4 does not wait to join') as string });
  cluster.restart('n4');
  const dry = await run('join', ['--dry-run', 'n4']);
  expect(dry).toMatchObject({ status: 0, stderr: '' });
  expect(dry.stdout).toMatch(/^plan [0-9a-f]{16}, made for epoch \d+; nothing has been changed\n/);
  expect(dry.stdout).toMatch(/24 replicas of partitions move \(no ring as even needs fewer\): about \d+ keys and .*/);
  expect(dry.stdout).toContain('ring-join: nothing was changed (--dry-run)\n');
  expect(await cluster.members('n1')).toEqual({ n1: 'active', n2: 'active', n3: 'active', n4: 'joining' });
  const joined = await run('join', ['--throttle', '20MB/s', 'n4', 'n1']);
  expect(joined.stdout).toMatch(/change [0-9a-f]{16} is done after \d+ s, epoch \d+\n$/);
  expect(joined).toMatchObject({ status: 0, stdout: expect.stringContaining('n1 is a member already') as string });
  expect(await cluster.members('n1')).toMatchObject({ n4: 'active' });
  expect(await run('join', ['n4'])).toEqual({
    ...{ status: 0, stderr: '' },
    stdout: 'ring-join: n4 is a member already\nring-join: nothing to do\n',
  });
});

test('rebalance, by the command beside the scripts: an even ring stays as it is', async () => {
  const { status, stdout } = await runScript('ring-rebalance.sh', ['--max-moves', '0'], cluster.url('n3'));
  expect([status, stdout]).toEqual([0, expect.stringMatching(/there is nothing to do\n$/)]);
});

test('leave: clients go first, then the data; twice is once', async () => {
  const dry = await run('leave', ['--dry-run', '--before', 'false', 'n1']);
  expect([dry.status, dry.stderr]).toEqual([0, '']);
  const kept = await run('leave', ['--before', 'false', 'n1']);
  expect(kept).toMatchObject({ status: 1, stderr: 'ring-leave: false n1 has failed, nothing was changed\n' });
  expect(await cluster.members('n3')).toMatchObject({ n1: 'active' });
  const left = await run('leave', ['--before', 'echo away from', 'n1']);
  expect(left).toMatchObject({ status: 0, stdout: expect.stringContaining('away from n1\n') as string });
  expect(left.stdout).toMatch(/ring-leave: n1 owns nothing any more: stop its process.*\n$/);
  expect(await cluster.members('n3')).toEqual({ n2: 'active', n3: 'active', n4: 'active' });
  expect(await run('leave', ['n1'])).toEqual({
    ...{ status: 0, stderr: '' },
    stdout: 'ring-leave: n1 is no member, nothing to do\n',
  });
  const fewer = await run('leave', ['n2']);
  expect(fewer).toMatchObject({ status: 1, stderr: expect.stringContaining('--fewer-replicas') as string });
});

test('replace: only what is dead, or what shall go all the same; twice is once', async () => {
  const alive = await run('replace', ['n2', 'n5']);
  expect(alive).toMatchObject({ status: 1, stderr: expect.stringContaining('n2 can be reached') as string });
  const single = { headers: { 'content-type': 'application/json' }, body: '{"n":1}' };
  expect((await http('PUT', `${cluster.url('n3')}/v1/buckets/single`, single)).status).toBe(200);
  await cluster.nodes.signal('n2', 'SIGKILL');
  cluster.restart('n5');
  const waits = await run('replace', ['n2', 'n5']);
  expect(waits).toMatchObject({ status: 1, stderr: expect.stringContaining('with --accept-loss') as string });
  expect(waits.stdout).toContain('mind too-few-owners');
  const replaced = await run('replace', ['--accept-loss', 'n2', 'n5']);
  expect(replaced.stdout).toMatch(/gives up all keys of n=1 in \d+ of \d+ partitions: no other member owns them/);
  expect([replaced.status, replaced.stderr]).toEqual([0, expect.not.stringContaining('quoral:')]);
  expect(replaced.stdout).toContain('mind unreachable: n2 cannot be reached');
  expect(await cluster.members('n3')).toEqual({ n3: 'active', n4: 'active', n5: 'active' });
  const again = await run('replace', ['n2', 'n5']);
  expect([again.status, again.stdout]).toEqual([0, expect.stringContaining('nothing to do') as string]);
  const nobody = await run('replace', ['n2', 'n6']);
  expect([nobody.status, nobody.stderr]).toEqual([1, expect.stringContaining('n2 is no member') as string]);
  for (let key = 0; key < 20; key++) {
    const { status, body } = await http('GET', `${cluster.url('n5')}/v1/kv/b/k${key}?consistency=strict_quorum`);
    expect([status, body.toString()]).toEqual([200, `value ${key}`]);
  }
});

test('wrong words and a node that does not answer: one line and a status that says which', async () => {
  const [port] = await freePorts(1);
  const away = `http://127.0.0.1:${port!}`;
  const cases: readonly (readonly [string, readonly string[], number, RegExp])[] = [
    ['join', [], 1, /^ring-join: name the nodes/],
    ['join', ['--patience', '', 'n4'], 1, /^ring-join: --patience : must be a whole number of seconds/],
    ['join', ['--patience', 'long', 'n4'], 1, /^ring-join: --patience long: must be a whole number of seconds/],
    ['join', ['--throttle'], 1, /^ring-join: --throttle wants a value/],
    ['leave', ['n1', 'n2'], 1, /^ring-leave: one node at a time/],
    ['replace', ['n1'], 1, /^ring-replace: name the member that goes and the node that comes/],
    ['rebalance', ['n1'], 1, /^ring-rebalance: unknown argument n1/],
    ['rebalance', ['--max-moves', 'few'], 1, /^ring-rebalance: --max-moves few: must be a whole number/],
    ['join', ['n9'], 4, /^quoral: no answer from /],
    ['leave', ['n9'], 4, /^quoral: no answer from /],
    ['replace', ['n8', 'n9'], 4, /^quoral: no answer from /],
    ['rebalance', [], 4, /^quoral: no answer from /],
  ];
  const ended = await Promise.all(
    cases.map(async ([name, args]) => runScript(`ring-${name}.sh`, args, away, PROGRAM_COMMAND)),
  );
  for (const [i, [name, args, status, told]] of cases.entries()) {
    expect([ended[i]!.status, ended[i]!.stdout], `${name} ${args.join(' ')}`).toEqual([status, '']);
    expect(ended[i]!.stderr).toMatch(told);
    expect(ended[i]!.stderr.trimEnd().split('\n').length).toBe(1);
  }
});

test('a node that is started again between plan and apply has forgotten the plan: the script says to run it again', async () => {
  // As the command does, between whose two calls no test can come.
  const directory = mkdtempSync(join(tmpdir(), 'quoral-test-'));
  const command = join(directory, 'command.sh');
  writeFileSync(
    command,
    '[ "$2" = plan ] && echo "plan 0123456789abcdef, made" || { echo "quoral: forgotten" >&2; exit 2; }',
  );
  const ended = await runScript('ring-rebalance.sh', [], '', { QUORAL_COMMAND: `sh ${command}` });
  rmSync(directory, { recursive: true });
  expect([ended.status, ended.stderr]).toEqual([
    2,
    'quoral: forgotten\nring-rebalance: nothing was begun: run this again\n',
  ]);
});

test('each script explains itself', async () => {
  const scripts = readdirSync(new URL('../../scripts/', import.meta.url)).filter((name) => /^ring-.*\.sh$/.test(name));
  for (const name of scripts.filter((one) => one !== 'ring-common.sh')) {
    const { status, stdout } = await runScript(name, ['--help'], '');
    expect([status, stdout]).toEqual([0, expect.stringContaining(`    ${name} [--dry-run]`) as string]);
  }
  expect(scripts.length).toBe(5);
});
