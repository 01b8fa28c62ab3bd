import { describe, expect, test } from 'vitest';
import { toHex, utf8 } from '#kernel/bytes.ts';
import { nodeId } from '#kernel/identity.ts';
import { decodeEnvelope, encodeEnvelope } from '#wire/envelope.ts';
import type { HandshakeEnvelope, Proof, Welcome } from '#wire/envelope.ts';
import { acceptorHandshake, dialerHandshake } from '#wire/handshake.ts';
import type { Handshake, HandshakeOptions, HandshakeStep } from '#wire/handshake.ts';
import { MalformedMessage } from '#wire/message.ts';
import { digest } from '#world/digest.ts';

type Change = Partial<Omit<HandshakeOptions, 'self'>> & { self?: Partial<HandshakeOptions['self']> };

function side(id: string, fill: number, change: Change = {}): HandshakeOptions {
  return {
    epoch: fill,
    founders: 'n1=a:1,n2=b:2',
    secret: utf8('secret'),
    nonce: new Uint8Array(32).fill(fill),
    digest,
    versions: { lowest: 1, highest: 1 },
    ...change,
    self: { id: nodeId(id), storageId: `disk-of-${id}`, clusterId: 'c1', ...change.self },
  };
}

interface Outcome {
  dialer?: HandshakeStep;
  acceptor?: HandshakeStep;
  readonly messages: HandshakeEnvelope[];
}

/** Carries messages through the wire encoding until both have nothing more to say. `tamper` stands in between. */
function converse(
  dialer: Handshake,
  acceptor: Handshake,
  tamper: (message: HandshakeEnvelope) => HandshakeEnvelope = (message) => message,
): Outcome {
  const outcome: Outcome = { messages: [] };
  let message = dialer.first();
  for (let turn: 'acceptor' | 'dialer' = 'acceptor'; message !== undefined;) {
    const carried = tamper(decodeEnvelope(encodeEnvelope(message)) as HandshakeEnvelope);
    outcome.messages.push(carried);
    const step: HandshakeStep = (turn === 'acceptor' ? acceptor : dialer).receive(carried);
    outcome[turn] = step;
    message = step.send;
    turn = turn === 'acceptor' ? 'dialer' : 'acceptor';
  }
  return outcome;
}

function meet(change1: Change = {}, change2: Change = {}, dialed = 'n2'): Outcome {
  return converse(dialerHandshake(side('n1', 1, change1), nodeId(dialed)), acceptorHandshake(side('n2', 2, change2)));
}

describe('handshake', () => {
  test('two nodes of a cluster learn who the other is, and its epoch', () => {
    const { dialer, acceptor, messages } = meet();
    const cluster = { clusterId: 'c1', version: 1 };
    expect(dialer).toEqual({
      kind: 'verified',
      remote: { id: 'n2', storageId: 'disk-of-n2', epoch: 2, ...cluster },
    });
    expect(acceptor).toMatchObject({
      kind: 'verified',
      remote: { id: 'n1', storageId: 'disk-of-n1', epoch: 1, ...cluster },
    });
    expect(messages.map(({ kind }) => kind)).toEqual(['hello', 'welcome', 'proof', 'accepted']);
  });

  test('the proofs are part of the wire format', () => {
    const { messages } = meet();
    expect(messages.slice(2).map((message) => toHex((message as Proof).proof))).toMatchInlineSnapshot(`
      [
        "210041d696ce215d24d79cfef78dff5447e5a27d7bc5bf91d3af590f3501be19",
        "cb4f8ea9abe6c7d62cde206c60889651bd9a1c9668277c7ba0ec5430b74aa0fd",
      ]
    `);
  });

  test('the highest common version is chosen', () => {
    const { dialer } = meet({ versions: { lowest: 1, highest: 4 } }, { versions: { lowest: 2, highest: 3 } });
    expect(dialer).toMatchObject({ kind: 'verified', remote: { version: 3 } });
  });

  test.each<[string, Change, Change, string]>([
    ['newer', { versions: { lowest: 3, highest: 4 } }, { versions: { lowest: 1, highest: 2 } }, '3..4, n2 speaks 1..2'],
    ['older', { versions: { lowest: 1, highest: 2 } }, { versions: { lowest: 3, highest: 4 } }, '1..2, n2 speaks 3..4'],
  ])('no common version, the dialer %s', (_, change1, change2, ranges) => {
    const { dialer, acceptor } = meet(change1, change2);
    const detail = `n1 speaks protocol versions ${ranges}`;
    expect(acceptor).toMatchObject({ kind: 'refused', by: 'us', reason: 'wrong-version', detail });
    expect(dialer).toMatchObject({ kind: 'refused', by: 'them', reason: 'wrong-version', detail });
  });

  test('a node that joins dials whoever answers, and knows no cluster', () => {
    const joins = { self: { clusterId: '' } };
    const { dialer, acceptor } = converse(dialerHandshake(side('n9', 1, joins), ''), acceptorHandshake(side('n2', 2)));
    expect(dialer).toMatchObject({ kind: 'verified', remote: { id: 'n2', clusterId: 'c1', epoch: 2 } });
    expect(acceptor).toMatchObject({ kind: 'verified', remote: { id: 'n9', clusterId: '', epoch: 1 } });
    const strange = meet({ ...joins, secret: utf8('guess') });
    expect(strange.acceptor).toMatchObject({ by: 'us', reason: 'wrong-secret' });
  });

  test('two nodes without a cluster have nothing to tell each other', () => {
    const joins = { self: { clusterId: '' } };
    expect(meet(joins, joins).acceptor).toMatchObject({ by: 'us', reason: 'wrong-cluster' });
  });

  test('a version that was not offered is malformed', () => {
    const dialer = dialerHandshake(side('n1', 1), nodeId('n2'));
    const welcome: Welcome = { kind: 'welcome', version: 2, nonce: new Uint8Array(32), from: side('n2', 2).self };
    expect(() => dialer.receive(welcome)).toThrow(MalformedMessage);
  });

  test('another secret: both sides say so, and the stranger learns no more', () => {
    const { dialer, acceptor, messages } = meet({ secret: utf8('guess') });
    expect(acceptor).toMatchObject({ kind: 'refused', by: 'us', reason: 'wrong-secret' });
    expect(dialer).toMatchObject({ kind: 'refused', by: 'them', reason: 'wrong-secret' });
    const told = JSON.stringify(messages.filter(({ kind }) => kind === 'refused'));
    expect(told).not.toMatch(/founded|disk-of|c1|a:1/);
    expect(messages.some(({ kind }) => kind === 'accepted')).toBe(false);
  });

  test('an acceptor that does not know the secret is refused too', () => {
    const forge = (message: HandshakeEnvelope): HandshakeEnvelope =>
      message.kind === 'accepted' ? { ...message, proof: new Uint8Array(32) } : message;
    const outcome = converse(dialerHandshake(side('n1', 1), nodeId('n2')), acceptorHandshake(side('n2', 2)), forge);
    expect(outcome.messages.at(-1)).toMatchObject({ kind: 'refused', reason: 'wrong-secret' });
  });

  test('another cluster: both sides can log both lists', () => {
    const { dialer, acceptor } = meet({ self: { clusterId: 'c9' }, founders: 'n1=a:1,n9=z:9' });
    expect(acceptor).toMatchObject({
      kind: 'refused',
      by: 'us',
      reason: 'wrong-cluster',
      detail: 'n1 is of cluster c9 founded by n1=a:1,n9=z:9; this node is of cluster c1 founded by n1=a:1,n2=b:2',
    });
    expect(dialer).toMatchObject({
      kind: 'refused',
      by: 'them',
      reason: 'wrong-cluster',
      detail:
        'the refusing node is of cluster c1 founded by n1=a:1,n2=b:2; this node is of cluster c9 founded by n1=a:1,n9=z:9',
    });
  });

  test('another cluster with another secret is only told about the secret', () => {
    const { dialer } = meet({ self: { clusterId: 'c9' }, secret: utf8('other') });
    expect(dialer).toMatchObject({ reason: 'wrong-secret' });
  });

  test('a node that is not the dialed one is refused by itself, and by the dialer if it pretends', () => {
    const honest = meet({}, {}, 'n3');
    expect(honest.acceptor).toMatchObject({ by: 'us', reason: 'wrong-node', detail: 'n1 dialed n3, but this is n2' });
    const dialer = dialerHandshake(side('n1', 1), nodeId('n3'));
    const welcome: Welcome = { kind: 'welcome', version: 1, nonce: new Uint8Array(32), from: side('n2', 2).self };
    expect(dialer.receive(welcome)).toMatchObject({
      kind: 'refused',
      by: 'us',
      reason: 'wrong-node',
      detail: 'dialed n3, but it is n2 that answers',
    });
  });

  test('a node that reaches itself, and one that meets its name on another disk', () => {
    const same = { id: nodeId('n2'), storageId: 'disk-of-n2' };
    expect(meet({ self: same }).acceptor).toMatchObject({ reason: 'self-connection' });
    expect(meet({ self: { id: nodeId('n2') } }).acceptor).toMatchObject({ reason: 'same-name' });
  });

  test('a replayed conversation does not verify', () => {
    const { messages } = meet();
    const acceptor = acceptorHandshake(side('n2', 2, { nonce: new Uint8Array(32).fill(3) }));
    acceptor.receive(messages[0]!);
    expect(acceptor.receive(messages[2]!)).toMatchObject({ kind: 'refused', reason: 'wrong-secret' });
  });

  test("a dialer's own proof does not verify when it is reflected to it", () => {
    const reflect = (message: HandshakeEnvelope): HandshakeEnvelope =>
      message.kind === 'proof' ? { ...message, kind: 'accepted' } : message;
    const dialer = dialerHandshake(side('n1', 1), nodeId('n2'));
    const welcome: Welcome = { kind: 'welcome', version: 1, nonce: new Uint8Array(32), from: side('n2', 2).self };
    const step = dialer.receive(welcome);
    expect(dialer.receive(reflect(step.send!))).toMatchObject({ kind: 'refused', reason: 'wrong-secret' });
  });

  test.each<[string, (message: HandshakeEnvelope) => HandshakeEnvelope]>([
    ['disk', (m) => (m.kind === 'hello' ? { ...m, from: { ...m.from, storageId: 'x' } } : m)],
    ['name', (m) => (m.kind === 'hello' ? { ...m, from: { ...m.from, id: nodeId('n7') } } : m)],
    ['cluster', (m) => (m.kind === 'hello' ? { ...m, from: { ...m.from, clusterId: 'c2' } } : m)],
    ['version', (m) => (m.kind === 'hello' ? { ...m, highestVersion: 2 } : m)],
    ['nonce', (m) => (m.kind === 'hello' ? { ...m, nonce: new Uint8Array(32) } : m)],
    ["acceptor's disk", (m) => (m.kind === 'welcome' ? { ...m, from: { ...m.from, storageId: 'x' } } : m)],
    ["dialer's epoch", (m) => (m.kind === 'proof' ? { ...m, epoch: 99 } : m)],
    ["acceptor's epoch", (m) => (m.kind === 'accepted' ? { ...m, epoch: 99 } : m)],
    ["acceptor's founders", (m) => (m.kind === 'accepted' ? { ...m, founders: 'x' } : m)],
  ])('a changed %s does not verify', (_, tamper) => {
    const { dialer } = converse(dialerHandshake(side('n1', 1), nodeId('n2')), acceptorHandshake(side('n2', 2)), tamper);
    expect(dialer).toMatchObject({ kind: 'refused', reason: 'wrong-secret' });
  });

  test('messages out of place are malformed', () => {
    const { messages } = meet();
    const [hello, welcome, proof, accepted] = messages as [
      HandshakeEnvelope,
      HandshakeEnvelope,
      HandshakeEnvelope,
      HandshakeEnvelope,
    ];
    const newDialer = (): Handshake => dialerHandshake(side('n1', 1), nodeId('n2'));
    const newAcceptor = (): Handshake => acceptorHandshake(side('n2', 2));
    const cases: [() => Handshake, HandshakeEnvelope[]][] = [
      [newDialer, [accepted]],
      [newDialer, [hello]],
      [newDialer, [welcome, welcome]],
      [newAcceptor, [proof]],
      [newAcceptor, [accepted]],
      [newAcceptor, [hello, hello]],
    ];
    for (const [make, sequence] of cases) {
      const handshake = make();
      for (const message of sequence.slice(0, -1)) handshake.receive(message);
      expect(() => handshake.receive(sequence.at(-1)!)).toThrow(MalformedMessage);
    }
  });
});
