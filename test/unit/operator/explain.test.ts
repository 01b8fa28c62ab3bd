import { expect, test } from 'vitest';
import { EMPTY_STATE, type State } from '#causality/state.ts';
import { encodeState } from '#causality/state-codec.ts';
import { nodeIndex } from '#kernel/identity.ts';
import { agree, differences, type Sighting } from '#operator/explain.ts';
import { KeyReportMessage, reportState, type KeyReport, type StateReport } from '#operator/key-report.ts';
import { digest } from '#world/digest.ts';
import { dot, stateOf } from '../causality/examples.ts';

const WORDS = {
  member: (node: number): string => `n${node}`,
  time: (ms: number): string => new Date(ms).toISOString(),
};

function report(state: State): StateReport {
  return reportState(state, encodeState(state, digest.crc32), digest);
}

const OLD = report(stateOf([dot(1, 5)], [dot(1, 5)]));
const NEW = report(stateOf([dot(1, 5), dot(2, 9)], [dot(2, 9)]));
const BOTH = report(stateOf([dot(1, 5), dot(2, 9)], [dot(1, 5), dot(2, 9)]));
const DELETED = report(stateOf([dot(1, 5), dot(2, 9)], []));

function owner(node: string, record: StateReport | null, change: Partial<Sighting> = {}): Sighting {
  return { node, role: 'primary', silence: '', refilling: false, record, damage: '', ...change };
}

test('equal replicas agree, and nothing is said', () => {
  const all = [owner('n1', NEW), owner('n2', NEW), owner('n3', NEW)];
  expect(agree(all)).toBe(true);
  expect(differences(all, [], WORDS)).toEqual([]);
  expect(agree([owner('n1', null), owner('n2', null)])).toBe(true);
});

test('who is behind is named, in what, and why', () => {
  const hint = { at: 'n4', for: 'n2', state: NEW };
  const some = [owner('n1', NEW), owner('n2', OLD), owner('n3', null, { refilling: true })];
  expect(agree(some)).toBe(false);
  expect(differences(some, [hint], WORDS)).toEqual([
    'n2 has not heard of n2/1/9, written 2025-01-01T00:00:00.000Z; a hint for it waits at n4',
    'n2 still has n1/1/5, which was replaced or deleted elsewhere; a hint for it waits at n4',
    'n3 has not heard of n2/1/9, written 2025-01-01T00:00:00.000Z; it has lost its disk and is being filled',
  ]);
});

test('siblings and deletes are told apart from replaced versions', () => {
  expect(differences([owner('n1', BOTH), owner('n2', OLD)], [], WORDS)).toEqual([
    'n2 has not heard of n2/1/9, written 2025-01-01T00:00:00.000Z',
  ]);
  expect(differences([owner('n1', DELETED), owner('n2', OLD), owner('n3', null)], [], WORDS)).toEqual([
    'n2 still has n1/1/5, which was replaced or deleted elsewhere',
    'n3 has not heard of a write of n1 that was replaced since',
  ]);
});

test('news that only a hint has is news for everybody', () => {
  const hint = { at: 'n4', for: 'n2', state: NEW };
  const told = differences([owner('n1', OLD), owner('n2', OLD)], [hint], WORDS);
  expect(told.filter((sentence) => sentence.startsWith('n1'))).toHaveLength(2);
});

test('silence, damage and former owners are told, and nobody agrees with them', () => {
  const silent = owner('n1', null, { silence: 'unreachable' });
  const damaged = owner('n2', null, { damage: 'checksum of version 1' });
  const former: Sighting = { ...owner('n5', OLD), role: 'former' };
  expect(agree([silent, owner('n2', null)])).toBe(false);
  expect(agree([damaged, owner('n1', null)])).toBe(false);
  expect(agree([owner('n1', NEW), former])).toBe(true);
  expect(differences([silent, damaged, former], [], WORDS)).toEqual([
    'n1 did not answer: unreachable',
    'n2 has a record that cannot be read: checksum of version 1',
    'n5 does not own the key any more and still has a record of it',
  ]);
});

test('reports cross the wire as they are', () => {
  const full: KeyReport = {
    record: BOTH,
    damage: '',
    hints: [
      { owner: nodeIndex(2), state: NEW, sole: true, low: 9 },
      { owner: nodeIndex(3), state: null, sole: false, low: 5 },
    ],
  };
  for (const sent of [full, { record: null, damage: 'why', hints: [] }]) {
    expect(KeyReportMessage.decodeReply(KeyReportMessage.encodeReply(sent))).toEqual(sent);
  }
  const question = { bucket: 'b', incarnation: 1, n: 3, partition: 7, key: new Uint8Array([1, 2]) };
  expect(KeyReportMessage.decodeRequest(KeyReportMessage.encodeRequest(question))).toEqual(question);
  expect(report(EMPTY_STATE).versions).toEqual([]);
});

test('the form of reports is fixed', () => {
  const body = KeyReportMessage.encodeReply({
    record: { vector: [dot(1, 5)], versions: [{ dot: dot(1, 5), bytes: 3, deleted: false }], digest: 'ab' },
    damage: '',
    hints: [{ owner: nodeIndex(2), state: null, sole: true, low: 9 }],
  });
  expect(body).toEqual([[[[1, 1, 5]], [[[1, 1, 5], 3, false]], 'ab'], '', [[2, null, true, 9]]]);
});
