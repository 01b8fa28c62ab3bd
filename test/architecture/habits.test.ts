/**
 * The habits of the code that no compiler knows: each with a piece of text that breaks it, so that a check that cannot
 * fail is itself found. This file shows what is forbidden, so it is the only one that is not looked at.
 */

import { describe, expect, it } from 'vitest';
import { importsOf, readSource, sourceFiles, targetOf } from './sources.ts';

const LINES_MAX = 400;

interface Habit {
  readonly name: string;
  /** Which files it concerns. */
  readonly files: RegExp;
  /** What breaks it: a line that matches, or a whole text. */
  readonly broken: RegExp | ((text: string) => boolean);
  /** Texts that break it. */
  readonly bad: readonly string[];
  readonly good: readonly string[];
}

const HABITS: readonly Habit[] = [
  {
    name: `a file has at most ${LINES_MAX} lines`,
    files: /^(src|scripts|bench)\//,
    broken: (text) => text.trimEnd().split('\n').length > LINES_MAX,
    bad: ['x\n'.repeat(LINES_MAX + 1)],
    good: ['x\n'.repeat(LINES_MAX)],
  },
  {
    name: 'a file of src begins with what it is for',
    files: /^src\/(?!.*\.d\.ts$).*\.ts$/,
    broken: (text) => !/^(#!.*\n)?\/\*\*/.test(text),
    bad: ["import { a } from './a.ts';\n"],
    good: ['/** Idea. */\n'],
  },
  {
    name: 'work that is left is an issue, not a comment',
    files: /./,
    broken: /\b(TODO|FIXME|XXX)\b/,
    bad: ['// TODO later', '// FIXME: wrong', '# XXX'],
    good: ['toDo()'],
  },
  {
    name: 'exports have names',
    files: /(?<!\.config)\.ts$/,
    broken: /^export default\b/,
    bad: ['export default 1;'],
    good: ['export const defaults = 1;'],
  },
  {
    name: 'imports in src lead downwards or through #room',
    files: /^src\//,
    broken: /\b(from|import|import\(|resolve\()\s*['"]\.\.\//,
    bad: ["import { a } from '../a.ts';", "await import('../a.ts')", "import.meta.resolve('../a.ts')"],
    good: ["import { a } from './a.ts';"],
  },
  {
    // But for the door of the published client: what its users import stands together in one place.
    name: 'a name is exported where it is made',
    files: /^src\/(?!client\/index\.ts$)/,
    broken: /^export (type )?(\*|\{[^}]*\} from)/,
    bad: ["export * from './a.ts';", "export { a } from './a.ts';", "export type { A } from './a.ts';"],
    good: ['export const a = 1;'],
  },
  {
    name: 'all tests run',
    files: /^test\/.*\.ts$/,
    broken: /\b(it|test|describe)(\.\w+)*\.(only|skip|todo|fails)\b|\b[fx](it|describe)\(/,
    bad: ["it.only('x', f);", "describe.skip('x', f);", "test.concurrent.skip('x', f);", "it.todo('x');"],
    good: ["it('skips tombstones', f);", 'cursor.skip(1);'],
  },
  {
    name: 'no check is switched off in passing',
    files: /\.(ts|js)$/,
    broken: /(oxlint|eslint)-disable|@ts-(ignore|expect-error|nocheck)|(v8|istanbul) ignore/,
    bad: ['// oxlint-disable-next-line no-shadow', '// eslint-disable-line', '// @ts-ignore', '// @ts-expect-error'],
    good: ['// disabled'],
  },
  {
    name: 'no file names a place on one machine',
    files: /./,
    broken: /(^|[^\w.}/)])\/(root|home|Users|tmp|mnt)(\/|\b(?![-\w=]))/,
    bad: ['cd /home/somebody', "'/tmp/x'", '`/root`'],
    good: ["join(tmpdir(), 'x')", 'https://example.org/home/', './data', 'network/home'],
  },
  {
    name: 'documents link only inside the project',
    files: /^[^/]*\.(md|json)$/,
    broken: /(?<![\w/.%])\.\.\/\w/,
    bad: ['see ../elsewhere/notes.md'],
    good: ['see ./config/node.yaml', 'dot segments such as `/v1/kv/../x`'],
  },
];

const files = sourceFiles('').filter(({ path }) => path !== 'test/architecture/habits.test.ts');

function breaks(habit: Habit, text: string): readonly number[] {
  const { broken } = habit;
  if (typeof broken === 'function') return broken(text) ? [1] : [];
  return text.split('\n').flatMap((line, i) => (broken.test(line) ? [i + 1] : []));
}

describe.each(HABITS)('$name', (habit) => {
  it('holds', () => {
    const broken = files
      .filter(({ path }) => habit.files.test(path))
      .flatMap(({ path, text }) => breaks(habit, text).map((line) => `${path}:${line}`));
    expect(broken).toEqual([]);
  });

  it('concerns some file', () => {
    expect(files.some(({ path }) => habit.files.test(path))).toBe(true);
  });

  it('is seen when it is broken, and only then', () => {
    for (const text of habit.bad) expect(breaks(habit, text), text).not.toEqual([]);
    for (const text of habit.good) expect(breaks(habit, text), text).toEqual([]);
  });
});

describe('the published package', () => {
  it('has what its documents link to', () => {
    const published = (JSON.parse(readSource('package.json')) as { readonly files: readonly string[] }).files;
    const documents = ['README.md', ...published.filter((path) => path.endsWith('.md'))];
    const links = documents.flatMap((path) =>
      [...readSource(path).matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, to]) => to!),
    );
    expect(links).toContain('CONTRIBUTING.md');
    const isThere = (link: string): boolean =>
      documents.includes(link) || published.some((path) => link === path || link.startsWith(`${path}/`));
    expect(links.filter((link) => !isThere(link))).toEqual([]);
  });
});

describe('every file of src is in use', () => {
  /** Files that nothing imports; package.json names the two where everything begins, a browser's page the third. Its own unit tests make a file used only in the simulated world, which is for tests. */
  function unused(all: readonly { readonly path: string; readonly text: string }[]): readonly string[] {
    const used = new Set(['src/main.ts', 'src/client/index.ts', 'src/ui/page.ts']);
    for (const { path, text } of all) {
      for (const specifier of importsOf(text)) {
        const target = `src/${targetOf(path, specifier)}`;
        if (!path.startsWith('test/unit/') || target.startsWith('src/world/simulated/')) used.add(target);
      }
    }
    return all.map(({ path }) => path).filter((path) => /^src\/.*(?<!\.d)\.ts$/.test(path) && !used.has(path));
  }

  it('holds', () => {
    expect(unused(files)).toEqual([]);
  });

  it('is seen when it is broken', () => {
    const main = { path: 'src/main.ts', text: "import { a } from '#a/a.ts';" };
    const used = { path: 'src/a/a.ts', text: "import { c } from './c.ts';" };
    const alsoUsed = { path: 'src/a/c.ts', text: '' };
    const dead = { path: 'src/a/b.ts', text: '' };
    const tested = { path: 'test/unit/a/b.test.ts', text: "import { b } from '#a/b.ts';" };
    expect(unused([main, used, alsoUsed, dead, tested])).toEqual(['src/a/b.ts']);
  });
});
