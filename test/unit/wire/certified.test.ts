import { describe, expect, test } from 'vitest';
import { utf8 } from '#kernel/bytes.ts';
import { nodeId } from '#kernel/identity.ts';
import { certifierFor, hostOf } from '#wire/certified.ts';
import { acceptorHandshake, dialerHandshake } from '#wire/handshake.ts';
import type { HandshakeOptions } from '#wire/handshake.ts';
import { digest } from '#world/digest.ts';

const n2 = nodeId('n2');

describe('whom a certificate may stand for', () => {
  const judge = (named: readonly string[], address: string | undefined, remote = '10.0.0.9:40000'): boolean =>
    certifierFor({ certifies: (name) => named.includes(name), remote }, () => address)!(n2);

  test.each([
    ['the node itself', ['n2'], '10.0.0.2:7201', true],
    ['the address that the cluster knows it by', ['10.0.0.2'], '10.0.0.2:7201', true],
    ['the host that the cluster knows it by', ['two.example'], 'two.example:7201', true],
    ['its IPv6 address', ['fd00::2'], '[fd00::2]:7201', true],
    ['another node', ['n1', '10.0.0.1'], '10.0.0.2:7201', false],
    ['where it comes from, though it is known elsewhere', ['10.0.0.9'], '10.0.0.2:7201', false],
    ['where it comes from, and nobody knows it yet', ['10.0.0.9'], undefined, true],
    ['nobody', [], '10.0.0.2:7201', false],
  ])('%s', (_name, named, address, expected) => {
    expect(judge(named, address)).toBe(expected);
  });

  test('a connection without certificates is not judged', () => {
    expect(certifierFor({ remote: 'x:1' }, () => undefined)).toBeUndefined();
  });

  test('hosts of addresses', () => {
    expect(['a:1', '[::1]:2', '::ffff:10.0.0.1:3', '[::ffff:10.0.0.1]:3'].map(hostOf)).toEqual([
      'a',
      '::1',
      '10.0.0.1',
      '10.0.0.1',
    ]);
  });
});

describe('the handshake', () => {
  const side = (id: string, certifies?: (id: string) => boolean): HandshakeOptions => ({
    self: { id: nodeId(id), storageId: `disk-of-${id}`, clusterId: 'c1' },
    epoch: 1,
    founders: '',
    secret: utf8('secret'),
    nonce: new Uint8Array(32).fill(id.charCodeAt(1)),
    digest,
    versions: { lowest: 1, highest: 2 },
    ...(certifies === undefined ? {} : { certifies }),
  });
  const refused = { kind: 'refused', by: 'us', reason: 'wrong-certificate' };

  test('an acceptor refuses a name that the certificate does not bear', () => {
    const hello = dialerHandshake(side('n1'), n2).first()!;
    expect(acceptorHandshake(side('n2', (id) => id === 'n3')).receive(hello)).toMatchObject({
      ...refused,
      detail: 'the certificate names neither n1 nor its host',
    });
    expect(acceptorHandshake(side('n2', (id) => id === 'n1')).receive(hello)).toMatchObject({ kind: 'send' });
  });

  test('a dialer refuses it before it proves anything', () => {
    const dialer = dialerHandshake(
      side('n1', (id) => id === 'n3'),
      n2,
    );
    const welcome = acceptorHandshake(side('n2')).receive(dialer.first()!);
    expect(dialer.receive(welcome.send!)).toMatchObject(refused);
  });
});
