import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mergePages, type SourcePage } from '#coordinator/list-merge.ts';
import { entriesWanted, hasBit, partitionsToBits, planCoverage } from '#coordinator/list-plan.ts';
import { toHex } from '#kernel/bytes.ts';
import { nodeIndex } from '#kernel/identity.ts';

const keyBytes = fc.uint8Array({ minLength: 1, maxLength: 3, max: 3 });

/** What a replica holds, and how far it looked: up to a key of its own, or to the end. */
const source = fc.tuple(fc.uniqueArray(keyBytes, { selector: toHex, maxLength: 12 }), fc.nat(12)).map(([keys, cut]) => {
  const held = keys.toSorted((a, b) => (toHex(a) < toHex(b) ? -1 : 1));
  const seen = held.slice(0, cut);
  const page: SourcePage = {
    entries: seen.map((key) => [key, key] as const),
    upTo: cut < held.length ? (seen.at(-1) ?? new Uint8Array(0)) : null,
  };
  return { held, page };
});

describe('merging pages', () => {
  test('up to the horizon there is every key of every replica, once, in order, with all that is said of it', () => {
    fc.assert(
      fc.property(fc.array(source, { minLength: 1, maxLength: 4 }), (sources) => {
        const { keys, upTo } = mergePages(sources.map(({ page }) => page));
        const horizons = sources.flatMap(({ page }) => (page.upTo === null ? [] : [toHex(page.upTo)])).toSorted();
        expect(upTo === null ? undefined : toHex(upTo)).toBe(horizons[0]);
        const expected = new Set(
          sources.flatMap(({ held }) => held.map(toHex)).filter((key) => upTo === null || key <= toHex(upTo)),
        );
        expect(keys.map(({ key }) => toHex(key))).toEqual([...expected].toSorted());
        for (const { key, summaries } of keys) {
          const holders = sources.filter(({ held }) => held.some((one) => toHex(one) === toHex(key)));
          expect(summaries.length).toBe(holders.length);
        }
      }),
    );
  });

  test('page after page nothing is left out and nothing comes twice', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uniqueArray(keyBytes, { selector: toHex, maxLength: 12 }), { minLength: 1, maxLength: 3 }),
        fc.integer({ min: 1, max: 4 }),
        (replicas, size) => {
          const shown: string[] = [];
          for (let after: string | null = '', pages = 0; after !== null; pages++) {
            expect(pages).toBeLessThan(60);
            const pagesOf = replicas.map((held): SourcePage => {
              const rest = held.map(toHex).filter((key) => key > after!);
              const some = rest
                .toSorted()
                .slice(0, size)
                .map((key) => Uint8Array.from(Buffer.from(key, 'hex')));
              return { entries: some.map((key) => [key, key]), upTo: rest.length > size ? some.at(-1)! : null };
            });
            const { keys, upTo } = mergePages(pagesOf);
            shown.push(...keys.map(({ key }) => toHex(key)));
            after = upTo === null ? null : toHex(upTo);
          }
          expect(shown).toEqual([...new Set(replicas.flat().map(toHex))].toSorted());
        },
      ),
    );
  });
});

describe('planning whom to ask', () => {
  const node = fc.nat(6).map(nodeIndex);

  test('each partition gets as many different owners as it needs, of those that can be asked, or counts as lacking', () => {
    const uncovered = fc.array(
      fc.record({ needed: fc.integer({ min: 1, max: 3 }), candidates: fc.uniqueArray(node, { maxLength: 4 }) }),
    );
    fc.assert(
      fc.property(uncovered, fc.uniqueArray(node), (wanted, ranking) => {
        const partitions = wanted.map((one, partition) => ({ ...one, partition }));
        const { asked, lacking } = planCoverage(partitions, ranking);
        for (const { partition, needed, candidates } of partitions) {
          const chosen = [...asked].filter(([, own]) => own.includes(partition)).map(([one]) => one);
          const able = candidates.filter((one) => ranking.includes(one));
          expect(lacking.includes(partition)).toBe(able.length < needed);
          expect(chosen.length).toBe(able.length < needed ? 0 : needed);
          expect(chosen.every((one) => able.includes(one))).toBe(true);
        }
      }),
    );
  });

  test('three nodes that own everything: two are asked, for all', () => {
    const owners = [0, 1, 2].map(nodeIndex);
    const partitions = Array.from({ length: 16 }, (_, partition) => ({ partition, needed: 2, candidates: owners }));
    const { asked } = planCoverage(partitions, owners);
    expect([...asked].map(([one, own]) => [one, own.length])).toEqual([
      [0, 16],
      [1, 16],
    ]);
  });

  test('a node that answers for all is asked for a page and one more key', () => {
    expect(entriesWanted(1000, 1)).toBe(1001);
    expect(entriesWanted(1, 1)).toBe(2);
    expect(entriesWanted(1000, 0.1)).toBe(138);
  });

  test('bits name the partitions', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(63)), (partitions) => {
        const bits = partitionsToBits(partitions, 64);
        for (let partition = 0; partition < 64; partition++)
          expect(hasBit(bits, partition)).toBe(partitions.includes(partition));
      }),
    );
  });
});
