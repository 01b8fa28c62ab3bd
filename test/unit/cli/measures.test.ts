import { expect, test } from 'vitest';
import { counted, rateOf, readThrottle, readTtl, sizeOf, timeOf } from '#cli/measures.ts';

test.each([
  ['20MB/s', 20_000_000],
  ['20MB', 20_000_000],
  ['8MiB/s', 8_388_608],
  ['1.5 GiB/s', 1_610_612_736],
  ['4096', 4096],
  ['none', null],
])('--throttle %s', (text, bytes) => {
  expect(readThrottle(text)).toBe(bytes);
});

test.each(['', 'fast', '20Mb/s', '-1', '1B/s', '1023', '65GiB/s', '20MB/h', '1e6', 'NaN'])(
  '--throttle %s is refused with what is allowed',
  (text) => {
    expect(() => readThrottle(text)).toThrow(/^--throttle .*: must be bytes a second from 1KiB\/s to 64GiB\/s/);
  },
);

test('sizes, rates, times and counts as people write them', () => {
  expect([sizeOf(0), sizeOf(1023), sizeOf(1024), sizeOf(5 * 1024 ** 5)]).toEqual([
    '0 B',
    '1023 B',
    '1.0 KiB',
    '5120.0 TiB',
  ]);
  expect(rateOf(20_000_000)).toBe('19.1 MiB/s');
  expect([timeOf(0.2), timeOf(119), timeOf(150), timeOf(7200)]).toEqual(['1 s', '119 s', '3 min', '2.0 h']);
  expect([counted(1, 'key'), counted(2, 'key')]).toEqual(['1 key', '2 keys']);
});

test.each([
  ['60', 60],
  ['90s', 90],
  ['15m', 900],
  ['12h', 43_200],
  ['30d', 2_592_000],
])('--ttl %s', (text, seconds) => {
  expect(readTtl(text)).toBe(seconds);
});

test.each(['', '0', '0d', '-1', '1.5h', '1w', 'h', '1 h', '1H', '12345678901'])('--ttl %j is refused', (text) => {
  expect(() => readTtl(text)).toThrow(/^--ttl ".*": must be whole seconds from 1 on, or a time such as 90s/);
});
