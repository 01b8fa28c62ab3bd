/**
 * What every Disk promises, as one suite for all implementations.
 */

import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { compareBytes, toHex, utf8 } from '#kernel/bytes.ts';
import type { Disk, DiskReader, RangeOptions, Row, TableDefinition } from '#world/world.ts';

export const CONTRACT_TABLES: readonly TableDefinition[] = [
  { name: 'narrow', rows: 'narrow' },
  { name: 'wide', rows: 'wide', recalled: true },
  { name: 'numbered', rows: 'numbered' },
];

/** Those that take any key. */
const TABLE_NAMES = ['narrow', 'wide'];

/** One medium on which disks are opened one after the other. */
export interface DiskUnderTest {
  open(): Promise<Disk>;
  /** Lets time pass until the promise has settled. */
  settle<T>(promise: Promise<T>): Promise<T>;
  /** Removes the medium; the last disk has been closed. */
  remove(): Promise<void>;
}

const bytes = (...values: number[]): Uint8Array => new Uint8Array(values);

function everything(disk: DiskReader, table: string): Row[] {
  return disk.range(table, { limit: Number.MAX_SAFE_INTEGER });
}

/** `runs` is the number of random histories that are compared with those of a plain map. */
export function diskContract(name: string, runs: number, make: () => DiskUnderTest): void {
  describe(`the disk of the ${name} world`, () => {
    let medium: DiskUnderTest;
    let disk: Disk;

    beforeEach(async () => {
      medium = make();
      disk = await medium.open();
    });

    afterEach(async () => {
      await medium.settle(disk.close());
      await medium.remove();
    });

    const reopen = async (): Promise<void> => {
      await medium.settle(disk.close());
      disk = await medium.open();
    };

    const put = (table: string, ...rows: Row[]): Promise<void> =>
      disk.commit((transaction) => {
        for (const [key, value] of rows) transaction.put(table, key, value);
      }).durable;

    describe.each(TABLE_NAMES)('a %s table', (table) => {
      test('gives back what was put, and nothing after it was deleted', async () => {
        expect(disk.get(table, bytes(1))).toBeUndefined();
        await medium.settle(put(table, [bytes(1), bytes(10)], [bytes(2), bytes(20)]));
        expect(disk.get(table, bytes(1))).toEqual(bytes(10));
        await medium.settle(put(table, [bytes(1), bytes(11, 12)]));
        disk.commit((transaction) => transaction.delete(table, bytes(2)));
        disk.commit((transaction) => transaction.delete(table, bytes(3)));
        expect(everything(disk, table)).toEqual([[bytes(1), bytes(11, 12)]]);
      });

      test('recalls what it gives, before and after it was read', async () => {
        await medium.settle(put(table, [bytes(1), bytes(10)], [bytes(2), bytes(20)]));
        await reopen();
        for (let i = 0; i < 2; i++) {
          expect(disk.recall(table, bytes(1))).toEqual(bytes(10));
          expect(disk.recall(table, bytes(3))).toBeUndefined();
        }
        disk.commit((transaction) => {
          transaction.delete(table, bytes(1));
          transaction.put(table, bytes(2), bytes());
          expect(transaction.recall(table, bytes(1))).toBeUndefined();
          expect(transaction.recall(table, bytes(2))).toEqual(bytes());
        });
        expect(disk.recall(table, bytes(1))).toBeUndefined();
        expect(disk.recall(table, bytes(2))).toEqual(bytes());
      });

      test('of a value that is longer than wanted it tells the length', async () => {
        await medium.settle(put(table, [bytes(1), new Uint8Array(70_000).fill(7)], [bytes(2), bytes(20)]));
        await reopen();
        for (let i = 0; i < 2; i++) {
          expect(disk.recallUpTo(table, bytes(1), 69_999)).toBe(70_000);
          expect(disk.recallUpTo(table, bytes(1), 70_000)).toHaveLength(70_000);
          expect(disk.recallUpTo(table, bytes(2), 1)).toEqual(bytes(20));
          expect(disk.recallUpTo(table, bytes(3), 1)).toBeUndefined();
        }
      });

      test('ends a range with the row that makes it so many bytes', async () => {
        await medium.settle(put(table, ...[1, 2, 3, 4].map((n): Row => [bytes(n), new Uint8Array(n)])));
        const keys = (options: Omit<RangeOptions, 'limit'>, limit = 4): number[] =>
          disk.range(table, { ...options, limit }).map(([key]) => key[0]!);
        expect(keys({ bytes: 1 })).toEqual([1]);
        expect(keys({ bytes: 3 })).toEqual([1, 2]);
        expect(keys({ bytes: 4 })).toEqual([1, 2, 3]);
        expect(keys({ bytes: 11 })).toEqual([1, 2, 3, 4]);
        expect(keys({ bytes: 4 }, 2)).toEqual([1, 2]);
        expect(keys({ bytes: 5, reverse: true, to: bytes(4) })).toEqual([3, 2]);
        expect(keys({ bytes: 3, from: bytes(3), to: bytes(4) })).toEqual([3]);
      });

      test('takes any bytes as a key and a value, also none at all', async () => {
        const keys = [
          bytes(),
          bytes(0),
          bytes(0, 0),
          utf8('Grüße\u0000'),
          bytes(0xff),
          bytes(0xff, 0xff),
          bytes(0xc3, 0x28),
        ];
        await medium.settle(put(table, ...keys.map((key): Row => [key, key])));
        await reopen();
        for (const key of keys) {
          expect(disk.recall(table, key)).toEqual(key);
          expect(disk.get(table, key)).toEqual(key);
          expect(disk.recall(table, key)).toEqual(key);
        }
        expect(everything(disk, table).map(([key]) => key)).toEqual(keys.toSorted(compareBytes));
      });

      test('orders keys as unsigned bytes, a prefix before what extends it', async () => {
        const ordered = [
          bytes(),
          bytes(0),
          bytes(0, 1),
          bytes(1),
          bytes(0x7f),
          bytes(0x80),
          bytes(0xff),
          bytes(0xff, 0),
        ];
        await medium.settle(put(table, ...ordered.toReversed().map((key): Row => [key, bytes()])));
        const keys = (options: RangeOptions): Uint8Array[] => disk.range(table, options).map(([key]) => key);
        expect(keys({ limit: 100 })).toEqual(ordered);
        expect(keys({ limit: 100, reverse: true })).toEqual(ordered.toReversed());
        expect(keys({ limit: 3 })).toEqual(ordered.slice(0, 3));
        expect(keys({ limit: 2, reverse: true })).toEqual([bytes(0xff, 0), bytes(0xff)]);
        expect(keys({ limit: 0 })).toEqual([]);
        expect(keys({ from: bytes(0, 1), to: bytes(0x80), limit: 100 })).toEqual([bytes(0, 1), bytes(1), bytes(0x7f)]);
        expect(keys({ from: bytes(0, 2), limit: 1 })).toEqual([bytes(1)]);
        expect(keys({ from: bytes(0, 2), to: bytes(0x80), limit: 1, reverse: true })).toEqual([bytes(0x7f)]);
        expect(keys({ to: bytes(), limit: 100 })).toEqual([]);
        expect(keys({ from: bytes(2), to: bytes(1), limit: 100 })).toEqual([]);
      });

      test('tells keys of all lengths apart', async () => {
        const keys = Array.from({ length: 130 }, (_, length) => new Uint8Array(length + 1).fill(length));
        await medium.settle(put(table, ...keys.map((key): Row => [key, bytes(key.length)])));
        for (const key of keys) expect(disk.get(table, key)).toEqual(bytes(key.length));
        const even = keys.filter(({ length }) => length % 2 === 0);
        await medium.settle(disk.commit((rows) => even.forEach((key) => rows.delete(table, key))).durable);
        expect(disk.range(table, { limit: 1000 })).toHaveLength(65);
      });

      test('holds a value of 4 MiB', async () => {
        const value = new Uint8Array(randomBytes(4 * 1024 * 1024));
        await medium.settle(put(table, [bytes(1), value], [bytes(2), bytes(2)]));
        await reopen();
        expect(compareBytes(disk.get(table, bytes(1))!, value)).toBe(0);
        expect(compareBytes(disk.recall(table, bytes(1))!, value)).toBe(0);
        expect(disk.get(table, bytes(2))).toEqual(bytes(2));
      });
    });

    describe('a numbered table', () => {
      const numbered = (number: number): Uint8Array => {
        const key = new Uint8Array(8);
        new DataView(key.buffer).setBigUint64(0, BigInt(number));
        return key;
      };
      const numberArbitrary = fc.oneof(fc.nat(300), fc.constantFrom(2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER));

      test('has its rows in the order of their numbers', async () => {
        const numbers = [Number.MAX_SAFE_INTEGER, 256, 0, 2 ** 32, 255, 2 ** 31, 2 ** 32 - 1, 1];
        await medium.settle(put('numbered', ...numbers.map((number): Row => [numbered(number), bytes(number % 256)])));
        await reopen();
        const ordered = numbers.toSorted((a, b) => a - b);
        expect(everything(disk, 'numbered').map(([key]) => key)).toEqual(ordered.map(numbered));
        expect(disk.get('numbered', numbered(2 ** 32 - 1))).toEqual(bytes(255));
        expect(disk.get('numbered', numbered(2))).toBeUndefined();
      });

      test('takes no key of another length', () => {
        for (const key of [bytes(), bytes(1), new Uint8Array(9)]) {
          expect(() => disk.get('numbered', key)).toThrow('eight bytes');
          expect(() => disk.commit((rows) => rows.put('numbered', key, bytes()))).toThrow('eight bytes');
          expect(() => disk.commit((rows) => rows.delete('numbered', key))).toThrow('eight bytes');
        }
      });

      test('gives the ranges that a plain map does, from and to any bytes', async () => {
        const border = fc.option(
          fc.oneof(
            numberArbitrary.map(numbered),
            numberArbitrary.map((number) => new Uint8Array([...numbered(number), 0])),
            fc.uint8Array({ maxLength: 10 }),
          ),
          { nil: undefined },
        );
        const range = fc.record({ from: border, to: border, limit: fc.nat(20), reverse: fc.boolean() });
        const rows = fc.uniqueArray(numberArbitrary, { maxLength: 40 });
        await fc.assert(
          fc.asyncProperty(rows, fc.array(range, { maxLength: 8 }), async (numbers, ranges) => {
            for (const [key] of everything(disk, 'numbered')) disk.commit((all) => all.delete('numbered', key));
            await medium.settle(put('numbered', ...numbers.map((number): Row => [numbered(number), bytes(1)])));
            const twin = new Twin();
            for (const number of numbers) twin.set('numbered', numbered(number), bytes(1));
            for (const { from, to, ...more } of ranges) {
              const options = { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }), ...more };
              expect(toText(disk.range('numbered', options))).toEqual(toText(twin.range('numbered', options)));
            }
          }),
          { numRuns: runs },
        );
      });
    });

    test('tables do not share rows', async () => {
      await medium.settle(put('narrow', [bytes(1), bytes(1)]));
      expect(disk.get('wide', bytes(1))).toBeUndefined();
      expect(() => disk.get('other', bytes(1))).toThrow('other');
      expect(() => disk.commit((transaction) => transaction.put('other', bytes(1), bytes(1)))).toThrow('other');
    });

    test('a transaction sees its own changes, in single rows and in ranges', () => {
      disk.commit((transaction) => transaction.put('wide', bytes(1), bytes(1)));
      disk.commit((transaction) => {
        transaction.put('wide', bytes(2), bytes(2));
        transaction.delete('wide', bytes(1));
        expect(transaction.get('wide', bytes(1))).toBeUndefined();
        expect(transaction.get('wide', bytes(2))).toEqual(bytes(2));
        expect(transaction.range('wide', { limit: 10 })).toEqual([[bytes(2), bytes(2)]]);
        transaction.put('wide', bytes(2), bytes(3));
      });
      expect(everything(disk, 'wide')).toEqual([[bytes(2), bytes(3)]]);
    });

    test('changes nothing when the transaction throws, and throws the same', async () => {
      await medium.settle(put('wide', [bytes(1), bytes(1)], [bytes(2), bytes(2)]));
      const error = new Error('changed my mind');
      const attempt = (): unknown =>
        disk.commit((transaction) => {
          transaction.put('wide', bytes(1), bytes(9));
          transaction.put('narrow', bytes(1), bytes(9));
          transaction.delete('wide', bytes(2));
          throw error;
        });
      expect(attempt).toThrow(error);
      expect(everything(disk, 'wide')).toEqual([
        [bytes(1), bytes(1)],
        [bytes(2), bytes(2)],
      ]);
      expect(everything(disk, 'narrow')).toEqual([]);
      expect(disk.failure()).toBeUndefined();
      await medium.settle(put('narrow', [bytes(1), bytes(1)]));
      expect(disk.get('narrow', bytes(1))).toEqual(bytes(1));
    });

    test('refuses a commit inside a commit and a transaction after its end', () => {
      expect(() => disk.commit(() => disk.commit(() => undefined))).toThrow('inside');
      let kept: DiskReader | undefined;
      disk.commit((transaction) => {
        kept = transaction;
      });
      expect(() => kept?.get('wide', bytes(1))).toThrow('after its commit');
      expect(disk.failure()).toBeUndefined();
    });

    test('shares no bytes with its callers', async () => {
      const key = bytes(1, 2);
      const value = bytes(3, 4);
      await medium.settle(put('wide', [key, value]));
      key[0] = 9;
      value[0] = 9;
      const read = disk.get('wide', bytes(1, 2))!;
      expect(read).toEqual(bytes(3, 4));
      expect(Object.getPrototypeOf(read)).toBe(Uint8Array.prototype);
      read[0] = 9;
      disk.recall('wide', bytes(1, 2))![0] = 9;
      const recalled = disk.recall('wide', bytes(1, 2))!;
      expect(recalled).toEqual(bytes(3, 4));
      expect(Object.getPrototypeOf(recalled)).toBe(Uint8Array.prototype);
      recalled[0] = 9;
      const [row] = disk.range('wide', { limit: 1 });
      expect(row).toEqual([bytes(1, 2), bytes(3, 4)]);
      row![0][0] = 9;
      row![1][0] = 9;
      expect(everything(disk, 'wide')).toEqual([[bytes(1, 2), bytes(3, 4)]]);
    });

    test('a transaction that fails after it has seen what it took out has hidden nothing', () => {
      disk.commit((transaction) => {
        for (let i = 1; i < 4; i++) transaction.put('narrow', bytes(i), bytes(i));
      });
      const failing = (): unknown =>
        disk.commit((transaction) => {
          for (let i = 1; i < 3; i++) transaction.delete('narrow', bytes(i));
          expect(transaction.range('narrow', { limit: 1 })).toEqual([[bytes(3), bytes(3)]]);
          throw new Error('on purpose');
        });
      expect(failing).toThrow('on purpose');
      expect(disk.range('narrow', { limit: 1 })).toEqual([[bytes(1), bytes(1)]]);
    });

    test('rows that were read stay as they were when later commits change them', () => {
      disk.commit((transaction) => transaction.put('wide', bytes(1), bytes(1)));
      const rows = everything(disk, 'wide');
      disk.commit((transaction) => transaction.put('wide', bytes(1), bytes(2)));
      expect(rows).toEqual([[bytes(1), bytes(1)]]);
    });

    test('is read as committed before it is durable, and all of it is there after a reopening', async () => {
      const durable: Promise<void>[] = [];
      for (let i = 0; i < 50; i++) {
        durable.push(put('wide', [bytes(i), bytes(i)]));
        expect(disk.get('wide', bytes(i))).toEqual(bytes(i));
      }
      await medium.settle(Promise.all(durable));
      await reopen();
      expect(everything(disk, 'wide')).toHaveLength(50);
    });

    test('closing waits for what is in flight', async () => {
      let resolved = false;
      void put('narrow', [bytes(1), bytes(1)]).then(() => (resolved = true));
      await reopen();
      expect(resolved).toBe(true);
      expect(disk.get('narrow', bytes(1))).toEqual(bytes(1));
    });

    test('says how large it is', async () => {
      const before = disk.sizeBytes();
      // Room may have been made ahead of what is written: some mebibytes.
      for (let i = 0; i < 50; i++) await medium.settle(put('wide', [bytes(i), new Uint8Array(100_000)]));
      expect(disk.sizeBytes()).toBeGreaterThan(before);
      expect(disk.sizeBytes()).toBeGreaterThanOrEqual(5_000_000);
      expect(disk.freeBytes()).toBeGreaterThan(0);
    });

    test('does what a plain map does', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(stepArbitrary, { maxLength: 12 }), async (steps) => {
          await clear(disk);
          const twin = new Twin();
          for (const step of steps) {
            if (step.kind === 'reopen') await reopen();
            else step.run(disk, twin);
            for (const table of TABLE_NAMES) {
              expect(toText(everything(disk, table))).toEqual(twin.text(table));
              for (const key of step.keys) expect(disk.recall(table, key)).toEqual(twin.get(table, key));
            }
          }
        }),
        { numRuns: runs },
      );
    });

    async function clear(target: Disk): Promise<void> {
      const { durable } = target.commit((transaction) => {
        for (const table of TABLE_NAMES) for (const [key] of everything(target, table)) transaction.delete(table, key);
      });
      await medium.settle(durable);
    }
  });
}

// --- The twin ---

function toText(rows: readonly Row[]): string[] {
  return rows.map(([key, value]) => `${toHex(key)}=${toHex(value)}`);
}

/** A map from hex keys, whose order is that of the bytes. */
class Twin {
  #tables = new Map<string, Map<string, Row>>(CONTRACT_TABLES.map(({ name }) => [name, new Map()]));

  rows(table: string): Row[] {
    return [...this.#tables.get(table)!.entries()].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
  }

  get(table: string, key: Uint8Array): Uint8Array | undefined {
    return this.#tables.get(table)!.get(toHex(key))?.[1];
  }

  text(table: string): string[] {
    return toText(this.rows(table));
  }

  set(table: string, key: Uint8Array, value: Uint8Array | undefined): void {
    if (value === undefined) this.#tables.get(table)!.delete(toHex(key));
    else this.#tables.get(table)!.set(toHex(key), [key, value]);
  }

  range(table: string, { from, to, limit, reverse }: RangeOptions): Row[] {
    const rows = this.rows(table).filter(
      ([key]) =>
        (from === undefined || compareBytes(key, from) >= 0) && (to === undefined || compareBytes(key, to) < 0),
    );
    return (reverse === true ? rows.toReversed() : rows).slice(0, limit);
  }
}

type Step = { readonly keys: readonly Uint8Array[] } & (
  | { readonly kind: 'reopen' }
  | { readonly kind: 'commit' | 'read'; readonly run: (disk: Disk, twin: Twin) => void }
);

const tableArbitrary = fc.constantFrom(...TABLE_NAMES);
// Few different bytes, so that keys meet and are prefixes of each other.
const keyArbitrary = fc
  .array(fc.constantFrom(0, 1, 0x7f, 0x80, 0xff), { maxLength: 3 })
  .map((values) => new Uint8Array(values));
const valueArbitrary = fc.option(fc.uint8Array({ maxLength: 8 }), { nil: undefined });

const changesArbitrary = fc.array(fc.tuple(tableArbitrary, keyArbitrary, valueArbitrary), { maxLength: 8 });

const commitArbitrary = fc.tuple(changesArbitrary, fc.boolean()).map(([changes, fails]): Step => {
  const run = (disk: Disk, twin: Twin): void => {
    const attempt = (): unknown =>
      disk.commit((transaction) => {
        for (const [table, key, value] of changes) {
          if (value === undefined) transaction.delete(table, key);
          else transaction.put(table, key, value);
          expect(transaction.recall(table, key)).toEqual(value);
          expect(transaction.get(table, key)).toEqual(value);
        }
        if (fails) throw new Error('on purpose');
      });
    if (fails) {
      expect(attempt).toThrow('on purpose');
      return;
    }
    attempt();
    for (const [table, key, value] of changes) twin.set(table, key, value);
  };
  return { kind: 'commit', run, keys: changes.map(([, key]) => key) };
});

const rangeArbitrary = fc.record(
  { from: keyArbitrary, to: keyArbitrary, limit: fc.nat(6), reverse: fc.boolean() },
  { requiredKeys: ['limit'] },
);

const readArbitrary = fc.tuple(tableArbitrary, rangeArbitrary).map(([table, range]): Step => {
  const run = (disk: Disk, twin: Twin): void => {
    expect(toText(disk.range(table, range))).toEqual(toText(twin.range(table, range)));
  };
  return { kind: 'read', run, keys: [] };
});

const stepArbitrary: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: commitArbitrary },
  { weight: 3, arbitrary: readArbitrary },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: 'reopen', keys: [] }) },
);
