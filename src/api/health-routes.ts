/**
 * `/livez`, `/readyz`, `/healthz` and `/metrics`: for machines that watch over a node. They answer also when it is busy.
 */

import type { Answer, Exchange } from './exchange.ts';
import { jsonTextAnswer } from './json.ts';
import type { Health } from './services.ts';

export async function showLive({ services }: Exchange): Promise<Answer> {
  return healthAnswer({ node: services.self }, services.live());
}

export async function showReady({ services }: Exchange): Promise<Answer> {
  return healthAnswer({ node: services.self }, services.ready());
}

/** The share of the ring with a quorum stands first: it is what pages somebody. */
export async function showHealthy({ services }: Exchange): Promise<Answer> {
  const health = services.healthy();
  return healthAnswer({ node: services.self, ringWithQuorum: health.share }, health);
}

export async function showMetrics({ services }: Exchange): Promise<Answer> {
  const headers = { 'content-type': 'text/plain; version=0.0.4; charset=utf-8', 'cache-control': 'no-store' };
  return { status: 200, headers, body: await services.metrics.render() };
}

/** A line a check, for those who read it with their eyes. */
function healthAnswer(members: Readonly<Record<string, string | number>>, { ok, checks }: Health): Answer {
  const head = JSON.stringify({ status: ok ? 'ok' : 'failing', ...members }).slice(0, -1);
  const lines = checks.map((check) => `\n  ${JSON.stringify(check)}`).join(',');
  return jsonTextAnswer(`${head},"checks":[${lines}\n]}`, ok ? 200 : 503);
}
