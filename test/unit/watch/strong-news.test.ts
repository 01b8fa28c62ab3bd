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

test('each key is asked for once, with its last change, and again as long as there is no answer', async () => {
  const asked: [string, Dot][] = [];
  const failures: unknown[] = [];
  let asks = 0;
  const news = new StrongNews({
    clock: { after: (_: number, run: () => void) => queueMicrotask(run) } as never,
    settle: async (key, last): Promise<Settled | undefined> => {
      asked.push([new TextDecoder().decode(key), last]);
      asks += 1;
      if (asks === 2) throw new Error('nobody has thought of this');
      return asks < 3 ? undefined : { state: holding(last), made: [d1] };
    },
    known: ({ key }) => new TextDecoder().decode(key) === 'known',
    stopped: () => false,
    failed: (error) => failures.push(error),
  });
  const changes = [entry(holding(d1)), entry(holding(d3)), entry(holding(d2)), entry(holding(d2), 'known')];
  const told = await news.of(changes);
  expect(told.map((one) => shown(one)[0]![0])).toEqual([d1, d3, d3, d2]);
  expect(asked).toEqual([
    ['k', d3],
    ['k', d3],
    ['k', d3],
  ]);
  expect(failures).toEqual([new Error('nobody has thought of this')]);
});
