/**
 * The certificates of a node's two doors, as its settings name them.
 */

import {
  CertificateError,
  Certificates,
  type CertificateOptions,
  type DoorName,
  type FileRole,
} from '#world/real/certificates.ts';
import type { Check } from '#api/services.ts';
import { ConfigError } from '#config.ts';
import type { SettingName, Settings } from '#settings.ts';
import type { Clock, Log, Metrics } from '#world/world.ts';

export interface DoorCertificates {
  readonly client: Certificates | undefined;
  readonly peer: Certificates | undefined;
}

const NAMES: Readonly<Record<DoorName, Readonly<Record<FileRole, SettingName & `${string}tls-${string}`>>>> = {
  client: { cert: 'tls-cert', key: 'tls-key', ca: 'tls-client-ca' },
  peer: { cert: 'peer-tls-cert', key: 'peer-tls-key', ca: 'peer-tls-ca' },
};

/** Throws {@link ConfigError} for files that cannot be used. */
export function openCertificates(
  settings: Settings,
  origins: Readonly<Record<string, string>>,
  world: { readonly clock: Clock; readonly log: Log; readonly metrics: Metrics },
  id: string,
): DoorCertificates {
  const { host } = settings.advertise ?? settings['peer-listen'];
  return {
    client: open('client', settings, origins, world),
    peer: open('peer', settings, origins, { ...world, names: [id, host] }),
  };
}

function open(
  door: DoorName,
  settings: Settings,
  origins: Readonly<Record<string, string>>,
  world: Pick<CertificateOptions, 'clock' | 'log' | 'metrics' | 'names'>,
): Certificates | undefined {
  const names = NAMES[door];
  const [cert, key, ca] = [names.cert, names.key, names.ca].map((name) => settings[name] as string | undefined);
  if (cert === undefined || key === undefined) return undefined;
  try {
    return Certificates.open({
      ...world,
      door,
      files: { cert, key, ...(ca === undefined ? {} : { ca }) },
      reloadInterval: settings['tls-reload-interval'],
      expiryWarning: settings['tls-expiry-warning'],
    });
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error;
    const name = names[error.role];
    throw new ConfigError(`setting ${name} (${origins[name]}): ${error.message}`);
  }
}

/**
 * What health says of them. An ended certificate is a warning and makes no node unready: a renewal that is late for all nodes
 * at once must not take all of them out of service, as long as connections stand.
 */
export function certificateChecks({ client, peer }: DoorCertificates): readonly Check[] {
  const held = [client, peer].filter((certificates) => certificates !== undefined);
  if (held.length === 0) return [];
  const detail = held.map((certificates) => certificates.describe()).join('; ');
  const warning = held.some((certificates) => certificates.needsAttention());
  return [{ name: 'certificates', ok: true, ...(warning ? { warning } : {}), detail }];
}

export async function reloadCertificates({ client, peer }: DoorCertificates): Promise<void> {
  await Promise.all([client?.reload(), peer?.reload()]);
}
