/**
 * What the causality room costs in the path of one PUT or GET: the state of a key with one value of 1 KiB.
 * Run it with `node bench/micro/causality.bench.ts`.
 */

import { createHmac } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { Bench } from 'tinybench';
import { decodeContext, encodeContext } from '#causality/context-token.ts';
import type { Dot } from '#causality/dot.ts';
import { etagOf } from '#causality/etag.ts';
import { HybridClock } from '#causality/hybrid-clock.ts';
import { joinStates } from '#causality/join.ts';
import { decodeState, encodeState } from '#causality/state-codec.ts';
import { EMPTY_STATE } from '#causality/state.ts';
import type { Content, State } from '#causality/state.ts';
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

  const bench = new Bench({ time: milliseconds, warmupTime: milliseconds / 2 });
  bench
    .add('crc32 of 1 KiB', () => void crc32(content.value))
    .add('encode state', () => void encodeState(state, crc32))
    .add('decode state', () => void decodeState(bytes, crc32))
    .add('write on top of a state', () => void put(state, 1))
    .add('join, nothing new', () => void joinStates(state, old, 'lww'))
    .add('join, news', () => void joinStates(old, state, 'lww'))
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
