import { describe, expect, it } from 'vitest';
import { hybridTimeAt } from '#causality/hybrid-clock.ts';
import type { RequestMark } from '#causality/repeats.ts';
import { valueOf } from '#causality/type-value.ts';
import { decodeRegister, encodeRegister } from '#coordinator/register-row-codec.ts';
import { decodeShown, decodeValue, encodeValue } from '#coordinator/register-value-codec.ts';
import {
  changeValue,
  hasExpired,
  isForgotten,
  NO_VALUE,
  nothingFrom,
  RECENT_MAX,
  RETRIED_MAX,
  type ChangeResult,
  type RegisterChange,
  type RegisterValue,
  wasLetGo,
} from '#coordinator/register-value.ts';
import { toHex, utf8 } from '#kernel/bytes.ts';
import { nodeIndex } from '#kernel/identity.ts';
import { digest } from '#world/digest.ts';

const START = Date.UTC(2026, 0, 1);
const PUT: RegisterChange = {
  kind: 'write',
  content: { value: utf8('v'), contentType: 'text/plain', contentEncoding: '', meta: [] },
  conditions: null,
  mark: null,
  expiresAt: 0,
  returnBody: false,
};

/** One register whose changes come a millisecond apart. */
class Key {
  value: RegisterValue = NO_VALUE;
  now = START;

  /** The ids of changes that nobody looks for any more. */
  readonly answered = new Set<number>();

  make(id: number, change: RegisterChange = PUT, retried = false): ChangeResult {
    this.now += 1;
    const isAnswered = (bytes: Uint8Array): boolean => this.answered.has(idOf(bytes));
    const dot = { node: nodeIndex(1), tenure: 7, counter: hybridTimeAt(this.now) };
    const changed = changeValue(this.value, change, {
      ...{ id: named(id), retried, dot, now: this.now, leastToken: 1, isAnswered },
    });
    this.value = changed.value;
    return changed.result;
  }

  forgotten(id: number, triedAt: number): boolean {
    return isForgotten(this.value, { id: named(id), triedAt });
  }
}

function named(id: number): Uint8Array {
  const bytes = new Uint8Array(16);
  new DataView(bytes.buffer).setUint32(12, id);
  return bytes;
}

function idOf(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(12);
}

describe('what a register remembers of its changes', () => {
  const remembered = ({ value }: Key): number[] => value.recent.map(({ id }) => idOf(id));

  it('those that were answered go with the next change, but for those that another proposer may look for', () => {
    const key = new Key();
    key.make(1);
    key.make(2, PUT, true);
    key.make(3);
    for (const id of [1, 2]) key.answered.add(id);
    expect(remembered(key)).toEqual([1, 2, 3]);
    key.make(4);
    expect(remembered(key)).toEqual([2, 3, 4]);
  });

  it('of a full list none goes before its time: that it is full says that some were forgotten', () => {
    const key = new Key();
    for (let id = 1; id <= RECENT_MAX + 1; id++) key.make(id);
    for (let id = 2; id <= RECENT_MAX; id++) key.answered.add(id);
    key.make(1000);
    key.make(1001);
    expect(key.value.recent).toHaveLength(RECENT_MAX);
    expect(key.forgotten(1, START)).toBe(true);
    key.now += 220_000;
    key.make(1002);
    key.make(1003);
    expect(remembered(key)).toEqual([1002, 1003]);
  });

  it('a change that is made again changes nothing', () => {
    const key = new Key();
    const first = key.make(1);
    key.make(2);
    const before = key.value;
    expect(key.make(1)).toMatchObject({ kind: 'written', written: first.kind === 'written' && first.written });
    expect(key.value).toBe(before);
  });

  it('one that came from another proposer is remembered however many follow, and then no longer than need be', () => {
    const key = new Key();
    key.make(1, PUT, true);
    for (let id = 2; id < 10 * RECENT_MAX; id++) key.make(id);
    expect(key.value.recent).toHaveLength(RECENT_MAX + 1);
    const before = key.value;
    key.make(1, PUT, true);
    expect(key.value).toBe(before);
    key.now += 220_000;
    key.make(9999);
    expect(key.value.recent).toHaveLength(1);
  });

  it('one that may have been made and forgotten is not made', () => {
    const key = new Key();
    expect(key.forgotten(1, START)).toBe(false);
    for (let id = 2; id < RECENT_MAX + 1; id++) key.make(id);
    expect(key.forgotten(1, START)).toBe(false);
    key.make(1000);
    expect(key.forgotten(1, START)).toBe(true);
    expect(key.forgotten(1, 0)).toBe(false);
    expect(key.forgotten(1000, START)).toBe(false);
  });

  it('what somebody whose clock is ahead has let go of may have been made', () => {
    const key = new Key();
    key.make(1);
    const triedAt = key.now;
    expect(key.forgotten(2, triedAt)).toBe(false);
    key.now += 300_000;
    key.make(3);
    key.now -= 300_000;
    // Made, and remembered no more.
    expect(key.forgotten(1, triedAt)).toBe(true);
    expect([wasLetGo(key.value, triedAt), wasLetGo(key.value, triedAt + 180_000)]).toEqual([true, false]);
    expect([key.forgotten(3, triedAt), key.forgotten(1, 0)]).toEqual([false, false]);
  });

  it.each([
    ['let go of for its age', 1, 119_000 + 55_000 + 40_000],
    ['let go of for want of room', RECENT_MAX, 0],
  ])(
    'what somebody whose clock is nearly two minutes behind has made, and was %s, may have been made',
    (_, more, later) => {
      const key = new Key();
      const triedAt = key.now;
      key.now -= 119_000;
      key.make(1);
      // The attempt is given up within a minute of the right clock; by one that is ahead more has passed.
      key.now += later;
      for (let id = 2; id < 2 + more; id++) key.make(id);
      const isRemembered = key.value.recent.some(({ id }) => idOf(id) === 1);
      expect(isRemembered || key.forgotten(1, triedAt)).toBe(true);
    },
  );

  it('what is tried when others were let go of in time was not', () => {
    const key = new Key();
    key.make(1);
    key.now += 220_000;
    key.make(2);
    expect(key.value.recent).toHaveLength(1);
    expect(key.forgotten(3, key.now - 60_000)).toBe(false);
  });

  it('only so many are remembered for others; more are not made', () => {
    const key = new Key();
    for (let id = 0; id < RETRIED_MAX; id++) key.make(id, PUT, true);
    expect(key.forgotten(99, START)).toBe(true);
    expect(key.forgotten(3, START)).toBe(false);
  });

  it('a lease that was given back is not given again by a late attempt', () => {
    const key = new Key();
    const acquire: RegisterChange = { kind: 'acquire', holder: 'h', milliseconds: 60_000 };
    const leased = key.make(1, acquire, true);
    const token = leased.kind === 'leased' ? leased.lease.token : -1;
    expect(key.make(2, { kind: 'release', token })).toEqual({ kind: 'released' });
    expect(key.make(1, acquire)).toEqual({ kind: 'ended' });
    expect(key.value.lease).toBeNull();
    expect(key.make(3, acquire).kind).toBe('leased');
  });
});

describe('the bytes of a register', () => {
  const key = new Key();
  key.make(1);
  key.make(2, { kind: 'acquire', holder: 'h', milliseconds: 1000 }, true);

  it('are those that were written before', () => {
    expect(toHex(encodeValue(key.value, digest.crc32))).toMatchInlineSnapshot(
      `"970102c42c0101010780a08096b1af1d0101baacc30080a08096b1af1d000a746578742f706c61696e000001768deb5cf593a16801cb4279b76daabea000019293c4100000000000000000000000000000000101930107cb42dd5ec4b004000094c4100000000000000000000000000000000202930107cb42dd5ec4b0080000c390"`,
    );
    const accepted = { ballot: { time: 5, node: nodeIndex(1), boot: 2 }, value: utf8('v') };
    const promised = { time: 6, node: nodeIndex(1), boot: 2 };
    const row = encodeRegister({ promised, accepted }, digest.crc32);
    expect(toHex(row)).toMatchInlineSnapshot(`"92930601029293050102c401760b7fdd62"`);
    expect(decodeRegister(row, digest.crc32)).toEqual({ promised, accepted });
  });

  it('say what was there', () => {
    expect(decodeValue(encodeValue(key.value, digest.crc32), digest.crc32)).toEqual(key.value);
    const later = new Key();
    later.make(1);
    later.now += 220_000;
    later.make(2);
    const bytes = encodeValue(later.value, digest.crc32);
    expect([bytes[0], decodeValue(bytes, digest.crc32)]).toEqual([0x98, later.value]);
    expect(decodeShown(bytes, digest.crc32)).toEqual({ state: later.value.state, lease: null });
  });
});

describe('when a register holds nothing any more', () => {
  const MINUTE = 60_000;
  const remove: RegisterChange = { ...PUT, content: null };

  it('never while it has a value, else when nobody looks for what it remembers', () => {
    const key = new Key();
    expect(nothingFrom(key.value, MINUTE)).toBe(0);
    key.make(1);
    expect(nothingFrom(key.value, MINUTE)).toBe(Infinity);
    key.make(2, remove);
    expect(nothingFrom(key.value, MINUTE)).toBe(key.now + MINUTE);
    expect(nothingFrom(key.value, 10 * MINUTE)).toBe(key.now + 10 * MINUTE);
  });

  it('not before the window of an idempotency key, the end of a lease, and that of a value that expires', () => {
    const keyed = new Key();
    keyed.make(1, { ...remove, mark: { id: named(7), fingerprint: named(8) } });
    expect(nothingFrom(keyed.value, MINUTE)).toBe(keyed.value.keyed[0]!.until);
    const lease = new Key();
    lease.make(1, { kind: 'acquire', holder: 'h', milliseconds: 5 * MINUTE });
    expect(nothingFrom(lease.value, MINUTE)).toBe(lease.now + 5 * MINUTE);
    const expiring = new Key();
    expiring.make(1, { ...PUT, expiresAt: START + 3 * MINUTE });
    expect(nothingFrom(expiring.value, MINUTE)).toBe(START + 4 * MINUTE);
  });
});

it('a value expires by a change, in the order of changes, and not before', () => {
  const key = new Key();
  key.make(1, { ...PUT, expiresAt: START + 10 });
  expect(hasExpired(key.value, START + 9)).toBe(false);
  expect(hasExpired(key.value, START + 10)).toBe(true);
  const before = key.value;
  expect(key.make(2, { kind: 'look' })).toMatchObject({ kind: 'state', state: { versions: [{ content: {} }] } });
  expect(key.value).toBe(before);
  key.now = START + 20;
  expect(key.make(3, { kind: 'look' })).toMatchObject({ kind: 'state', state: { versions: [] } });
  expect(key.value.state.versions).toEqual([]);
  expect(key.value.state.vector).toEqual(before.state.vector);
});

describe('data types in a register', () => {
  const increment = (by: number, mark: RequestMark | null = null): RegisterChange => ({
    ...PUT,
    content: null,
    operation: { kind: 'increment', by },
    mark,
  });
  const shown = (key: Key) => valueOf('counter', key.value.state.versions)?.value;

  it('all increments are one number, and one that is made again changes nothing', () => {
    const key = new Key();
    for (const by of [1, 10, -4]) key.make(by + 100, increment(by));
    expect(key.make(110, increment(10))).toMatchObject({ kind: 'written' });
    expect([shown(key), key.value.state.versions.length, key.value.state.vector.length]).toEqual([7, 1, 1]);
  });

  it('an increment with an idempotency key counts once, also when another attempt has another id', () => {
    const key = new Key();
    const mark = { id: named(8), fingerprint: named(9) };
    const [first, second] = [key.make(1, increment(5, mark)), key.make(2, increment(5, mark))];
    key.make(3, increment(1));
    expect(shown(key)).toBe(6);
    expect(second).toMatchObject({ kind: 'written', written: (first as { written: unknown }).written });
    const other = { id: named(8), fingerprint: named(7) };
    expect(key.make(4, increment(6, other))).toEqual({ kind: 'idempotency-mismatch' });
  });

  it('what does not fit changes nothing; a value survives its bytes', () => {
    const key = new Key();
    key.make(1, { ...PUT, content: null, operation: { kind: 'add', values: ['1', '2', '3'] } });
    expect(decodeValue(encodeValue(key.value, digest.crc32), digest.crc32)).toEqual(key.value);
    key.make(2, { ...PUT, content: null, operation: { kind: 'remove', values: ['1', '2', '3'] } });
    expect(valueOf('set', key.value.state.versions)).toEqual({ value: [] });
    const counter = new Key();
    counter.make(1, increment(Number.MAX_SAFE_INTEGER));
    const before = counter.value;
    expect(counter.make(2, increment(1))).toMatchObject({ kind: 'unfitting' });
    expect(counter.value).toBe(before);
  });
});

describe('a touch of a register', () => {
  const TOUCH: RegisterChange = { ...PUT, content: null, operation: { kind: 'touch' }, expiresAt: START + 5000 };
  it('moves the end of what is there and nothing else', () => {
    const key = new Key();
    expect(key.make(1, TOUCH)).toEqual({ kind: 'precondition-failed', etag: undefined });
    key.make(2, { ...PUT, expiresAt: START + 1000 });
    const [before] = key.value.state.versions;
    expect(key.make(3, TOUCH)).toMatchObject({ kind: 'written' });
    expect(key.value.state.versions).toEqual([{ ...before, expiresAt: START + 5000 }]);
    expect(decodeValue(encodeValue(key.value, digest.crc32), digest.crc32)).toEqual(key.value);
    expect(key.make(4, { ...TOUCH, expiresAt: START + 2000 })).toMatchObject({ kind: 'written' });
    expect(key.value.state.versions).toEqual([{ ...before, expiresAt: START + 5000 }]);
    key.now = START + 5000;
    expect(key.make(5, TOUCH)).toEqual({ kind: 'precondition-failed', etag: undefined });
  });
});
