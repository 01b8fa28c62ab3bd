/**
 * How two nodes that open a connection convince each other that they belong together, as two pure state machines:
 *
 *     dialer                              acceptor
 *     hello (versions, nonce, who, whom) →
 *                                       ← welcome (version, nonce, who)
 *     proof (MAC, epoch, founders)       →
 *                                       ← accepted (MAC, epoch, founders)
 *
 * A proof is an HMAC under the cluster secret over the role and everything that both sides have said, both fresh nonces
 * included, so that it cannot be replayed, reflected, or moved to another pair of nodes (the shape of SASL's mutual
 * challenge-response and of ISO/IEC 9798-4). The dialer proves first: whoever merely connects learns nothing that a guess
 * of the secret could be tried on. What follows the handshake is not protected by it; that is the business of TLS. Where
 * there is TLS, the certificate must be that of the node that the other end says it is.
 *
 * A stranger that dials is told names and ids, and that the secrets differ. Clusters are compared after the secret, and
 * each side tells the other its founders (a dialer tells whoever it was made to dial), so that both can log both lists.
 *
 * A node that wants to join a cluster knows an address and the secret: it dials whoever answers there, and states no cluster of
 * its own. Two nodes without a cluster have nothing to tell each other.
 */

import type { NodeId } from '#kernel/identity.ts';
import type { Digest } from '#world/world.ts';
import type { Certifies } from './certified.ts';
import { encode } from './codec.ts';
import type { HandshakeEnvelope, Hello, Identity, Proof, Refused, Welcome } from './envelope.ts';
import { MalformedMessage } from './message.ts';

export interface VersionRange {
  readonly lowest: number;
  readonly highest: number;
}

/**
 * The protocol versions that this program speaks. Two nodes use the highest that both know.
 *
 * 1: calls, heartbeats, goodbye.
 * 2: a node that is about to stop says so (`draining`) while it still answers what is under way.
 * 3: partitions move from node to node (`repair.moves`, `repair.rows`).
 * 4: of a strong key's numbered requests those that are over are forgotten.
 */
export const PROTOCOL_VERSIONS: VersionRange = { lowest: 1, highest: 4 };
/** The version from which a peer understands `draining`. */
export const DRAINING_VERSION = 2;
/** The version from which a node takes part in ring changes. */
export const MOVES_VERSION = 3;
/** The version from which a node knows a copy of a request that is over. */
export const NUMBERED_VERSION = 4;

export type RefusalReason =
  | 'wrong-version'
  | 'wrong-secret'
  | 'wrong-cluster'
  /** The other node is not the one that was dialed. */
  | 'wrong-node'
  /** The connection leads back to the node itself. */
  | 'self-connection'
  /** Another node, with another disk, bears this node's name. */
  | 'same-name'
  /** The certificate of the other node names neither it nor its host. */
  | 'wrong-certificate';

export interface HandshakeOptions {
  readonly self: Identity;
  readonly epoch: number;
  /** The founders' list that the cluster id was made of, as a person would write it. */
  readonly founders: string;
  readonly secret: Uint8Array;
  /** `NONCE_BYTES` unpredictable bytes, never used before. */
  readonly nonce: Uint8Array;
  readonly digest: Digest;
  readonly versions: VersionRange;
  /** Whether the other end's certificate is that of this node; undefined on a connection without certificates. */
  readonly certifies?: Certifies | undefined;
}

/** The other end, as it has proved to be. */
export interface Remote extends Identity {
  readonly version: number;
  readonly epoch: number;
}

export type HandshakeStep =
  | { readonly kind: 'send'; readonly send: HandshakeEnvelope }
  | { readonly kind: 'verified'; readonly remote: Remote; readonly send?: HandshakeEnvelope }
  | {
      readonly kind: 'refused';
      readonly by: 'us' | 'them';
      readonly reason: string;
      readonly detail: string;
      /** Who the other end says it is. */
      readonly claimed?: Identity;
      readonly send?: Refused;
    };

export interface Handshake {
  /** What to send as soon as the connection stands. */
  first(): HandshakeEnvelope | undefined;
  /** @throws MalformedMessage for a message that is out of place */
  receive(message: HandshakeEnvelope): HandshakeStep;
}

/** `dialed` is empty for whoever answers. */
export function dialerHandshake(options: HandshakeOptions, dialed: NodeId | ''): Handshake {
  return new DialerHandshake(options, dialed);
}

export function acceptorHandshake(options: HandshakeOptions): Handshake {
  return new AcceptorHandshake(options);
}

class DialerHandshake implements Handshake {
  readonly #options: HandshakeOptions;
  readonly #hello: Hello;
  #welcome: Welcome | undefined;

  constructor(options: HandshakeOptions, dialed: NodeId | '') {
    const { self, nonce, versions } = options;
    this.#options = options;
    const { lowest, highest } = versions;
    this.#hello = { kind: 'hello', lowestVersion: lowest, highestVersion: highest, nonce, from: self, to: dialed };
  }

  first(): HandshakeEnvelope {
    return this.#hello;
  }

  receive(message: HandshakeEnvelope): HandshakeStep {
    if (message.kind === 'refused') return this.#refusedByThem(message);
    if (message.kind === 'welcome' && this.#welcome === undefined) return this.#receiveWelcome(message);
    if (message.kind === 'accepted' && this.#welcome !== undefined)
      return this.#receiveAccepted(message, this.#welcome);
    throw new MalformedMessage(`${message.kind} is out of place in a handshake with an acceptor`);
  }

  #receiveWelcome(welcome: Welcome): HandshakeStep {
    const { versions, epoch, founders } = this.#options;
    const { from } = welcome;
    this.#welcome = welcome;
    if (welcome.version < versions.lowest || welcome.version > versions.highest) {
      throw new MalformedMessage(`version ${welcome.version} was chosen, which was not offered`);
    }
    const trouble = whoTrouble(this.#options, from);
    if (trouble !== undefined) return refuse(trouble.reason, trouble.detail, from);
    if (this.#hello.to !== '' && from.id !== this.#hello.to) {
      return refuse('wrong-node', `dialed ${this.#hello.to}, but it is ${from.id} that answers`, from);
    }
    const proof = proofOf(this.#options, 'dialer', this.#hello, welcome, { epoch, founders });
    return { kind: 'send', send: { kind: 'proof', proof, epoch, founders } };
  }

  #receiveAccepted(accepted: Proof, welcome: Welcome): HandshakeStep {
    const { digest, self, founders } = this.#options;
    const { from, version } = welcome;
    const expected = proofOf(this.#options, 'acceptor', this.#hello, welcome, accepted);
    if (!digest.equalSecrets(expected, accepted.proof)) return refuseSecret(from);
    if (!mayMeet(self, from)) {
      return refuseCluster({ ours: cluster(self, founders), theirs: cluster(from, accepted.founders) }, from);
    }
    return { kind: 'verified', remote: { ...from, version, epoch: accepted.epoch } };
  }

  #refusedByThem(message: Refused): HandshakeStep {
    const { self, founders } = this.#options;
    const ours = message.reason === 'wrong-cluster' ? `; this node is of ${cluster(self, founders)}` : '';
    return refusedByThem(message, this.#welcome?.from, ours);
  }
}

class AcceptorHandshake implements Handshake {
  readonly #options: HandshakeOptions;
  #hello: Hello | undefined;
  #welcome: Welcome | undefined;

  constructor(options: HandshakeOptions) {
    this.#options = options;
  }

  first(): undefined {
    return undefined;
  }

  receive(message: HandshakeEnvelope): HandshakeStep {
    if (message.kind === 'refused') return refusedByThem(message, this.#hello?.from, '');
    if (message.kind === 'hello' && this.#hello === undefined) return this.#receiveHello(message);
    if (message.kind === 'proof' && this.#hello !== undefined && this.#welcome !== undefined) {
      return this.#receiveProof(message, this.#hello, this.#welcome);
    }
    throw new MalformedMessage(`${message.kind} is out of place in a handshake with a dialer`);
  }

  #receiveHello(hello: Hello): HandshakeStep {
    const { versions, self, nonce } = this.#options;
    const { lowestVersion, highestVersion, from } = hello;
    this.#hello = hello;
    const version = Math.min(highestVersion, versions.highest);
    if (version < lowestVersion || version < versions.lowest) {
      const theirs = `${lowestVersion}..${highestVersion}`;
      const ours = `${versions.lowest}..${versions.highest}`;
      return refuse('wrong-version', `${from.id} speaks protocol versions ${theirs}, ${self.id} speaks ${ours}`, from);
    }
    const trouble = whoTrouble(this.#options, from);
    if (trouble !== undefined) return refuse(trouble.reason, trouble.detail, from);
    if (hello.to !== '' && hello.to !== self.id) {
      return refuse('wrong-node', `${from.id} dialed ${hello.to}, but this is ${self.id}`, from);
    }
    this.#welcome = { kind: 'welcome', version, nonce, from: self };
    return { kind: 'send', send: this.#welcome };
  }

  #receiveProof(proof: Proof, hello: Hello, welcome: Welcome): HandshakeStep {
    const { digest, self, epoch, founders } = this.#options;
    const { from } = hello;
    const expected = proofOf(this.#options, 'dialer', hello, welcome, proof);
    if (!digest.equalSecrets(expected, proof.proof)) return refuseSecret(from);
    if (!mayMeet(self, from)) {
      return refuseCluster({ ours: cluster(self, founders), theirs: cluster(from, proof.founders) }, from);
    }
    const own = proofOf(this.#options, 'acceptor', hello, welcome, { epoch, founders });
    return {
      kind: 'verified',
      remote: { ...from, version: welcome.version, epoch: proof.epoch },
      send: { kind: 'accepted', proof: own, epoch, founders },
    };
  }
}

/** The transcript is one encoded array, so that no two different conversations have the same bytes. */
function proofOf(
  options: HandshakeOptions,
  role: 'dialer' | 'acceptor',
  hello: Hello,
  welcome: Welcome,
  stated: { readonly epoch: number; readonly founders: string },
): Uint8Array {
  const transcript = encode([
    'quoral peer handshake',
    role,
    [hello.lowestVersion, hello.highestVersion, hello.nonce],
    [hello.from.id, hello.from.storageId, hello.from.clusterId, hello.to],
    [welcome.version, welcome.nonce],
    [welcome.from.id, welcome.from.storageId, welcome.from.clusterId],
    [stated.epoch, stated.founders],
  ]);
  return options.digest.hmacSha256(options.secret, transcript);
}

function whoTrouble(
  { self, certifies }: HandshakeOptions,
  other: Identity,
): { reason: RefusalReason; detail: string } | undefined {
  if (other.id !== self.id) {
    if (certifies === undefined || certifies(other.id)) return undefined;
    return { reason: 'wrong-certificate', detail: `the certificate names neither ${other.id} nor its host` };
  }
  if (other.storageId === self.storageId) {
    return { reason: 'self-connection', detail: `${self.id} has reached itself` };
  }
  return { reason: 'same-name', detail: `two nodes with different disks are named ${self.id}` };
}

/** Of one cluster, or one of them of none yet. */
function mayMeet(self: Identity, other: Identity): boolean {
  if (self.clusterId === '' || other.clusterId === '') return self.clusterId !== other.clusterId;
  return self.clusterId === other.clusterId;
}

function cluster(identity: Identity, founders: string): string {
  if (identity.clusterId === '') return 'no cluster yet';
  return `cluster ${identity.clusterId} founded by ${founders}`;
}

function refuse(reason: RefusalReason, detail: string, claimed: Identity): HandshakeStep {
  return { kind: 'refused', by: 'us', reason, detail, claimed, send: { kind: 'refused', reason, detail } };
}

/** Says which cluster it is only here, to a node that has proved to know the secret. */
function refuseCluster(clusters: { readonly ours: string; readonly theirs: string }, claimed: Identity): HandshakeStep {
  const { ours, theirs } = clusters;
  return {
    kind: 'refused',
    by: 'us',
    reason: 'wrong-cluster',
    detail: `${claimed.id} is of ${theirs}; this node is of ${ours}`,
    claimed,
    send: { kind: 'refused', reason: 'wrong-cluster', detail: `the refusing node is of ${ours}` },
  };
}

function refuseSecret(claimed: Identity): HandshakeStep {
  return refuse('wrong-secret', 'the cluster secrets of the two nodes differ', claimed);
}

function refusedByThem(message: Refused, claimed: Identity | undefined, ours: string): HandshakeStep {
  const { reason, detail } = message;
  return { kind: 'refused', by: 'them', reason, detail: detail + ours, ...(claimed === undefined ? {} : { claimed }) };
}
