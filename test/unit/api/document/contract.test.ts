/**
 * The description of the API and the nodes, held against each other: every operation is driven, every answer must be described,
 * and every answer that is described must be seen. The examples in the description are answers of this run.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { EXAMPLES } from '#api/document/examples.ts';
import { PROBLEM_EXAMPLES } from '#api/document/problem-examples.ts';
import { describeApi } from '#api/document/openapi.ts';
import { ROUTES } from '#api/routes.ts';
import { driveWhatGoesWrong, driveWhatWorks } from './drives.ts';
import { Judge, type Sighting } from './judge.ts';

/** Described, and not to be produced here: which, and why. */
const CANNOT: readonly (readonly [RegExp, string])[] = [
  [/^showUi(Head)? 500/, 'not built, and open to all nodes: there is nothing that could fail'],
  [/^(showDocument|showPage)(Head)? 500/, 'made once in the life of the program, and then only handed out'],
];

/** Of the same kind all the way down: members by name, lists by their first element. */
function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? [] : [shapeOf(value[0])];
  if (typeof value !== 'object' || value === null) return typeof value;
  const members = Object.entries(value).map(([name, member]) => [name, shapeOf(member)] as const);
  return Object.fromEntries(members.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/** Those of `/v1/kv64` and the objects that writes show are the same as others; pages, figures and this description are long. */
function isExample({ id, status, type, code }: Sighting): boolean {
  if (code === undefined && status < 400 && (id === 'putValue' || id === 'deleteValue')) return false;
  return !id.endsWith('64') && id !== 'showDocument' && type !== 'text/html' && type !== 'text/plain';
}

/** The random part of request ids would be another one in every run. */
const REQUEST_ID = /\b(n\d+)-[0-9a-f]{8}-/;

function examplesOf(sightings: readonly Sighting[]) {
  const answers: Record<string, unknown> = {};
  const problems: Record<string, unknown> = {};
  for (const sighting of sightings.filter(isExample)) {
    const { id, status, type, code, body } = sighting;
    if (code === undefined) answers[`${id} ${status} ${type}`] ??= body;
    else problems[code] ??= steady(body);
  }
  return { answers, problems };
}

function steady(problem: unknown): unknown {
  return JSON.parse(JSON.stringify(problem).replace(REQUEST_ID, '$1-b0f73eda-'));
}

const FOLDER = new URL('../../../../src/api/document/', import.meta.url);

function read(texts: Readonly<Record<string, string>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, JSON.parse(text) as unknown]));
}

/** Writes the one value that the file exports anew. */
function write(file: string, values: Readonly<Record<string, unknown>>): void {
  const path = new URL(file, FOLDER);
  const texts = Object.fromEntries(Object.entries(values).map(([name, value]) => [name, JSON.stringify(value)]));
  const [head = ''] = readFileSync(path, 'utf8').split(/(?<= = )\{/);
  writeFileSync(path, `${head}${JSON.stringify(texts)};\n`);
}

/** It asks for everything there is, one after the other: some seconds, and more where others are at work. */
const PATIENCE_MS = 60_000;

test(
  'whatever is answered is described, and whatever is described is answered',
  async () => {
    const judge = new Judge(describeApi(ROUTES));
    await driveWhatWorks(judge);
    await driveWhatGoesWrong(judge);
    const unseen = judge.unseen();
    expect(unseen.filter((line) => !CANNOT.some(([pattern]) => pattern.test(line)))).toEqual([]);
    expect(CANNOT.filter(([pattern]) => !unseen.some((line) => pattern.test(line)))).toEqual([]);

    const examples = examplesOf(judge.sightings);
    if (process.env['WRITE_DOCS'] === '1') {
      write('examples.ts', examples.answers);
      write('problem-examples.ts', examples.problems);
    } else {
      expect(shapeOf(read(EXAMPLES))).toEqual(shapeOf(examples.answers));
      expect(shapeOf(read(PROBLEM_EXAMPLES))).toEqual(shapeOf(examples.problems));
      expect(read(PROBLEM_EXAMPLES)['internal-error']).toEqual(examples.problems['internal-error']);
    }
  },
  PATIENCE_MS,
);
