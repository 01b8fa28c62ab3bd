import { expect, test } from 'vitest';
import { joinStates, settle } from '#causality/join.ts';
import { REQUEST_WINDOW_MS } from '#causality/repeats.ts';
import { decodeState, encodeState, stateBytes } from '#causality/state-codec.ts';
import { EMPTY_STATE, type State } from '#causality/state.ts';
import { applyWrite } from '#causality/write.ts';
import { toHex } from '#kernel/bytes.ts';
import { digest } from '#world/digest.ts';
import { contentOf, dot } from './examples.ts';

const REQUEST = '0123456789abcdef0123456789abcdef';
const MINUTE = 60_000 * 4096;

function attempt(node: number, counter: number, request: string | null = REQUEST, before: State = EMPTY_STATE): State {
  const write = {
    context: [],
    dot: dot(node, counter),
    content: contentOf('v'),
    expiresAt: 0,
    request: request ?? undefined,
  };
  return applyWrite(before, { ...write, conflicts: 'siblings' });
}

function dotsOf({ versions }: State): readonly number[] {
  return versions.map(({ dot: { counter } }) => counter);
}

test('two attempts of one request are one version, the first, whichever way they meet', () => {
  const [first, second, third] = [attempt(2, 5), attempt(1, 9), attempt(3, 7)];
  for (const [a, b, c] of [
    [first, second, third],
    [third, second, first],
    [second, first, third],
  ] as const) {
    const joined = joinStates(joinStates(a, b, 'siblings'), c, 'siblings');
    expect(dotsOf(joined)).toEqual([5]);
    expect(joined.vector.map(({ counter }) => counter)).toEqual([9, 5, 7]);
  }
});

test('other requests, and requests without a key, stay beside each other', () => {
  const other = attempt(2, 9, REQUEST.replace('0', '1'));
  expect(dotsOf(joinStates(attempt(1, 5), other, 'siblings'))).toEqual([5, 9]);
  expect(dotsOf(joinStates(attempt(1, 5, null), attempt(2, 9, null), 'siblings'))).toEqual([5, 9]);
});

test('what comes when the window is over is a new request', () => {
  const first = attempt(1, MINUTE);
  const window = (REQUEST_WINDOW_MS / 60_000) * MINUTE;
  expect(dotsOf(joinStates(first, attempt(2, MINUTE + window), 'siblings'))).toEqual([MINUTE]);
  const late = MINUTE + window + 4096;
  expect(dotsOf(joinStates(first, attempt(2, late), 'siblings'))).toEqual([MINUTE, late]);
});

test('a last-write-wins bucket keeps the latest: dropping repetitions there would make the key vanish', () => {
  // Two attempts of one request, and a foreign write between them.
  const [d1, d2, d3] = [attempt(1, 5), attempt(2, 7, null), attempt(3, 9)];
  const settled = [d1, d2, d3].reduce((a, b) => joinStates(a, b, 'lww'), EMPTY_STATE);
  expect(dotsOf(settled)).toEqual([9]);
  // One replica knows the attempts and would keep the first; the other knows all but the first's row, and keeps the last.
  const one = settle(joinStates(d1, d3, 'siblings'), 'lww');
  const other = joinStates(joinStates(d1, d2, 'lww'), d3, 'lww');
  expect([dotsOf(one), dotsOf(other)]).toEqual([[5], [9]]);
  expect(dotsOf(joinStates(one, other, 'lww'))).toEqual([]);
});

test('the name of the request is kept with the version: golden bytes', () => {
  const state = attempt(1, 5);
  const bytes = encodeState(state, digest.crc32);
  expect(bytes.length).toBe(stateBytes(state));
  expect(decodeState(bytes, digest.crc32)).toEqual(state);
  expect(toHex(bytes)).toBe(
    '010101010501f4f092370005040123456789abcdef0123456789abcdef0a746578742f706c61696e00000176aab3e2df',
  );
});
