import { expect, test } from 'vitest';
import { counted, rateOf, readThrottle, readTtl, sizeOf, timeOf } from '#cli/measures.ts';
import { UsageError } from '#cli/output.ts';
import { SETTINGS } from '#settings.ts';

/** Everything that is a size, as it is written: the limit of free space is the widest of the settings. */
const readSize = SETTINGS['disk-free-warning'].read;
const RATES = ['hints-rate', 'transfer-rate-max', 'repair-rate-max', 'drop-throttle'] as const;

test.each([
  ['4096', 4096],
  ['4096B', 4096],
  ['64KiB', 65_536],
  ['64kB', 64_000],
  ['64KB', 64_000],
  ['20MB', 20_000_000],
  ['8MiB', 8_388_608],
  ['8 MiB', 8_388_608],
  ['1.5 GiB', 1_610_612_736],
  ['1GB', 1_000_000_000],
])(
  '%s is the same for every setting that is a size, and for --throttle; what counts by the second may say so',
  (text, size) => {
    expect(readSize(text)).toBe(size);
    for (const read of [...RATES.map((name) => SETTINGS[name].read), readThrottle]) {
      expect([read(text), read(`${text}/s`)]).toEqual([size, size]);
    }
  },
);

test('terabytes of free space, and no throttle', () => {
  expect(['1TiB', '2TB'].map(readSize)).toEqual([1024 ** 4, 2e12]);
  expect(readThrottle('none')).toBe(null);
  for (const read of [readSize, SETTINGS['transfer-rate-max'].read]) expect(() => read('none')).toThrow(RangeError);
});

const WRONG = [
  '',
  ' ',
  'fast',
  '20Mb',
  '20mb',
  '8mib',
  '8M',
  '-1',
  '+1',
  '1e6',
  'NaN',
  'Infinity',
  '0x10',
  '.5',
  '5.',
  '1,5MB',
  '1_000',
  '8  MiB',
  ' 8MiB',
  '8MiB ',
  'MiB',
  '20MB/h',
  '20MB/',
  '20MB/s/s',
  '99999TiB',
  'toString',
  '1 constructor',
];

test.each(WRONG)('%j is refused by all with what is allowed', (text) => {
  expect(() => readSize(text)).toThrow(/^a size from 0B to 1024TiB, such as 65536, 64KiB, 8MiB or 20MB$/);
  const rates = /^bytes a second from 1KiB\/s to (16|64)GiB\/s, such as 65536, 64KiB\/s, 8MiB\/s or 20MB\/s$/;
  for (const name of RATES) expect(() => SETTINGS[name].read(text), name).toThrow(rates);
  expect(() => readThrottle(text)).toThrow(
    /^--throttle ".*": must be bytes a second from 1KiB\/s to 64GiB\/s, such as 65536, 64KiB\/s, 8MiB\/s or 20MB\/s, or none$/,
  );
});

test('a size is none a second, and what is too little or too much is refused', () => {
  expect(() => readSize('8MiB/s')).toThrow(RangeError);
  for (const text of ['1B/s', '1023', '65GiB/s']) expect(() => readThrottle(text), text).toThrow(UsageError);
});

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
