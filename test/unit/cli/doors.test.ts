import { expect, test } from 'vitest';
import { checkDoors } from '#cli/doors.ts';
import { loadConfig } from '#config.ts';

const PAIR = { 'tls-cert': 'a.crt', 'tls-key': 'a.key' };
const PEER = { 'peer-tls-cert': 'p.crt', 'peer-tls-key': 'p.key', 'peer-tls-ca': 'ca.crt' };
const SECRET = { 'cluster-secret': 'sixteen characters' };
const TOKENS = { auth: 'tokens' };
const ALL = { ...PAIR, ...PEER, ...SECRET, ...TOKENS };
const OUTSIDE = { listen: '0.0.0.0:7101' };
const PEER_OUTSIDE = { 'peer-listen': '10.0.0.1:7201' };

function trouble(flags: Readonly<Record<string, string>>): string | undefined {
  const { settings, origins } = loadConfig({ file: undefined, environment: {}, flags });
  return checkDoors(settings, origins);
}

test.each<[string, Record<string, string>]>([
  ['the defaults', {}],
  ['every kind of loopback', { listen: '[::1]:7101', 'peer-listen': 'localhost:7201' }],
  ['the whole of 127', { listen: '127.1.2.3:7101' }],
  ['loopback with TLS', PAIR],
  ['beyond loopback with everything', { ...OUTSIDE, ...PEER_OUTSIDE, ...ALL }],
  ['the client door alone with what it needs', { ...OUTSIDE, ...PAIR, ...SECRET, ...TOKENS }],
  ['the client door with certificates of clients', { ...OUTSIDE, ...PAIR, ...SECRET, 'tls-client-ca': 'ca.crt' }],
  ['the peer door alone with what it needs', { ...PEER_OUTSIDE, ...PEER, ...SECRET }],
  ['the secret in a file', { ...PEER_OUTSIDE, ...PEER, 'cluster-secret-file': 'secret' }],
  ['anything, when the operator says so', { ...OUTSIDE, ...PEER_OUTSIDE, insecure: 'true' }],
])('%s: may be opened', (_name, flags) => {
  expect(trouble(flags)).toBeUndefined();
});

test.each<[string, Record<string, string>, RegExp]>([
  [
    'no TLS',
    { ...OUTSIDE, ...SECRET, ...TOKENS },
    /^setting listen \(flag --listen\): 0\.0\.0\.0:7101 .*needs tls-cert with tls-key;/,
  ],
  ['no secret', { ...OUTSIDE, ...PAIR, ...TOKENS }, /^setting listen .*needs cluster-secret-file;/],
  ['everybody let in', { ...OUTSIDE, ...PAIR, ...SECRET }, /^setting listen .*needs auth=tokens or tls-client-ca;/],
  ['nothing', OUTSIDE, /needs tls-cert with tls-key, and cluster-secret-file, and auth=tokens or .*;.*--insecure/],
  ['TLS for clients only', { ...PEER_OUTSIDE, ...PAIR, ...SECRET }, /^setting peer-listen .*needs peer-tls-cert with/],
  ['a peer door without a secret', { ...PEER_OUTSIDE, ...PEER }, /^setting peer-listen .*cluster-secret-file/],
  ['a name that merely looks like loopback', { listen: '127.0.0.1.example:7101' }, /^setting listen/],
  ['an address of IPv6 that stands for all', { listen: '[::]:7101' }, /^setting listen/],
  ['a certificate without its key', { 'tls-cert': 'x' }, /^setting tls-cert \(flag --tls-cert\): .*without tls-key/],
  ['a key without its certificate, even if insecure', { 'tls-key': 'x', insecure: 'true' }, /^setting tls-key/],
  ['an authority for clients of a plain door', { 'tls-client-ca': 'x' }, /^setting tls-client-ca .*without tls-cert/],
  ['peers without an authority', { 'peer-tls-cert': 'x', 'peer-tls-key': 'y' }, /^setting peer-tls-cert .*peer-tls-ca/],
])('%s: is refused in one line', (_name, flags, line) => {
  expect(trouble(flags)).toMatch(line);
  expect(trouble(flags)).not.toContain('\n');
});

test.each(['node.yaml', 'cluster.yaml', 'zones.yaml'])('the example config/%s may be used as it is', (name) => {
  const file = new URL(`../../../config/${name}`, import.meta.url).pathname;
  const flags = name === 'node.yaml' ? {} : { listen: '10.0.0.1:7101', 'peer-listen': '10.0.0.1:7201' };
  const { settings, origins } = loadConfig({ file, environment: {}, flags });
  expect(checkDoors(settings, origins)).toBeUndefined();
});
