/** The operators' scripts when a cluster answers what it seldom does: no nodes are needed for that. */

import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runScript, runScriptAt, scriptPath, type Ended } from './ring-support.ts';

interface Answers {
  readonly states: readonly string[];
  readonly plan: string;
  readonly applied?: number;
  readonly moves?: string;
}

/** Answers of a cluster as they come seldom, in the place of the command. */
async function withAnswers(
  name: string,
  args: readonly string[],
  { states, plan, applied = 0, moves = 'nothing moves' }: Answers,
): Promise<Ended> {
  const directory = mkdtempSync(join(tmpdir(), 'quoral-ring-scripts-'));
  const stub = join(directory, 'quoral');
  const status = [
    'cluster 0, epoch 1, as seen from n3',
    'node  state  reachable',
    ...states.map((one) => (one.endsWith('NO') ? one : `${one}  yes`)),
  ];
  const cases = [
    `status) printf '%s\\n' ${status.map((line) => `'${line}'`).join(' ')} ;;`,
    `plan) echo 'plan 0123456789abcdef, made for epoch 1'; echo '${plan}' ;;`,
    `transfers) printf '%s\\n' '${moves}' ;;`,
    `apply) echo "applied $3"; exit ${applied} ;;`,
  ];
  writeFileSync(stub, `case $2 in\n${cases.join('\n')}\nesac\n`);
  const ended = await runScript(`ring-${name}.sh`, args, '', { QUORAL_COMMAND: `sh ${stub}` });
  rmSync(directory, { recursive: true });
  return ended;
}

test('what comes seldom: only the order changes, a name is a number or a word of the table, a change is taken back unseen', async () => {
  const order = { states: ['n1  active'], plan: 'no replica moves' };
  const reordered = await withAnswers('rebalance', ['--max-moves', '0'], order);
  expect([reordered.status, reordered.stderr]).toEqual([0, '']);
  expect(reordered.stdout).toContain('applied 0123456789abcdef');
  for (const name of ['node', 'cluster', '01']) {
    const { stdout } = await withAnswers('leave', [name], { states: ['1  active'], plan: '' });
    expect(stdout).toBe(`ring-leave: ${name} is no member, nothing to do\n`);
  }
  const unseen = { states: ['n1  active', 'n5  joining'], plan: '' };
  for (const [script, args] of [['leave', ['n1']] as const, ['replace', ['--alive', 'n1', 'n5']] as const]) {
    const { status, stderr, stdout } = await withAnswers(script, args, unseen);
    expect([status, stderr]).toEqual([3, `ring-${script}: n1 is a member still: the change was taken back\n`]);
    expect(stdout).not.toContain('data directory');
  }
  const refused = await withAnswers('leave', ['--before', 'true', 'n1'], { ...unseen, applied: 2 });
  expect([refused.status, refused.stdout]).toEqual([2, expect.stringContaining('true n1 has been run: undo it if')]);
  const comes = { states: ['n1  active', 'n4  joining'], plan: '', moves: 'change 0123456789abcdef is running' };
  const joins = await withAnswers('leave', ['n4'], comes);
  expect([joins.status, joins.stderr]).toEqual([2, expect.stringContaining('n4 may come with the change')]);
  expect((await withAnswers('leave', ['n4'], { ...comes, moves: 'nothing moves, epoch 3' })).status).toBe(0);
  const goes = { states: ['n1  leaving', 'n5  active'], plan: '' };
  for (const [script, args] of [['leave', ['n1']] as const, ['replace', ['n1', 'n5']] as const]) {
    const { status, stderr } = await withAnswers(script, args, goes);
    expect([status, stderr]).toEqual([2, expect.stringContaining(`ring-${script}: n1 is leaving already`)]);
  }
  const early = { states: ['n5  refilling'], plan: '' };
  expect((await withAnswers('replace', ['n1', 'n5'], early)).stdout).toContain('n1 is no member and n5 is one');
});

test('a node that still gets its share is neither one that waits nor one that has joined long ago', async () => {
  const moves = `change 0123456789abcdef is running
stage    from   to     partitions
dual     n1 n2  n4 n5          51
planned  n2     n6              2`;
  const moving = { states: ['n1  active', 'n4  joining', 'n5  active', 'n6  refilling'], plan: '', moves };
  for (const node of ['n4', 'n5', 'n6']) {
    const { status, stdout, stderr } = await withAnswers('join', ['n1', node], moving);
    expect([status, stdout]).toEqual([2, 'ring-join: n1 is a member already\n']);
    expect(stderr).toContain(
      `ring-join: ${node} joins already, and still gets its share: quoral ring transfers --wait`,
    );
  }
  expect((await withAnswers('join', ['n1'], moving)).stdout).toContain('ring-join: nothing to do');
});

test('a node that is cut off from most of the members does not say that there is nothing to do', async () => {
  const cut = { states: ['n1  active', 'n2  active  NO', 'n3  active  NO', 'n4  joining', 'n5  joining'], plan: '' };
  for (const [script, args, about] of [
    ['join', ['n1'], 'n1'],
    ['leave', ['n9'], 'n9'],
    ['leave', ['n4'], 'n4'],
    ['replace', ['n9', 'n1'], 'n9'],
  ] as const) {
    const { status, stdout, stderr } = await withAnswers(script, args, cut);
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toContain(`reaches too few of the other members to know about ${about}: ask another one`);
  }
  const fresh = await withAnswers('leave', ['n1'], { states: [], plan: '' });
  expect([fresh.status, fresh.stdout]).toEqual([1, '']);
  const most = { ...cut, states: ['n1  active', 'n2  active', 'n3  active  NO', 'n4  joining  NO'] };
  expect((await withAnswers('leave', ['n9'], most)).status).toBe(0);
});

test('a script is started by a link from elsewhere, as from a directory of commands', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'quoral-ring-scripts-'));
  const link = join(directory, 'even-out');
  symlinkSync(scriptPath('ring-rebalance.sh'), link);
  const { status, stdout, stderr } = await runScriptAt(link, ['--help'], '');
  rmSync(directory, { recursive: true });
  expect([status, stderr]).toEqual([0, '']);
  expect(stdout).toContain('Evens the ring out');
});
