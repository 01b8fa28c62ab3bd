/** `quoral ring status|locate`. */

import { askJson, keyPath, type ClientOptions } from './client.ts';
import { print, table } from './output.ts';

interface MemberView {
  readonly id: string;
  readonly url: string;
  readonly zone: string;
  readonly weight: number;
  readonly state: string;
  readonly reachable: boolean;
  /** Not told by nodes of earlier versions. */
  readonly clockDifference?: number | null;
  readonly share: number;
  readonly partitions: number;
  readonly hintsWaiting: number;
}

interface ClusterView {
  readonly clusterId: string;
  readonly epoch: number;
  readonly self: string;
  readonly members: readonly MemberView[];
}

interface LocateView {
  readonly hash: string;
  readonly partition: number;
  readonly primaries: readonly string[];
  readonly fallbacks: readonly string[];
}

export async function ringStatus(options: ClientOptions): Promise<void> {
  const view = (await askJson(options, '/v1/cluster')) as ClusterView;
  if (options.json === true) {
    print(JSON.stringify(view));
    return;
  }
  print(`cluster ${view.clusterId}, epoch ${view.epoch}, as seen from ${view.self}`);
  const rows = view.members.map((member) => [
    member.id,
    member.state,
    member.reachable ? 'yes' : 'NO',
    member.zone,
    String(member.weight),
    `${(member.share * 100).toFixed(1)}%`,
    String(member.partitions),
    String(member.hintsWaiting),
    clockOf(member),
    member.url,
  ]);
  print(table(['node', 'state', 'reachable', 'zone', 'weight', 'share', 'partitions', 'hints', 'clock', 'url'], rows));
}

/** How far it is from that of the answering node. */
function clockOf({ clockDifference }: MemberView): string {
  if (clockDifference === undefined || clockDifference === null) return '-';
  return `${clockDifference > 0 ? '+' : ''}${clockDifference} ms`;
}

export async function ringLocate(bucket: string, key: string, options: ClientOptions): Promise<void> {
  const view = (await askJson(options, keyPath('ring/locate64', bucket, key))) as LocateView;
  if (options.json === true) {
    print(JSON.stringify(view));
    return;
  }
  print(`hash ${view.hash}, partition ${view.partition}`);
  print(`primaries ${view.primaries.join(', ')}`);
  print(`fallbacks ${view.fallbacks.length === 0 ? 'none' : view.fallbacks.join(', ')}`);
}
