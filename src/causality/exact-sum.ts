/**
 * Sums of whole numbers. Each of them is exact, but on the way to their sum doubles may become too large to be: then the order in
 * which they are added would show.
 */

export function exactSum(amounts: readonly number[]): number | bigint {
  let sum = 0;
  for (const amount of amounts) {
    sum += amount;
    if (!Number.isSafeInteger(sum)) return asSafe(amounts.reduce((all, one) => all + BigInt(one), 0n));
  }
  return sum;
}

/** Whether it is one of the whole numbers that are exact as numbers, up to 2^53-1. */
export function isExact(sum: number | bigint): sum is number {
  return typeof sum === 'number';
}

export function magnitude(sum: number | bigint): bigint {
  const whole = BigInt(sum);
  return whole < 0n ? -whole : whole;
}

function asSafe(sum: bigint): number | bigint {
  const number = Number(sum);
  return Number.isSafeInteger(number) ? number : sum;
}
