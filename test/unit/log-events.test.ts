/**
 * config/log-events.md names every event that the program logs, and no other. `npm run docs` writes it anew.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { sourceFiles } from '../architecture/sources.ts';

const DOCUMENT = new URL('../../config/log-events.md', import.meta.url);
const CALL = /\blog\s*(?:\.\s*(debug|info|warn|error)|\[([^\]]+)\])\(/g;
const INTRODUCTION = `# Events in the log

Every line of a node's log is a JSON object with \`level\`, \`time\`, \`node\`, \`event\` and what belongs to the event. An event's
name never changes its meaning. This table is written by \`npm run docs\`.

| event | levels | where |
| --- | --- | --- |
`;

/** The text of a call's first argument, which begins at \`start\`. */
function firstArgument(text: string, start: number): string {
  let depth = 0;
  for (let i = start; i < text.length; i++) {
    const character = text[i]!;
    if ('([{'.includes(character)) depth += 1;
    if (')]}'.includes(character)) depth -= 1;
    if (depth < 0 || (depth === 0 && character === ',')) return text.slice(start, i);
  }
  return text.slice(start);
}

/** The names in \`'a'\` and in \`condition ? 'a' : 'b'\`. */
function namesIn(argument: string): readonly string[] {
  const chosen = argument.includes('?') ? argument.slice(argument.indexOf('?')) : argument;
  return [...chosen.matchAll(/'([^']+)'/g)].map((match) => match[1]!);
}

/** Those in `log.warn(`, in `log[due ? 'error' : 'warn'](`, and of the `level` in `log[level](`, which is made a little above. */
function levelsOf({ 1: plain, 2: chosen = '', index }: RegExpExecArray, text: string): readonly string[] {
  if (plain !== undefined) return [plain];
  const made = text.slice(0, index).split(`const ${chosen} = `).at(-1)!;
  const expression = chosen.includes("'") ? chosen : made.slice(0, made.indexOf(';'));
  return [...expression.matchAll(/'(debug|info|warn|error)'/g)].map((match) => match[1]!);
}

interface Event {
  readonly levels: Set<string>;
  readonly rooms: Set<string>;
}

function eventsInSource(): ReadonlyMap<string, Event> {
  const events = new Map<string, Event>();
  for (const { path, text } of sourceFiles('src')) {
    for (const call of text.matchAll(CALL)) {
      for (const name of namesIn(firstArgument(text, call.index + call[0].length))) {
        const event = events.get(name) ?? { levels: new Set(), rooms: new Set() };
        for (const level of levelsOf(call, text)) event.levels.add(level);
        event.rooms.add(path.split('/').slice(1, -1).join('/') || 'the node itself');
        events.set(name, event);
      }
    }
  }
  return events;
}

test('the table of events is true', () => {
  const rows = [...eventsInSource()]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, { levels, rooms }]) => `| \`${name}\` | ${list(levels)} | ${list(rooms)} |`);
  if (process.env['WRITE_DOCS'] === '1') writeFileSync(DOCUMENT, `${INTRODUCTION}${rows.join('\n')}\n`);
  const shown = readFileSync(DOCUMENT, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => line.replaceAll(/ +/g, ' '));
  expect(shown, 'config/log-events.md: run npm run docs').toEqual(rows);
});

test('events are named in kebab-case', () => {
  for (const name of eventsInSource().keys()) expect(name).toMatch(/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/);
});

function list(words: ReadonlySet<string>): string {
  return [...words].toSorted().join(', ');
}
