/** Which entries of strong keys are told of, and what in the place of those that came to nothing. */

import { expect, test } from 'vitest';
import { decodeGlimpse, encodeGlimpse } from '#causality/glimpse.ts';
import type { Dot } from '#causality/dot.ts';
import type { State } from '#causality/state.ts';
import { utf8 } from '#kernel/bytes.ts';
import { StrongNews, toTell, withMarkers, type Settled } from '#watch/strong-news.ts';
import type { KeyChange } from '#watch/messages.ts';
import { dot, stateOf } from '../causality/examples.ts';

const [d1, d2, d3] = [dot(1, 10), dot(2, 20), dot(1, 30)];
const holding = (one: Dot): State => stateOf([one], [one]);
const entry = (state: State, key = 'k'): KeyChange => ({
  group: 1,
  key: utf8(key),
  glimpse: encodeGlimpse(withMarkers(state)),
});
const shown = ({ glimpse }: KeyChange) => decodeGlimpse(glimpse).versions.map((one) => [one.dot, one.content !== null]);

test('what the present value is or stems from is told of as it is', () => {
  const settled = { state: holding(d3), made: [d1, d3] };
  for (const one of [d1, d3]) expect(shown(toTell(entry(holding(one)), settled))).toEqual([[one, true]]);
  expect(shown(toTell(entry({ vector: [d1], versions: [] }), settled))).toEqual([[d1, false]]);
});

test('in the place of what came to nothing the present value is told of, or that there is nothing', () => {
  const came = entry(holding(d2));
  expect(shown(toTell(came, { state: holding(d3), made: [d3] }))).toEqual([[d3, true]]);
  expect(shown(toTell(came, { state: holding(d1), made: [d1] }))).toEqual([[d1, true]]);
  expect(shown(toTell(came, { state: { vector: [d3], versions: [] }, made: [] }))).toEqual([[d3, false]]);
  expect(shown(toTell(came, { state: { vector: [], versions: [] }, made: [] }))).toEqual([[d2, false]]);
});

const text = ({ key }: KeyChange): string => new TextDecoder().decode(key);

/** One that is told by `settle` what keys hold; what waits does so until `pass`. */
function newsOf(settle: (key: string, last: Dot) => Promise<Settled | undefined>) {
  const late: KeyChange[] = [];
  const failures: unknown[] = [];
  let waiting: (() => void)[] = [];
  const news = new StrongNews({
    clock: { after: (_: number, run: () => void) => waiting.push(run) } as never,
    settle: (key, last) => settle(new TextDecoder().decode(key), last),
    known: (change) => text(change) === 'known',
    stopped: () => false,
    awaited: (key) => new TextDecoder().decode(key) !== 'left',
    late: (change) => late.push(change),
    failed: (error) => failures.push(error),
  });
  const pass = async (): Promise<void> => {
    const due = waiting;
    waiting = [];
    for (const run of due) run();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { news, late, failures, pass };
}

test('each key is asked for once, with its last change; what is known is told of as it is', async () => {
  const asked: [string, Dot][] = [];
  const { news } = newsOf(async (key, last) => {
    asked.push([key, last]);
    return { state: holding(last), made: [d1] };
  });
  const changes = [entry(holding(d1)), entry(holding(d3)), entry(holding(d2)), entry(holding(d2), 'known')];
  const { told, open } = await news.of(changes);
  expect(told.map((one) => shown(one)[0]![0])).toEqual([d1, d3, d3, d2]);
  expect([asked, open]).toEqual([[['k', d3]], []]);
});

test('a key of which nothing can be found out is left open, asked for again, and told of once', async () => {
  const asked: [string, Dot][] = [];
  let known = false;
  const { news, late, failures, pass } = newsOf(async (key, last) => {
    asked.push([key, last]);
    if (key === 'k2' || known) return { state: holding(last), made: [] };
    if (key === 'left') return undefined;
    throw new Error('nobody has thought of this');
  });
  const first = await news.of([
    entry(holding(d2)),
    entry(holding(d1), 'k2'),
    entry(holding(d1)),
    entry(holding(d1), 'left'),
  ]);
  expect([first.told.map(text), first.open.map(text)]).toEqual([['k2'], ['k', 'k', 'left']]);
  // What comes of it meanwhile waits with it, without a question.
  const second = await news.of([entry(holding(d3)), entry(holding(d3), 'k2')]);
  expect([second.told.map(text), second.open.map(text)]).toEqual([['k2'], ['k']]);
  await pass();
  expect(late).toEqual([]);
  known = true;
  await pass();
  await pass();
  expect(late.map((one) => shown(one)[0]![0])).toEqual([d3]);
  // Nobody waits for the other one any more.
  expect(asked.filter(([key]) => key !== 'k2')).toEqual([
    ['k', d2],
    ['left', d1],
    ['k', d3],
    ['k', d3],
  ]);
  expect(failures).toHaveLength(2);
});

test('a key that gives no answer at all holds up the others no longer than a moment', async () => {
  const { news, pass } = newsOf((key, last) =>
    key === 'k' ? new Promise(() => undefined) : Promise.resolve({ state: holding(last), made: [] }),
  );
  const found = news.of([entry(holding(d1)), entry(holding(d1), 'k2')]);
  await pass();
  expect((await found).told.map(text)).toEqual(['k2']);
});
