/**
 * Every setting of a node, once: its name, what it may be, its default and what it does. The same name serves in all three
 * forms: `read-hedge-delay` in the YAML file, `QUORAL_READ_HEDGE_DELAY` in the environment, `--read-hedge-delay` as a flag.
 */

import {
  anyText,
  bytes,
  rate,
  duration,
  flag,
  fraction,
  integer,
  oneOf,
  readHostPort,
  readOrigin,
  readPeerAddress,
  readHttpUrl,
  readInitialCluster,
  readOrigins,
  readSeeds,
  setting,
  text,
  type Setting,
} from './setting-readers.ts';
import { UPKEEP_SETTINGS } from './settings-upkeep.ts';

const ID = text(/^[A-Za-z0-9._-]{1,64}$/, '1-64 characters of A-Z a-z 0-9 . _ -');

export const SETTINGS = {
  // who this node is
  id: setting(ID, 'n1', 'name of this node, unique in the cluster and for ever'),
  listen: setting(readHostPort, '127.0.0.1:7101', 'the door for clients'),
  'peer-listen': setting(readHostPort, '127.0.0.1:7201', 'the door for other nodes'),
  'advertise-url': setting(
    readOrigin,
    undefined,
    'http:// or https:// address under which clients reach --listen (default: that address)',
  ),
  advertise: setting(
    readPeerAddress,
    undefined,
    'host:port under which other nodes reach --peer-listen (default: that address)',
  ),
  'data-dir': setting(anyText, './data/n1', 'directory of the durable data; one node each'),
  zone: setting(ID, 'default', 'failure domain: replicas are spread over zones'),
  weight: setting(integer(1, 1000), '1', 'share of the data relative to the other nodes'),
  'log-level': setting(oneOf('debug', 'info', 'warn', 'error'), 'info', 'least level that is logged'),
  'cluster-secret-file': setting(anyText, undefined, 'file with the secret that all nodes share'),
  'cluster-secret': setting(
    text(/^.{16,}$/s, 'at least 16 characters'),
    undefined,
    'the secret itself; better given as a file',
  ),
  // TLS
  'tls-cert': setting(
    anyText,
    undefined,
    'file with the certificate and chain of --listen, PEM; clients use https then',
  ),
  'tls-key': setting(anyText, undefined, 'file with its key, PEM'),
  'tls-client-ca': setting(
    anyText,
    undefined,
    'file with CAs, PEM; clients must show a certificate that one has signed',
  ),
  'peer-tls-cert': setting(anyText, undefined, 'file with the certificate that this node shows to the others, PEM'),
  'peer-tls-key': setting(anyText, undefined, 'file with its key, PEM'),
  'peer-tls-ca': setting(anyText, undefined, 'file with the CAs that sign the certificates of all nodes, PEM'),
  'tls-reload-interval': setting(duration(100, 86_400_000), '10s', 'how often certificate files are looked at'),
  'tls-expiry-warning': setting(
    duration(0, 31_536_000_000),
    '336h',
    'how long before its end a certificate is complained of',
  ),
  insecure: setting(flag, 'false', 'allow doors beyond loopback without TLS, a secret or tokens'),
  // who may do what
  auth: setting(oneOf('off', 'tokens'), 'off', 'whether clients must show a token: off or tokens'),
  'admin-token-file': setting(
    anyText,
    undefined,
    'file with a token of at least 32 characters that may do everything, to make the first tokens with',
  ),
  'cors-origins': setting(
    readOrigins,
    '',
    'origins whose pages may use the API from a browser, with commas between them, or * for all',
  ),
  'metrics-open': setting(flag, 'false', 'answer /metrics and /healthz without a token too'),
  'audit-file': setting(anyText, undefined, 'file that the audit log is appended to (default: it stands in the log)'),
  'audit-refusals-max': setting(
    integer(0, 100_000),
    '10',
    'refusals in the audit log within ten seconds; more are counted and told together',
  ),
  // the cluster
  'initial-cluster': setting(
    readInitialCluster,
    '',
    'founders of a new cluster, id=host:peerport,…; the same list on each',
  ),
  seeds: setting(readSeeds, '', 'peers of a running cluster to join, host:peerport,…'),
  'join-interval': setting(
    duration(100, 600_000),
    '2s',
    'how often a node that waits to join makes itself known to the members',
  ),
  'join-forget-after': setting(duration(200, 3_600_000), '10s', 'how long members remember one that is silent'),
  // the ring
  partitions: setting(integer(8, 4096), '256', 'equal slices of the ring, a power of two; counts at founding only'),
  'founding-patience': setting(
    duration(0, 600_000),
    '3s',
    'how long founders wait for all of them before a majority goes on',
  ),
  // requests
  'request-timeout': setting(duration(1, 60_000), '5s', 'what `timeout` is when a request does not say'),
  'read-hedge-delay': setting(
    duration(1, 60_000),
    '50ms',
    'when a read asks one more owner, as long as it is not known how fast the asked one usually is',
  ),
  'hedge-delay-min': setting(duration(1, 60_000), '5ms', 'shortest such delay when it is known'),
  'hedge-delay-max': setting(duration(1, 60_000), '500ms', 'longest such delay when it is known'),
  'hedge-share': setting(fraction, '0.05', 'share of the calls to peers that may be made once more to another'),
  'value-max': setting(bytes(1, 8 * 1024 ** 2), '4MiB', 'largest value'),
  'siblings-max': setting(integer(2, 142), '100', 'concurrent versions of one key'),
  'object-max': setting(bytes(1024, 8 * 1024 ** 2), '8MiB', 'bytes of one key with all its concurrent versions'),
  'entries-max': setting(integer(1, 14_285), '10000', 'entries of a data type: elements of a set, parts of a map'),
  'requests-max': setting(integer(1, 1_000_000), '4096', 'client requests under way at once; more get 429'),
  'batch-max': setting(integer(1, 1000), '1000', 'operations of one batch'),
  'batch-bytes-max': setting(bytes(1024, 64 * 1024 ** 2), '8MiB', 'bytes of a batch, and of the values in its answer'),
  'streams-max': setting(
    integer(1, 1_000_000),
    '1024',
    'answers that are being streamed at once, listings and watches; more get 429',
  ),
  'overload-latency': setting(
    duration(1, 60_000),
    '100ms',
    'what data requests may take at the pace of a node that is busy all the time; when more come, so many are let in as end within a fifth of it',
  ),
  'overload-requests-min': setting(
    integer(1, 1_000_000),
    '96',
    'data requests that it lets in at once even then; fewer are quicker, more are cheaper',
  ),
  'repeat-pause': setting(
    duration(0, 10_000),
    '250ms',
    'how long a connection waits unread after its request was turned away, when much more is turned away than answered',
  ),
  'stale-retries': setting(integer(0, 10), '3', 'how often a request starts again when the ring changed under it'),
  'strong-changes-max': setting(
    integer(1, 1_000_000),
    '4096',
    'changes of strong keys that wait at this node; more get 429',
  ),
  // storage
  'disk-cache': setting(
    bytes(1024 ** 2, 64 * 1024 ** 3),
    '64MiB',
    'memory for pages of the database; what is larger than it is read from the files, which the operating system caches too',
  ),
  'row-cache': setting(bytes(0, 2 * 1024 ** 3), '32MiB', 'memory for records last read or written; 0: none'),
  'disk-journal': setting(
    bytes(1024 ** 2, 256 * 1024 ** 2),
    '32MiB',
    'each of the journal’s two files; both in memory too',
  ),
  'disk-log': setting(
    bytes(1024 ** 2, 16 * 1024 ** 3),
    '128MiB',
    'size of the database’s write-ahead log at which it is copied into the database file; it may grow to twice as much while that goes on',
  ),
  'commit-group-max': setting(integer(1, 4096), '128', 'writes that share one commit'),
  'commit-queue-max': setting(integer(1, 1_000_000), '8192', 'writes that wait for the disk; more are refused'),
  'commit-queue-bytes-max': setting(
    bytes(1024 ** 2, 64 * 1024 ** 3),
    '256MiB',
    'bytes of the writes that wait for the disk',
  ),
  'drop-throttle': setting(
    rate(1024, 64 * 1024 ** 3),
    '8MiB',
    'bytes a second that rows of dropped buckets are taken away with',
  ),
  'watch-log-max': setting(bytes(0, 64 * 1024 ** 3), '64MiB', 'bytes of the log of changes; 0: no watches anywhere'),
  'watch-log-age': setting(duration(60_000, 30 * 86_400_000), '24h', 'changes that are older leave the log'),
  'watch-heartbeat': setting(duration(100, 60_000), '15s', 'silence after which a watch shows that it is alive'),
  'watch-events-max': setting(integer(10, 1_000_000), '1000', 'events that wait for one client; then it is cut'),
  'watch-renewal': setting(duration(100, 60_000), '2s', 'pause between two questions to a node that is followed'),
  'watch-keys-max': setting(integer(100, 10_000_000), '100000', 'keys of which is remembered what was told last'),
  'read-values-up-to': setting(
    bytes(0, 8 * 1024 ** 2),
    '8KiB',
    'of a key with more bytes a read asks one owner for the values, the others only what they know',
  ),
  'session-poll-delay': setting(
    duration(1, 60_000),
    '50ms',
    'when a read asks again for what its session has seen and nobody knows',
  ),
  // requests with idempotency keys
  'retry-window': setting(
    duration(1000, 600_000),
    '10m',
    'how long a request with an Idempotency-Key may be sent again',
  ),
  'retries-max': setting(
    integer(0, 100_000_000),
    '4000000',
    'idempotency keys that are remembered; more requests with one get 429',
  ),
  'retry-purge-interval': setting(
    duration(100, 600_000),
    '10s',
    'pause between two looks for those that may be forgotten',
  ),
  // read repair
  'read-repairs-max': setting(
    integer(0, 100_000),
    '256',
    'read repairs under way at once; more are left out and counted',
  ),
  'read-repair-timeout': setting(duration(1, 600_000), '5s', 'how long one read repair may take'),
  'read-repair-jitter': setting(duration(0, 60_000), '10ms', 'longest pause before one, of random length'),
  // hints
  'hint-after': setting(
    duration(1, 60_000),
    '150ms',
    'at the latest a fallback gets a write too when an owner is silent for so long; sooner when owners usually are fast',
  ),
  'hints-bytes-max': setting(
    bytes(1024 ** 2, 1024 * 1024 ** 3),
    '1GiB',
    'bytes of the hints kept for others; what is not the only copy makes room, beyond it writes are refused',
  ),
  'hints-age-max': setting(
    duration(1000, 30 * 24 * 3_600_000),
    '3h',
    'after this a hint that is not the only copy is given up',
  ),
  'hints-interval': setting(duration(10, 3_600_000), '2s', 'pause between two looks at the hints that wait'),
  'hints-rate': setting(rate(1024, 16 * 1024 ** 3), '8MiB', 'bytes of hints a second, to all owners together'),
  'hints-targets-max': setting(integer(1, 1000), '2', 'owners that get their hints at the same time'),
  'hints-in-flight-max': setting(integer(1, 4096), '32', 'hints of one owner under way at once'),
  'hints-timeout': setting(duration(1, 600_000), '10s', 'how long an owner may take for one hint'),
  'hints-backoff-min': setting(duration(1, 600_000), '500ms', 'first pause after an owner took no hints'),
  'hints-backoff-max': setting(duration(1, 3_600_000), '60s', 'longest pause after an owner took no hints'),
  ...UPKEEP_SETTINGS,
  // peers
  'connect-timeout': setting(duration(1, 600_000), '2s', 'how long dialling a peer may take'),
  'handshake-timeout': setting(duration(1, 600_000), '2s', 'how long a peer may take to prove itself'),
  'heartbeat-interval': setting(duration(10, 600_000), '1s', 'pause between pings to a peer'),
  'silence-limit': setting(duration(10, 600_000), '3s', 'a peer not heard of for so long is disconnected'),
  'reconnect-delay-min': setting(duration(1, 600_000), '100ms', 'first pause before a peer is dialled again'),
  'reconnect-delay-max': setting(duration(1, 600_000), '5s', 'longest pause before a peer is dialled again'),
  'peer-calls-max': setting(integer(1, 1_000_000), '4096', 'calls to one peer under way at once'),
  'peer-calls-bytes-max': setting(
    bytes(1024 ** 2, 64 * 1024 ** 3),
    '256MiB',
    'bytes of the calls to one peer under way',
  ),
  'peer-queue-max': setting(
    bytes(64 * 1024, 128 * 1024 ** 2),
    '64MiB',
    'bytes queued for one peer; more calls are not sent',
  ),
  'peer-handlers-max': setting(integer(1, 1_000_000), '8192', 'calls of peers that are worked on at once'),
  // watching it
  'access-log': setting(
    oneOf('off', 'errors', 'all'),
    'errors',
    'which requests get a line in the log; slow ones always do',
  ),
  'access-log-keys': setting(flag, 'false', 'whether such a line has the path with the key, or only the route'),
  'access-log-rate': setting(
    integer(0, 1_000_000),
    '100',
    'lines about failed and slow requests within a second; more are counted',
  ),
  'slow-request': setting(duration(0, 60_000), '1s', 'a request that takes as long gets a line in the log'),
  'log-buffer-max': setting(
    bytes(64 * 1024, 1024 ** 3),
    '4MiB',
    'bytes of log lines that wait for a slow reader; more are dropped and counted',
  ),
  'log-stop-timeout': setting(duration(0, 60_000), '2s', 'how long a stop waits for the reader of the log'),
  'disk-free-warning': setting(
    bytes(0, 1024 ** 5),
    '1GiB',
    'less free space for the data than this is a warning in /readyz and in the log',
  ),
  'disk-free-interval': setting(duration(100, 86_400_000), '1m', 'pause between two looks at the free space'),
  'event-loop-delay-warning': setting(
    duration(1, 60_000),
    '500ms',
    'a longer delay of the event loop is a warning in /readyz',
  ),
  'otlp-endpoint': setting(
    readHttpUrl,
    undefined,
    'collector that traces are sent to by OTLP over HTTP, such as http://localhost:4318; none: nothing is traced',
  ),
  'trace-sample': setting(
    fraction,
    '0.01',
    'share of the traces that begin here; others are sampled as their parent is',
  ),
  'trace-queue-max': setting(
    integer(1, 1_000_000),
    '4096',
    'spans that wait for the collector; more are dropped and counted',
  ),
  'trace-batch-delay': setting(duration(10, 600_000), '2s', 'pause between two batches of spans'),
  'trace-stop-timeout': setting(duration(0, 60_000), '2s', 'how long a stop waits for the last spans'),
  // membership
  'probe-interval': setting(duration(50, 600_000), '250ms', 'pause between probes of other members, one member each'),
  'probe-timeout': setting(
    duration(10, 60_000),
    '200ms',
    'how long a member may take to answer a probe, or three times the way there and back where that is longer; then others are asked to probe it for as long again',
  ),
  'indirect-probes': setting(integer(0, 10), '3', 'members that are asked to probe one that does not answer'),
  'suspicion-factor': setting(
    integer(1, 100),
    '4',
    'probe intervals that a suspect has to refute, times log10 of the cluster',
  ),
  'gossip-interval': setting(duration(10, 600_000), '200ms', 'pause between rounds of telling news of members'),
  'gossip-fanout': setting(integer(1, 20), '3', 'members that each round of news goes to'),
  'membership-exchange-interval': setting(
    duration(1000, 3_600_000),
    '30s',
    'pause between exchanges of all that is known of members',
  ),
  'disk-mark-interval': setting(
    duration(100, 86_400_000),
    '1m',
    'pause between marks that a node leaves with others: an older copy of its disk that is put back is found out by them',
  ),
  'silence-before-probe': setting(
    duration(10, 60_000),
    '100ms',
    'a member that owes answers and is silent for so long is probed at once',
  ),
  'clock-apart-warning': setting(
    duration(1, 86_400_000),
    '500ms',
    'members whose clocks are further apart are told of, in /readyz too',
  ),
  'clock-apart-max': setting(
    duration(1000, 36_525 * 86_400_000),
    '1m',
    'a node whose clock is further away from those of a majority of the members serves no requests until it is right',
  ),
  // stopping
  'start-patience': setting(
    duration(0, 60_000),
    '2s',
    'how long after a start requests wait until the node may serve, instead of being refused',
  ),
  'stop-linger': setting(
    duration(0, 600_000),
    '0ms',
    'how long a stopping node goes on as before while /readyz says 503, so that load balancers notice',
  ),
  'stop-idle-grace': setting(
    duration(0, 60_000),
    '500ms',
    'how long a stop lets idle client connections send one more request',
  ),
  'stop-timeout': setting(duration(0, 600_000), '10s', 'how long a stop waits for requests under way'),
} satisfies Record<string, Setting<unknown>>;

export type SettingName = keyof typeof SETTINGS;

type ValueOf<S> = S extends Setting<infer T> ? T : never;

/** Settings without a default may be undefined. */
type Optional =
  | 'admin-token-file'
  | 'audit-file'
  | 'advertise'
  | 'advertise-url'
  | 'cluster-secret-file'
  | 'cluster-secret'
  | 'otlp-endpoint'
  | 'tls-cert'
  | 'tls-key'
  | 'tls-client-ca'
  | 'peer-tls-cert'
  | 'peer-tls-key'
  | 'peer-tls-ca';

export type Settings = {
  readonly [Name in SettingName]: ValueOf<(typeof SETTINGS)[Name]> | (Name extends Optional ? undefined : never);
};
