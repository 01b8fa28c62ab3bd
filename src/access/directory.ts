/**
 * The tokens as this node knows them, and the way to create and revoke them for the whole cluster.
 *
 * They are rows of the epoch chain, like the definitions of buckets: what was created works at every node, and a revocation
 * is answered when every member that can be reached has installed it. A node that is cut off goes on with the tokens that it
 * knows.
 *
 * One token stands outside of the chain: the one from a file of this node, with all rights, which makes the first ones.
 */

import { MAXIMUM_SCOPES } from '#consensus/facts-codec.ts';
import type { EpochChain } from '#consensus/epoch-chain.ts';
import type { ProposalFailure } from '#consensus/epoch-proposer.ts';
import type { Facts, TokenRow } from '#consensus/facts.ts';
import { whoIsLate } from '#consensus/who-is-late.ts';
import { assert } from '#kernel/assert.ts';
import { utf8 } from '#kernel/bytes.ts';
import type { Digest, Random } from '#world/world.ts';
import { accessOf, type Access } from './access.ts';
import { addToken, removeToken } from './change.ts';
import { formatScope, parseScope, RIGHTS, type Scope } from './scope.ts';
import { formatToken, secretOf, SECRET_BYTES, splitToken } from './token.ts';

/** Of the token from the file; no other can have it. */
export const BOOTSTRAP_NAME = 'bootstrap';
export const TOKEN_SCOPES_MAX = MAXIMUM_SCOPES;

export interface Token {
  readonly name: string;
  readonly scopes: readonly string[];
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  /** Milliseconds since 1970; 0 for never. */
  readonly expiresAt: number;
}

export interface TokenWish {
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** Seconds that it lives; null for ever. */
  readonly ttl: number | null;
}

export type TokenCreation =
  /** `text` is what a client sends; nobody can ever be told it again. */
  | { readonly kind: 'created'; readonly token: Token; readonly text: string }
  | { readonly kind: 'refused'; readonly detail: string }
  | ProposalFailure;

export type TokenRevocation = { readonly kind: 'revoked' } | { readonly kind: 'absent' } | ProposalFailure;

export type Authentication = Access | 'unknown' | 'expired';

/** What the directory uses of the chain. */
export type Chain = Pick<EpochChain, 'facts' | 'propose' | 'awaitInstalled' | 'reaches'>;

export interface TokenDirectoryOptions {
  readonly chain: Chain;
  readonly digest: Digest;
  readonly random: Random;
  /** The calendar clock, milliseconds since 1970. */
  readonly wall: () => number;
  /** The token that this node takes from a file. */
  readonly bootstrap: string | undefined;
}

/** A token that can be asked for, with what the last request proved. */
interface Known {
  readonly access: Access;
  readonly digest: Uint8Array;
  readonly expiresAt: number;
  /** The secret's text once it was found to be the right one: comparing with it costs less than a digest. */
  proved: Uint8Array | undefined;
}

export class TokenDirectory {
  readonly #options: TokenDirectoryOptions;
  readonly #bootstrap: { readonly digest: Uint8Array; readonly access: Access } | undefined;
  #facts: Facts | undefined;
  #known: ReadonlyMap<string, Known> = new Map();

  constructor(options: TokenDirectoryOptions) {
    this.#options = options;
    const { bootstrap, digest } = options;
    if (bootstrap === undefined) return;
    const scopes = RIGHTS.map((right) => ({ right, buckets: '*' }));
    this.#bootstrap = { digest: digest.sha256(utf8(bootstrap)), access: accessOf(BOOTSTRAP_NAME, scopes) };
  }

  /** Who sends this token. Every comparison takes the same time wherever the difference is. */
  authenticate(text: string): Authentication {
    const { digest, wall } = this.#options;
    const parts = splitToken(text);
    const known = parts === undefined ? undefined : this.#find(parts.name);
    if (parts === undefined || known === undefined) return this.#asBootstrap(text);
    const secretText = utf8(parts.secretText);
    if (known.proved === undefined || !digest.equalSecrets(known.proved, secretText)) {
      const secret = secretOf(parts.secretText);
      if (secret === undefined || !digest.equalSecrets(known.digest, digest.sha256(secret)))
        return this.#asBootstrap(text);
      known.proved = secretText;
    }
    return known.expiresAt !== 0 && wall() >= known.expiresAt ? 'expired' : known.access;
  }

  /** All tokens, by name. */
  list(): readonly Token[] {
    return (this.#options.chain.facts()?.tokens ?? []).map(shown);
  }

  async create({ name, scopes, ttl }: TokenWish, deadline: number): Promise<TokenCreation> {
    const { chain, digest, random, wall } = this.#options;
    if (name === BOOTSTRAP_NAME)
      return { kind: 'refused', detail: `${BOOTSTRAP_NAME} is the name of the token from the file` };
    const secret = random.bytes(SECRET_BYTES);
    const createdAt = Math.floor(wall());
    const row: TokenRow = {
      name,
      digest: digest.sha256(secret),
      scopes: scopes.map(formatScope),
      createdAt,
      expiresAt: ttl === null ? 0 : createdAt + ttl * 1000,
    };
    const result = await chain.propose((facts) => addToken(facts, row), deadline);
    if (result.kind === 'refused') return { kind: 'refused', detail: result.reason };
    if (result.kind === 'failed') return result;
    const trouble = await whoIsLate(chain, result.facts.epoch, deadline);
    // Its secret is told to nobody then.
    if (trouble !== undefined)
      return { ...trouble, detail: `${trouble.detail}; revoke ${name} before another attempt` };
    return { kind: 'created', token: shown(row), text: formatToken(name, secret) };
  }

  /** From the answer on no member that can be reached accepts the token. */
  async revoke(name: string, deadline: number): Promise<TokenRevocation> {
    const { chain } = this.#options;
    let found = false;
    const result = await chain.propose((facts) => {
      const next = removeToken(facts, name);
      found = next !== facts;
      return next;
    }, deadline);
    assert(result.kind !== 'refused', 'a token may always be taken away');
    if (result.kind === 'failed') return result;
    // Also when there is none here any more: another revocation of it may be on its way to the others.
    const trouble = await whoIsLate(chain, result.facts.epoch, deadline);
    return trouble ?? { kind: found ? 'revoked' : 'absent' };
  }

  #asBootstrap(text: string): Authentication {
    const { digest } = this.#options;
    if (this.#bootstrap === undefined) return 'unknown';
    const same = digest.equalSecrets(this.#bootstrap.digest, digest.sha256(utf8(text)));
    return same ? this.#bootstrap.access : 'unknown';
  }

  #find(name: string): Known | undefined {
    const facts = this.#options.chain.facts();
    if (facts !== this.#facts) {
      // What was proved is forgotten with the facts under which it was proved.
      this.#facts = facts;
      this.#known = new Map(facts?.tokens.map((row) => [row.name, knownOf(row)]));
    }
    return this.#known.get(name);
  }
}

function knownOf({ name, digest, scopes, expiresAt }: TokenRow): Known {
  // A scope that a later version has added gives nothing here.
  const understood = scopes.map(parseScope).filter((scope) => scope !== undefined);
  return { access: accessOf(name, understood), digest, expiresAt, proved: undefined };
}

function shown({ name, scopes, createdAt, expiresAt }: TokenRow): Token {
  return { name, scopes, createdAt, expiresAt };
}
