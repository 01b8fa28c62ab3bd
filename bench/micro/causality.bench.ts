/**
 * What the causality room costs in the path of one PUT or GET: the state of a key with one value of 1 KiB.
 * Run it with `node bench/micro/causality.bench.ts`.
 */

import { createHmac } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { Bench } from 'tinybench';
import { decodeContext, encodeContext } from '#causality/context-token.ts';
import type { Operation } from '#causality/data-type.ts';
import type { Dot } from '#causality/dot.ts';
import { etagOf } from '#causality/etag.ts';
import { HybridClock } from '#causality/hybrid-clock.ts';
import { joinStates } from '#causality/join.ts';
import { carryOut, dotsOf, planOperation } from '#causality/operate.ts';
import { decodeState, encodeState } from '#causality/state-codec.ts';
import { EMPTY_STATE } from '#causality/state.ts';
import type { Content, State } from '#causality/state.ts';
import { valueOf } from '#causality/type-value.ts';
import { applyWrite, counterFor } from '#causality/write.ts';
import { utf8 } from '#kernel/bytes.ts';
import { nodeIndex } from '#kernel/identity.ts';

const VALUE_BYTES = 1024;

interface Figure {
  readonly name: string;
  readonly microseconds: number;
}

/** Measures each operation for about `milliseconds`. */
export async function run(milliseconds: number): Promise<readonly Figure[]> {
  const clock = new HybridClock({ wall: Date.now });
  const content: Content = {
    value: new Uint8Array(VALUE_BYTES).fill(7),
    contentType: 'application/octet-stream',
    contentEncoding: '',
    meta: [],
  };
  const put = (state: State, node: number): State => {
    const dot: Dot = { node: nodeIndex(node), tenure: 1e14, counter: counterFor(clock.tick(), state.vector, state) };
    return applyWrite(state, { context: state.vector, dot, content, expiresAt: 0, conflicts: 'lww' });
  };
  const old = put(put(put(EMPTY_STATE, 1), 2), 3);
  const state = put(old, 1);
  const bytes = encodeState(state, crc32);
  const scope = utf8('bucket/some-key');
  const mac = (input: Uint8Array): Uint8Array => createHmac('sha256', 'secret').update(input).digest();
  const token = encodeContext(state.vector, scope, mac);

  const operate = (before: State, operation: Operation, node = 1): State => {
    const actor = { node: nodeIndex(node), tenure: 1e14 };
    const plan = planOperation(before, operation, { actor, context: null, keyed: false, alone: false, now: 0 });
    const counter = counterFor(clock.reserve(dotsOf(plan)), [], before);
    return carryOut(before, plan, { first: { ...actor, counter }, expiresAt: 0, request: undefined }).state;
  };
  const counter = [1, 2, 3].reduce((before, node) => operate(before, { kind: 'increment', by: 1 }, node), EMPTY_STATE);
  const elements = Array.from({ length: 1000 }, (_, i) => JSON.stringify(`element ${i}`));
  const set = operate(EMPTY_STATE, { kind: 'add', values: elements });
  const setBytes = encodeState(set, crc32);

  const bench = new Bench({ time: milliseconds, warmupTime: milliseconds / 2 });
  bench
    .add('crc32 of 1 KiB', () => void crc32(content.value))
    .add('encode state', () => void encodeState(state, crc32))
    .add('decode state', () => void decodeState(bytes, crc32))
    .add('write on top of a state', () => void put(state, 1))
    .add('join, nothing new', () => void joinStates(state, old, 'lww'))
    .add('join, news', () => void joinStates(old, state, 'lww'))
    .add('increment a counter of three owners', () => void operate(counter, { kind: 'increment', by: 1 }))
    .add('add to a set of 1000, encoded', () => void encodeState(operate(set, { kind: 'add', values: ['"x"'] }), crc32))
    .add('decode a set of 1000', () => void decodeState(setBytes, crc32))
    .add('show a set of 1000', () => void valueOf('set', set.versions))
    .add('etag', () => void etagOf(state.versions))
    .add('encode context', () => void encodeContext(state.vector, scope, mac))
    .add('decode context', () => void decodeContext(token, scope, mac));
  await bench.run();
  return bench.tasks.map((task) => {
    if (task.result.state !== 'completed') throw new Error(`${task.name}: ${task.result.state}`);
    return { name: task.name, microseconds: task.result.latency.p50 * 1000 };
  });
}

if (import.meta.main) {
  for (const { name, microseconds } of await run(500))
    console.log(`${microseconds.toFixed(2).padStart(8)} µs  ${name}`);
}
