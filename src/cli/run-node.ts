/**
 * `quoral node`: one node in the real world. Opens the disk, the peer door and the client door in this order, and closes
 * them in the opposite one.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { nodeId } from '#kernel/identity.ts';
import { DEFAULT_COORDINATOR_SETTINGS } from '#coordinator/environment.ts';
import { StorageMismatch } from '#replica/node-storage.ts';
import { isPartitionCount } from '#ring/founding.ts';
import { createApp } from '#api/app.ts';
import { ListenError } from '#api/server-acceptors.ts';
import { startServer, type HttpServer } from '#api/server.ts';
import { digest } from '#world/digest.ts';
import { DamagedRow } from '#consensus/epoch-tables.ts';
import { realClock } from '#world/real/clock.ts';
import { makeDirectory } from '#world/real/directories.ts';
import { DataDirectoryError } from '#world/real/disk-errors.ts';
import { openDisk } from '#world/real/disk.ts';
import { createLog, type RealLog } from '#world/real/log.ts';
import { createMetrics } from '#world/real/metrics.ts';
import { createNetwork } from '#world/real/network.ts';
import { watchEventLoop } from '#world/real/event-loop.ts';
import { realRandom } from '#world/real/random.ts';
import type { RealTrace } from '#world/real/trace.ts';
import type { HedgeSettings } from '#membership/hedging.ts';
import { DEFAULT_MEMBERSHIP_SETTINGS, type MembershipSettings } from '#membership/settings.ts';
import { DEFAULT_WIRE_SETTINGS } from '#wire/settings.ts';
import { DiskError, NetworkError, type World } from '#world/world.ts';
import { ConfigError, loadConfig, type ConfigSources } from '#config.ts';
import { NODE_TABLES, QuoralNode, type NodeOptions } from '#node.ts';
import type { HintSettings } from '#handoff/hints.ts';
import type { HostHealth } from '#node-health.ts';
import { nodeServices } from '#node-services.ts';
import { formatHostPort } from '#setting-readers.ts';
import { SETTINGS, type Settings } from '#settings.ts';
import { openFilesLimit, sharesOf, type Shares } from './open-files.ts';
import { clientUrl, peerAddress } from './addresses.ts';
import { openTrace } from './open-trace.ts';
import { createAudit } from './audit-file.ts';
import { certificateChecks, openCertificates, type DoorCertificates } from './door-certificates.ts';
import type { EarlySignals } from './early-signals.ts';
import { checkDoors } from './doors.ts';
import { apiWithin, memoryLimit, memorySharesOf, nodeWithin, type MemoryNeeds } from './memory.ts';
import { fail } from './output.ts';
import { warnOfOverruled } from './overruled.ts';
import { watchSpace } from './watch-space.ts';
import { repairSettings } from './repair-settings.ts';
import { replicaLimits } from './replica-limits.ts';
import { tuneRuntime } from './runtime-settings.ts';
import { announceStart, StopRequest } from './start-and-stop.ts';

/** What can be wrong outside this program: told in one line. Anything else is a fault of the program, told with its stack. */
const EXPECTED = [ConfigError, DataDirectoryError, DamagedRow, DiskError, NetworkError, ListenError];

/** A stop accepts connections for no longer: when more and more come, some are broken. */
const ACCEPT_WAITING_MS = 2000;

export async function runNode(sources: ConfigSources, early: EarlySignals): Promise<void> {
  tuneRuntime(memoryLimit());
  try {
    const { settings, origins } = loadConfig(sources);
    const trouble = checkDoors(settings, origins);
    if (trouble !== undefined) throw new ConfigError(trouble);
    await serve(settings, origins, nodeOptions(settings, origins), early);
  } catch (error) {
    if (!(error instanceof Error) || !EXPECTED.some((kind) => error instanceof kind)) throw error;
    fail(whyEnded(error));
    process.exit(1);
  }
}

/** What the disk says of full is said of a node that serves. */
export function whyEnded(error: Error): string {
  const isFull = error instanceof DiskError && error.kind === 'full';
  return isFull ? `${error.message}, this one has not started: start it again then` : error.message;
}

function readSecret(settings: Settings, origins: Readonly<Record<string, string>>): Uint8Array {
  const file = settings['cluster-secret-file'];
  if (file === undefined) return Buffer.from(settings['cluster-secret'] ?? '', 'utf8');
  try {
    return Buffer.from(SETTINGS['cluster-secret'].read(readFileSync(file, 'utf8').trim()), 'utf8');
  } catch (error) {
    throw new ConfigError(
      `setting cluster-secret-file (${origins['cluster-secret-file']}): ${file}: ${error instanceof RangeError ? 'it must hold ' : ''}${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

/** What a token may hold on the way through a header field. */
const ADMIN_TOKEN = /^[A-Za-z0-9._~+/-]{32,1024}=*$/;

function readAdminToken(settings: Settings, origins: Readonly<Record<string, string>>): string | undefined {
  const file = settings['admin-token-file'];
  if (file === undefined) return undefined;
  let token: string;
  try {
    token = readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new ConfigError(`setting admin-token-file (${origins['admin-token-file']}): ${file}: ${messageOf(error)}`);
  }
  if (ADMIN_TOKEN.test(token)) return token;
  throw new ConfigError(
    `setting admin-token-file (${origins['admin-token-file']}): ${file}: it must hold at least 32 characters of A-Z a-z 0-9 . _ ~ + / -`,
  );
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function hintSettings(settings: Settings): HintSettings {
  return {
    bytesMax: settings['hints-bytes-max'],
    ageMax: settings['hints-age-max'],
    interval: settings['hints-interval'],
    bytesPerSecond: settings['hints-rate'],
    targetsMax: settings['hints-targets-max'],
    inFlightMax: settings['hints-in-flight-max'],
    timeout: settings['hints-timeout'],
    backoffMin: settings['hints-backoff-min'],
    backoffMax: settings['hints-backoff-max'],
  };
}

/** What a node is put together from, as the settings say. */
export function nodeOptions(settings: Settings, origins: Readonly<Record<string, string>>): NodeOptions {
  const id = nodeId(settings.id);
  const peer = peerAddress(settings, origins);
  if (settings.seeds.length > 0 && settings['initial-cluster'].length > 0) {
    throw new ConfigError(
      `setting seeds (${origins['seeds']}): initial-cluster (${origins['initial-cluster']}) founds a cluster and seeds join one; give one of them`,
    );
  }
  if (settings.seeds.every((seed) => seed === peer) && settings.seeds.length > 0) {
    throw new ConfigError(`setting seeds (${origins['seeds']}): ${peer} is this node; name a member of the cluster`);
  }
  if (!isPartitionCount(settings.partitions)) {
    throw new ConfigError(
      `setting partitions (${origins['partitions']}): ${settings.partitions} is not allowed; it must be a power of two`,
    );
  }
  if (settings['silence-limit'] <= settings['heartbeat-interval']) {
    throw new ConfigError(
      `setting silence-limit (${origins['silence-limit']}): ${settings['silence-limit']}ms is not allowed; it must be more than heartbeat-interval`,
    );
  }
  const founders = settings['initial-cluster'].map((founder) => ({ id: nodeId(founder.id), peer: founder.peer }));
  const self = founders.find((founder) => founder.id === id);
  if (founders.length > 0 && self?.peer !== peer) {
    const named =
      self === undefined ? `does not name ${id}` : `names ${id} at ${self.peer}, but its peers reach it at ${peer}`;
    throw new ConfigError(`setting initial-cluster (${origins['initial-cluster']}): ${named}`);
  }
  return {
    id,
    peer,
    url: clientUrl(settings),
    zone: settings.zone,
    weight: settings.weight,
    secret: readSecret(settings, origins),
    adminToken: readAdminToken(settings, origins),
    founders: founders.length > 0 || settings.seeds.length > 0 ? founders : [{ id, peer }],
    seeds: settings.seeds,
    joining: { interval: settings['join-interval'], forgetAfter: settings['join-forget-after'] },
    partitionCount: settings.partitions,
    foundingPatience: settings['founding-patience'],
    wire: {
      ...DEFAULT_WIRE_SETTINGS,
      connectTimeout: settings['connect-timeout'],
      handshakeTimeout: settings['handshake-timeout'],
      heartbeatInterval: settings['heartbeat-interval'],
      silenceLimit: settings['silence-limit'],
      reconnectFirst: settings['reconnect-delay-min'],
      reconnectLongest: settings['reconnect-delay-max'],
      maxInFlightPerPeer: settings['peer-calls-max'],
      maxInFlightBytes: settings['peer-calls-bytes-max'],
      maxQueuedBytes: settings['peer-queue-max'],
      maxConcurrentHandlers: settings['peer-handlers-max'],
    },
    membership: membershipSettings(settings),
    hedging: hedgeSettings(settings),
    replica: replicaLimits(settings),
    coordinator: coordinatorSettings(settings),
    hints: hintSettings(settings),
    repair: repairSettings(settings),
    watch: watchSettings(settings),
    drop: { bytesPerSecond: settings['drop-throttle'] },
    readRepair: readRepairSettings(settings),
  };
}

function coordinatorSettings(settings: Settings): NodeOptions['coordinator'] {
  return {
    ...DEFAULT_COORDINATOR_SETTINGS,
    staleRetries: settings['stale-retries'],
    strongChangesMax: settings['strong-changes-max'],
    hintAfter: settings['hint-after'],
    sessionPollDelay: settings['session-poll-delay'],
    valuesUpTo: settings['read-values-up-to'],
  };
}

function watchSettings(settings: Settings): NodeOptions['watch'] {
  return {
    heartbeat: settings['watch-heartbeat'],
    eventsMax: settings['watch-events-max'],
    renewal: settings['watch-renewal'],
    keysMax: settings['watch-keys-max'],
    logBytesMax: settings['watch-log-max'],
    logAgeMax: settings['watch-log-age'],
  };
}

function readRepairSettings(settings: Settings): NodeOptions['readRepair'] {
  return {
    inFlightMax: settings['read-repairs-max'],
    timeout: settings['read-repair-timeout'],
    jitter: settings['read-repair-jitter'],
  };
}

function hedgeSettings(settings: Settings): HedgeSettings {
  return {
    delay: settings['read-hedge-delay'],
    delayMin: settings['hedge-delay-min'],
    delayMax: settings['hedge-delay-max'],
    share: settings['hedge-share'],
  };
}

function membershipSettings(settings: Settings): MembershipSettings {
  return {
    ...DEFAULT_MEMBERSHIP_SETTINGS,
    probeInterval: settings['probe-interval'],
    probeTimeout: settings['probe-timeout'],
    indirectProbes: settings['indirect-probes'],
    suspicionFactor: settings['suspicion-factor'],
    gossipInterval: settings['gossip-interval'],
    gossipFanout: settings['gossip-fanout'],
    exchangeInterval: settings['membership-exchange-interval'],
    clocks: { warnFrom: settings['clock-apart-warning'], apartMax: settings['clock-apart-max'] },
    markInterval: settings['disk-mark-interval'],
    silenceBeforeProbe: settings['silence-before-probe'],
  };
}

interface Outside {
  readonly world: World & { readonly trace: RealTrace; readonly log: RealLog };
  readonly certificates: DoorCertificates;
  readonly shares: Shares;
}

async function openOutside(
  settings: Settings,
  origins: Readonly<Record<string, string>>,
  id: string,
): Promise<Outside> {
  const metrics = createMetrics({ process: true });
  const log = createLog({
    level: settings['log-level'],
    fields: { node: id },
    bufferMax: settings['log-buffer-max'],
    metrics,
    onTrouble: (error) => fail(`the log cannot be written, lines that find no room are lost: ${error.message}`),
  });
  const shares = sharesOf(openFilesLimit(), log);
  const clock = realClock();
  const certificates = openCertificates(settings, origins, { clock, log, metrics }, id);
  const directory = settings['data-dir'];
  try {
    makeDirectory(directory);
  } catch (error) {
    throw new ConfigError(
      `setting data-dir (${origins['data-dir']}): ${directory} cannot be used: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  const path = join(directory, 'quoral.db');
  const disk = await openDisk({
    ...{ path, tables: NODE_TABLES, log, metrics },
    cacheBytes: settings['disk-cache'],
    rowCacheBytes: settings['row-cache'],
    segmentBytes: settings['disk-journal'],
    walBytes: settings['disk-log'],
  });
  const { host, port } = settings['peer-listen'];
  const network = createNetwork({
    listenHost: host,
    listenPort: port,
    log,
    maxConnections: shares.peers,
    ...(certificates.peer === undefined ? {} : { certificates: certificates.peer }),
  });
  const trace = await openTrace(settings, log, metrics);
  return { world: { clock, random: realRandom(), network, disk, log, metrics, trace, digest }, certificates, shares };
}

function memoryNeeds(settings: Settings): MemoryNeeds {
  return {
    cacheBytes: settings['disk-cache'] + settings['row-cache'] + 2 * settings['disk-journal'],
    largestBytes: Math.max(settings['value-max'], settings['batch-bytes-max']),
  };
}

async function serve(
  settings: Settings,
  origins: Readonly<Record<string, string>>,
  options: NodeOptions,
  early: EarlySignals,
): Promise<void> {
  const { world, certificates, shares } = await openOutside(settings, origins, options.id);
  process.on('uncaughtException', (error) => endAfterFault(world, error));
  const stop = new StopRequest(certificates, world.log, early);
  const eventLoop = watchEventLoop(world.metrics);
  watchSpace({ world, lowBytes: settings['disk-free-warning'], interval: settings['disk-free-interval'] });
  const host: HostHealth = {
    eventLoopDelay: () => eventLoop.worstDelay(),
    eventLoopTime: () => eventLoop.time(),
    stopping: () => stop.isAsked,
    certificates: () => certificateChecks(certificates),
    eventLoopDelayWarning: settings['event-loop-delay-warning'],
    diskFreeWarning: settings['disk-free-warning'],
  };
  let node: QuoralNode | undefined;
  let server: HttpServer | undefined;
  try {
    const memory = memorySharesOf(memoryLimit(), memoryNeeds(settings), world.log);
    node = await QuoralNode.create(world, nodeWithin(memory, options));
    const services = nodeServices(node, settings, createAudit(settings, world.log), host, apiWithin(memory));
    const door = { ...settings.listen, tls: certificates.client, maxConnections: shares.clients };
    server = await startServer(createApp(services), services, door);
    await node.start();
  } catch (error) {
    await server?.close(0);
    await world.disk.close();
    if (!(error instanceof StorageMismatch)) throw error;
    throw new ConfigError(`setting data-dir (${origins['data-dir']}): ${settings['data-dir']}: ${error.message}`);
  }
  announceStart(options.url, node);
  if (options.url === '') {
    const reason =
      '--listen is every address of this machine: without --advertise-url no client is sent here by the ring';
    world.log.warn('client-url-unknown', { listen: formatHostPort(settings.listen), reason });
  }
  warnOfOverruled(world.log, node.member(), settings, origins);
  world.log.info('node-started', { url: options.url, peer: options.peer, zone: options.zone });
  const reason = await stop.requested;
  world.log.info('node-stopping', { reason, lingerMs: settings['stop-linger'] });
  await sleep(settings['stop-linger']);
  node.announceStop();
  await server.close(settings['stop-timeout'], settings['stop-idle-grace'], ACCEPT_WAITING_MS);
  await node.stop(settings['stop-timeout']);
  await world.trace.stop(settings['trace-stop-timeout']);
  world.log.info('node-stopped');
  const trouble = await world.log.close(settings['log-stop-timeout']);
  if (trouble !== undefined) fail(`the last lines of the log are lost: ${trouble}`);
  process.exit(0);
}

/** A fault of the program: this process cannot vouch for its state any more. The next start begins a new tenure. */
function endAfterFault(world: World, error: unknown): void {
  world.log.error('fault', { reason: String(error), stack: error instanceof Error ? error.stack : undefined });
  fail(`a fault of the program, please report it: ${String(error)}`);
  process.exit(1);
}
