/** What a node says of where it is: an address that others can use, or none. */

import { expect, test } from 'vitest';
import { nodeOptions } from '#cli/run-node.ts';
import { loadConfig } from '#config.ts';

function toldWith(flags: Readonly<Record<string, string>>): readonly [peer: string, url: string] {
  const { settings, origins } = loadConfig({ file: undefined, environment: {}, flags });
  const { peer, url } = nodeOptions(settings, origins);
  return [peer, url];
}

test('where the doors are, unless something else is advertised', () => {
  expect(toldWith({})).toEqual(['127.0.0.1:7201', 'http://127.0.0.1:7101']);
  expect(toldWith({ listen: '[::1]:1', 'peer-listen': 'db1.test:2' })).toEqual(['db1.test:2', 'http://[::1]:1']);
  expect(toldWith({ listen: '0.0.0.0:1', advertise: '10.0.0.1:7', 'advertise-url': 'https://db1.test:8443/' })).toEqual(
    ['10.0.0.1:7', 'https://db1.test:8443'],
  );
});

test.each(['0.0.0.0:7101', '[::]:7101', '[0:0:0:0:0:0:0:0]:7101'])(
  'nobody is sent to %s, which is whatever machine one is on',
  (everywhere) => {
    expect(toldWith({ listen: everywhere })).toEqual(['127.0.0.1:7201', '']);
    expect(() => toldWith({ 'peer-listen': everywhere })).toThrow(
      /setting peer-listen \(flag.*set advertise to the one/,
    );
    expect(toldWith({ 'peer-listen': everywhere, advertise: '10.0.0.1:7' })[0]).toBe('10.0.0.1:7');
  },
);

test('an address to be dialled has a port, and a URL for clients no path', () => {
  for (const flags of [{ seeds: 'db1:0' }, { 'initial-cluster': 'n1=127.0.0.1:0' }, { advertise: 'db1:0' }])
    expect(() => toldWith(flags)).toThrow('port 1 to 65535');
  expect(() => toldWith({ 'advertise-url': 'https://db1.test/quoral' })).toThrow('https://db1.test:7101');
});
