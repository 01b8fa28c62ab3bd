import { describe, expect, it } from 'vitest';
import { importsOf, sourceFiles, targetOf } from '../../architecture/sources.ts';
import { checkHistory } from '../../simulation/checkers/check-history.ts';
import { CHECK_NAMES } from '../../simulation/checkers/violation.ts';
import { momentSource, NO_WHITE_BOX } from '../../simulation/history.ts';
import { Planted } from './plant.ts';

describe('checkHistory', () => {
  const broken = () =>
    new Planted()
      .gauge('n1', 'queue', 9, 8)
      .put('a', { dots: ['1.10'], deadline: 0, at: [100, 200] })
      .read(['z'])
      .finalEverywhere({ vector: [] });

  it('finds nothing in an empty history', () => {
    expect(checkHistory(new Planted().history(), NO_WHITE_BOX)).toEqual({ violations: [], undecided: [] });
  });

  it('tells violations in the order of the names, and every time the same', () => {
    const { violations } = checkHistory(broken().history(), broken().whiteBox());
    const order = violations.map(({ check }) => CHECK_NAMES.indexOf(check));
    expect(order).toEqual(order.toSorted((a, b) => a - b));
    expect(new Set(violations.map(({ check }) => check))).toEqual(
      new Set(['only-written-values', 'strict-reads', 'durable-coverage', 'ends-by-deadline', 'bounded-resources']),
    );
    expect(checkHistory(broken().history(), broken().whiteBox()).violations).toEqual(violations);
  });

  it('runs the checks that are on, and no others', () => {
    expect(
      broken()
        .violations('bounded-resources', 'only-written-values')
        .map(({ check }) => check),
    ).toEqual(['only-written-values', 'bounded-resources']);
    expect(checkHistory(broken().history(), broken().whiteBox(), { checks: [] }).violations).toEqual([]);
  });

  it('allows for a slack on the way back to the client', () => {
    const judge = (deadlineSlack: number) =>
      checkHistory(broken().history(), NO_WHITE_BOX, { checks: ['ends-by-deadline'], deadlineSlack }).violations;
    expect(judge(199)).toHaveLength(1);
    expect(judge(200)).toEqual([]);
  });

  it('has names that fit into a line of output', () => {
    for (const name of CHECK_NAMES) expect(name).toMatch(/^[a-z]+(-[a-z]+)*$/);
    expect(new Set(CHECK_NAMES).size).toBe(CHECK_NAMES.length);
  });

  it('refuses histories that contradict themselves', () => {
    expect(() => new Planted().put('a').put('a', { key: 'other' }).violations()).toThrow('two keys, b/k and b/other');
    expect(() => new Planted().put('a').put('a').violations()).toThrow('two requests that are no retries');
    expect(() => new Planted().put('a', { retryOf: 'i' }).put('a', { retryOf: 'j' }).violations()).toThrow(
      'no retries',
    );
    const { buckets: _, ...rest } = new Planted().put('a').history();
    expect(() => checkHistory({ ...rest, buckets: {} }, NO_WHITE_BOX)).toThrow('bucket b of the history is missing');
  });

  it('stays quick when a key has many requests', () => {
    const planted = new Planted();
    for (let i = 0; i < 4000; i++) planted.put(`w${i}`, { covers: i === 0 ? null : [`w${i - 1}`] }).read([`w${i}`]);
    expect(planted.violations()).toEqual([]);
  });
});

it('moments come one after the other, also at one time', () => {
  const moment = momentSource();
  expect([moment(5), moment(5), moment(7)]).toEqual([
    { order: 1, time: 5 },
    { order: 2, time: 5 },
    { order: 3, time: 7 },
  ]);
});

describe('the checkers share no code with what they check', () => {
  const ALLOWED = /^(kernel\/assert\.ts|test\/simulation\/(history\.ts|checkers\/[\w-]+\.ts))$/;

  function foreign(path: string, text: string): readonly string[] {
    return importsOf(text)
      .map((specifier) => targetOf(path, specifier) ?? specifier)
      .filter((target) => !ALLOWED.test(target));
  }

  it('imports lead to each other and to assertions only', () => {
    const files = [
      ...sourceFiles('test/simulation/checkers'),
      ...sourceFiles('test/simulation').filter(({ path }) => path === 'test/simulation/history.ts'),
    ];
    expect(files.length).toBeGreaterThan(CHECK_NAMES.length);
    expect(files.flatMap(({ path, text }) => foreign(path, text).map((target) => `${path} → ${target}`))).toEqual([]);
  });

  it('is seen when it is broken', () => {
    const path = 'test/simulation/checkers/x.ts';
    const good =
      "import { a } from './dots.ts';\nimport type { H } from '../history.ts';\nimport { b } from '#kernel/assert.ts';";
    expect(foreign(path, good)).toEqual([]);
    expect(foreign(path, "import { joinStates } from '#causality/join.ts';")).toEqual(['causality/join.ts']);
    expect(foreign(path, "import type { Dot } from '../../../src/causality/dot.ts';")).toEqual(['causality/dot.ts']);
    expect(foreign(path, "import { x } from '../cluster.ts';")).toEqual(['test/simulation/cluster.ts']);
    expect(foreign(path, "import fs from 'node:fs';")).toEqual(['node:fs']);
  });
});
