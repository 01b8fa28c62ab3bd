import { describe, expect, it } from 'vitest';
import {
  acceptRegister,
  emptyRegister,
  mayErase,
  mergeRegisters,
  prepareRegister,
  type Register,
} from '#consensus/register.ts';
import type { Ballot } from '#consensus/facts.ts';
import type { NodeIndex } from '#kernel/identity.ts';

const ballot = (time: number, node = 0): Ballot => ({ time, node: node as NodeIndex, boot: 1 });
const same = (a: string, b: string): boolean => a === b;
const holding = (promised: number, accepted: number, value: string): Register<string> => ({
  promised: ballot(promised),
  accepted: { ballot: ballot(accepted), value },
});

describe('a register', () => {
  it('promises only what is above all that it has promised', () => {
    const register = holding(5, 3, 'v');
    expect(prepareRegister(register, ballot(5))).toEqual({ kind: 'rejected', highest: ballot(5) });
    expect(prepareRegister(register, ballot(6))).toEqual({ kind: 'done', register: holding(6, 3, 'v') });
  });

  it('accepts its promise, keeps the next one, and takes no second value under a ballot', () => {
    const register = holding(5, 3, 'v');
    expect(acceptRegister(register, { ballot: ballot(4), value: 'w' }, null, same).kind).toBe('rejected');
    const step = acceptRegister(register, { ballot: ballot(5), value: 'w' }, ballot(7), same);
    expect(step).toEqual({ kind: 'done', register: holding(7, 5, 'w') });
    const again = holding(7, 5, 'w');
    expect(acceptRegister(again, { ballot: ballot(5), value: 'w' }, ballot(7), same)).toEqual(step);
    expect(acceptRegister(again, { ballot: ballot(5), value: 'x' }, null, same).kind).toBe('rejected');
  });

  it('that was lost takes over the highest promise and the latest value of those it asks', () => {
    const empty: Register<string> = { promised: null, accepted: null };
    expect(mergeRegisters(empty, holding(5, 3, 'v'))).toEqual(holding(5, 3, 'v'));
    expect(mergeRegisters(holding(9, 2, 'u'), holding(5, 3, 'v'))).toEqual(holding(9, 3, 'v'));
    expect(mergeRegisters(holding(5, 3, 'v'), holding(9, 2, 'u'))).toEqual(holding(9, 3, 'v'));
    expect(mergeRegisters(holding(5, 3, 'v'), empty)).toEqual(holding(5, 3, 'v'));
  });

  it('may be erased under the ballot that it has accepted last and promised last', () => {
    expect(mayErase(holding(5, 5, ''), ballot(5))).toBe(true);
    expect(mayErase(holding(6, 5, ''), ballot(5))).toBe(false);
    expect(mayErase(holding(5, 5, ''), ballot(6))).toBe(false);
    expect(mayErase(emptyRegister(ballot(5)), ballot(5))).toBe(false);
  });

  it('that was erased promises and accepts only what is above the floor', () => {
    const erased: Register<string> = emptyRegister(ballot(5));
    expect(prepareRegister(erased, ballot(5)).kind).toBe('rejected');
    expect(acceptRegister(erased, { ballot: ballot(4), value: 'late' }, null, same).kind).toBe('rejected');
    expect(prepareRegister(erased, ballot(6)).kind).toBe('done');
  });
});
