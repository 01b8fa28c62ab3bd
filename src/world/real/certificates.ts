/**
 * The certificate of one door, from files that somebody else renews. They are read again at an interval and on request; a
 * new pair serves the handshakes from then on, and connections that stand are left alone. A pair that cannot be used (half
 * written, of two different renewals, unreadable, ended or not valid yet, or one that other nodes would refuse) is told and counted,
 * and the former one stays.
 *
 * Nothing of a key is ever logged: what is told of a pair is its fingerprint and when it ends.
 */

import { createHash, createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createSecureContext, type TLSSocket } from 'node:tls';
import type { Clock, Counter, Log, LogFields, Metrics, Timer } from '#world/world.ts';
import { Seldom } from '#world/seldom.ts';
import { handshakeTrouble, refusalOf } from './tls.ts';

export type DoorName = 'client' | 'peer';
export type FileRole = 'cert' | 'key' | 'ca';

export interface CertificateOptions {
  readonly door: DoorName;
  /** The certificate with its chain, its key, and the CAs of the other ends' certificates; all PEM. */
  readonly files: { readonly cert: string; readonly key: string; readonly ca?: string };
  /**
   * Of the peer door: the other ends look for one of these names in the certificate, and trust the same authorities. Otherwise the
   * other ends are of other kinds, and nothing is known of what they want.
   */
  readonly names?: readonly string[];
  /** Milliseconds between two looks at the files. */
  readonly reloadInterval: number;
  /** How long before its end, in milliseconds, a certificate is complained of. */
  readonly expiryWarning: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics?: Metrics;
}

/** What {@link createSecureContext} and its like take. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
  /** Only these vouch for the other end. */
  readonly ca?: readonly string[];
}

/** One of the files cannot be used; the message says which and why. */
export class CertificateError extends Error {
  override readonly name = 'CertificateError';
  readonly role: FileRole;

  constructor(role: FileRole, message: string) {
    super(message);
    this.role = role;
  }
}

interface Texts {
  readonly cert: string;
  readonly key: string;
  readonly ca: string | undefined;
}

interface Loaded {
  readonly pair: KeyPair;
  /** Why the other ends would refuse it, as far as that is known. */
  readonly refusal: string | undefined;
  /** Milliseconds since 1970 from which all of the chain is valid. */
  readonly begins: number;
  /** Milliseconds since 1970 at which the first certificate of the chain ends. */
  readonly expires: number;
  readonly fingerprint: string;
}

const DAY_MS = 24 * 60 * 60 * 1000;
/** The end of a block of PEM, and what is left behind the last one where a file is written just now. */
const BLOCK_END = /-----END [^-\n]+-----/g;
const BEGUN = /-----BEGIN |^-[-A-Z ]*$/m;
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

export class Certificates {
  readonly door: DoorName;
  readonly #options: CertificateOptions;
  readonly #listeners: (() => void)[] = [];
  readonly #reloads: Readonly<Record<'loaded' | 'refused', Counter | undefined>>;
  readonly #failures: Counter | undefined;
  readonly #seldom: Seldom;
  #loaded: Loaded;
  /** A digest of what was tried last, whether or not it could be used. */
  #tried: string;
  #trouble: string | undefined;
  /** When what was tried last and is too early becomes valid. */
  #validFrom = Infinity;
  #warned: 'nothing' | 'soon' | 'ended' = 'nothing';
  #warnedAt = -Infinity;
  #timer: Timer | undefined;

  /** Reads the files and keeps looking at them. Throws {@link CertificateError} when they cannot be used. */
  static open(options: CertificateOptions): Certificates {
    const certificates = new Certificates(options, readNow(options.files));
    certificates.#lookAgain();
    return certificates;
  }

  private constructor(options: CertificateOptions, texts: Texts) {
    const { door, log, metrics } = options;
    this.#options = options;
    this.#seldom = new Seldom(() => options.clock.monotonic());
    this.door = door;
    this.#loaded = load(texts, options);
    this.#tried = digestOf(texts);
    const reloads = (result: string): Counter | undefined =>
      metrics?.counter('quoral_tls_reloads_total', 'Changed certificate files, by what became of them.', {
        door,
        result,
      });
    this.#reloads = { loaded: reloads('loaded'), refused: reloads('refused') };
    const failed = 'TLS handshakes that failed at a door.';
    this.#failures = metrics?.counter('quoral_tls_handshakes_failed_total', failed, { door });
    const expires = (): number => Math.floor(this.#loaded.expires / 1000);
    metrics?.gauge(
      'quoral_tls_certificate_expires_seconds',
      'When the certificate in use ends, in seconds since 1970.',
      expires,
      { door },
    );
    log.info('certificate-loaded', this.#told());
    const { begins } = this.#loaded;
    if (begins > options.clock.wall()) log.error('certificate-not-valid-yet', { door, begins: isoText(begins) });
    this.#warnOfEnd();
  }

  /** The pair that new handshakes use from now on. */
  pair(): KeyPair {
    return this.#loaded.pair;
  }

  /** Whether the other end must show a certificate too. */
  get mutual(): boolean {
    return this.#options.files.ca !== undefined;
  }

  /** Calls back when {@link pair} gives another one. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** A handshake failed at the door. The same reason is told loudly now and then, so that a port scan cannot fill the log. */
  handshakeFailed(error: NodeJS.ErrnoException, socket: TLSSocket): void {
    const { log } = this.#options;
    const reason = handshakeTrouble(error, socket);
    const remote = `${socket.remoteAddress ?? 'unknown'}:${socket.remotePort ?? 0}`;
    this.#failures?.add();
    const fields = { door: this.door, remote, reason };
    if (this.#seldom.isNews(reason)) log.warn('tls-handshake-failed', fields);
    else log.debug('tls-handshake-failed', fields);
  }

  /** Whether somebody should look after the files: the end is near, or what they hold now cannot be used. */
  needsAttention(): boolean {
    const { clock, expiryWarning } = this.#options;
    const { begins, expires } = this.#loaded;
    const now = clock.wall();
    return this.#trouble !== undefined || expires - now <= expiryWarning || begins > now;
  }

  /** For people, as the detail of a health check. */
  describe(): string {
    const { clock, expiryWarning } = this.#options;
    const { begins, expires } = this.#loaded;
    const left = expires - clock.wall();
    const early = begins > clock.wall() ? `not valid before ${isoText(begins)}, ` : '';
    const until = isoText(expires);
    const word = left <= 0 ? 'EXPIRED at' : left <= expiryWarning ? 'expires soon, at' : 'valid until';
    const trouble = this.#trouble === undefined ? '' : `; the changed files are not used: ${this.#trouble}`;
    return `${this.door} door: ${early}${word} ${until}${trouble}`;
  }

  /** Reads the files again now. */
  async reload(): Promise<void> {
    const { files } = this.#options;
    let texts: Texts;
    try {
      texts = await readLater(files);
    } catch (error) {
      this.#refuse(error, `unreadable: ${String(error)}`);
      return;
    }
    const tried = digestOf(texts);
    if (tried === this.#tried && this.#options.clock.wall() < this.#validFrom) return;
    try {
      this.#loaded = this.#checkUse(load(texts, this.#options));
    } catch (error) {
      this.#refuse(error, tried);
      return;
    }
    this.#tried = tried;
    this.#trouble = undefined;
    this.#validFrom = Infinity;
    this.#warned = 'nothing';
    this.#reloads.loaded?.add();
    this.#options.log.info('certificate-reloaded', this.#told());
    for (const listener of this.#listeners) listener();
  }

  close(): void {
    this.#timer?.cancel();
  }

  #lookAgain(): void {
    this.#timer = this.#options.clock.after(this.#options.reloadInterval, () => {
      void this.reload().then(() => {
        this.#warnOfEnd();
        this.#lookAgain();
      });
    });
  }

  /** Nobody would take a pair outside of its time, or that names somebody else: the former one is better, if it is not like that too. */
  #checkUse(loaded: Loaded): Loaded {
    const { clock, files } = this.#options;
    const now = clock.wall();
    const { begins, expires } = loaded;
    this.#validFrom = begins > now ? begins : Infinity;
    if (begins > now) throw new CertificateError('cert', `${files.cert} is not valid before ${isoText(begins)}`);
    if (expires <= now && this.#loaded.expires > now)
      throw new CertificateError('cert', `${files.cert} has ended at ${isoText(expires)}`);
    if (loaded.refusal !== undefined && this.#loaded.refusal === undefined)
      throw new CertificateError('cert', `${files.cert} would be refused by other nodes: ${loaded.refusal}`);
    return loaded;
  }

  /** Told and counted once for each content of the files. */
  #refuse(error: unknown, tried: string): void {
    if (!(error instanceof CertificateError)) throw error;
    if (tried === this.#tried) return;
    this.#tried = tried;
    this.#trouble = error.message;
    this.#reloads.refused?.add();
    this.#options.log.error('certificate-refused', {
      door: this.door,
      reason: error.message,
      keeps: this.#loaded.fingerprint,
    });
  }

  #told(): LogFields {
    const { expires, fingerprint } = this.#loaded;
    return { door: this.door, fingerprint, expires: isoText(expires) };
  }

  /** Once when the end is near and once when it is there, and of each again after a day. */
  #warnOfEnd(): void {
    const { clock, log, expiryWarning } = this.#options;
    const left = this.#loaded.expires - clock.wall();
    const warning = left <= 0 ? 'ended' : left <= expiryWarning ? 'soon' : 'nothing';
    const now = clock.monotonic();
    const isKnown = warning === this.#warned && now - this.#warnedAt < DAY_MS;
    this.#warned = warning;
    if (warning === 'nothing' || isKnown) return;
    this.#warnedAt = now;
    const fields = { door: this.door, expires: isoText(this.#loaded.expires) };
    if (warning === 'soon') log.warn('certificate-expires-soon', fields);
    else log.error('certificate-expired', fields);
  }
}

function readNow(files: CertificateOptions['files']): Texts {
  const read = (role: FileRole, path: string): string => {
    try {
      return readFileSync(path, 'utf8');
    } catch (error) {
      throw unreadable(role, path, error);
    }
  };
  const ca = files.ca === undefined ? undefined : read('ca', files.ca);
  return { cert: read('cert', files.cert), key: read('key', files.key), ca };
}

async function readLater(files: CertificateOptions['files']): Promise<Texts> {
  const read = async (role: FileRole, path: string): Promise<string> => {
    try {
      return await readFile(path, 'utf8');
    } catch (error) {
      throw unreadable(role, path, error);
    }
  };
  const ca = files.ca === undefined ? undefined : await read('ca', files.ca);
  return { cert: await read('cert', files.cert), key: await read('key', files.key), ca };
}

function unreadable(role: FileRole, path: string, error: unknown): CertificateError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
  return new CertificateError(role, `${path} cannot be read (${code})`);
}

function digestOf({ cert, key, ca }: Texts): string {
  return createHash('sha256')
    .update(JSON.stringify([cert, key, ca ?? null]))
    .digest('hex');
}

function load({ cert, key, ca }: Texts, { files, names }: Pick<CertificateOptions, 'files' | 'names'>): Loaded {
  const chain = parseCertificates('cert', files.cert, cert);
  const [leaf] = chain;
  checkKey(files, leaf!, key);
  const authorities = ca === undefined ? undefined : parseCertificates('ca', files.ca!, ca);
  const pair = { cert, key, ...(ca === undefined ? {} : { ca: [...ca.match(CERTIFICATE)!] }) };
  try {
    createSecureContext({ ...pair, ca: pair.ca === undefined ? undefined : [...pair.ca] });
  } catch (error) {
    throw new CertificateError('cert', `${files.cert} cannot be used: ${reasonOf(error)}`);
  }
  const expires = Math.min(...chain.map(({ validTo }) => Date.parse(validTo)));
  const begins = Math.max(...chain.map(({ validFrom }) => Date.parse(validFrom)));
  const refusal = names === undefined ? undefined : refusalOf(chain, authorities ?? [], names);
  return { pair, refusal, begins, expires, fingerprint: leaf!.fingerprint256 };
}

function parseCertificates(role: FileRole, path: string, text: string): readonly X509Certificate[] {
  const blocks = text.match(CERTIFICATE);
  if (blocks === null) throw new CertificateError(role, `${path} holds no certificate in PEM form`);
  // Without the rest of its chain, or of the authorities, it would do for some of the other ends only.
  const behind = text.split(BLOCK_END).at(-1)!;
  if (BEGUN.test(behind))
    throw new CertificateError(role, `${path} ends amid a block of PEM: it is not whole, or not yet`);
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch (error) {
    throw new CertificateError(role, `${path} holds a damaged certificate: ${reasonOf(error)}`);
  }
}

function checkKey(files: CertificateOptions['files'], leaf: X509Certificate, text: string): void {
  let fits: boolean;
  try {
    fits = leaf.checkPrivateKey(createPrivateKey(text));
  } catch (error) {
    throw new CertificateError(
      'key',
      `${files.key} holds no key that can be used (unencrypted PEM): ${reasonOf(error)}`,
    );
  }
  if (!fits) throw new CertificateError('key', `${files.key} is not the key of the certificate in ${files.cert}`);
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function isoText(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
