/** `quoral ring force`: the way out when a majority of the voters is gone for good. */

import { askJson, type ClientOptions } from './client.ts';
import { confirm } from './confirm.ts';
import { print } from './output.ts';

export interface ForceOptions extends ClientOptions {
  readonly lost: readonly string[];
  /** As typed by somebody who has read what it means. */
  readonly yes?: boolean;
}

interface ForceView {
  readonly applied: boolean;
  readonly epoch: number;
  readonly lost: readonly string[];
  readonly survivors: readonly string[];
  readonly voters: { readonly before: readonly string[]; readonly after: readonly string[] };
  readonly mayLose: readonly string[];
}

export async function ringForce(options: ForceOptions): Promise<void> {
  const { lost } = options;
  const told = await post(options, { lost });
  if (options.json !== true) {
    const goOn = told.survivors.length === 1 ? 'goes on, and decides' : 'go on, and decide';
    print(`for ever without ${told.lost.join(', ')}: ${told.survivors.join(', ')} ${goOn} alone`);
    print(`voters: ${told.voters.before.join(' ')} -> ${told.voters.after.join(' ')}, epoch ${told.epoch}`);
    for (const what of told.mayLose) print(`may lose ${what}`);
    print('those that are lost must never come back: what they have been told meanwhile would be refused');
  }
  if (options.yes !== true) {
    const names = lost.join(' ');
    await confirm(`Type the names of the lost nodes, ${names}, to go on: `, names);
  }
  const done = await post(options, { lost, accept: true });
  if (options.json === true) print(JSON.stringify(done));
  else
    print(`done, epoch ${done.epoch}; quoral ring transfers --wait shows how replicas are brought up to their number`);
}

async function post(
  options: ClientOptions,
  body: { readonly lost: readonly string[]; readonly accept?: true },
): Promise<ForceView> {
  const headers = { 'content-type': 'application/json' };
  const asked = { method: 'POST', headers, body: JSON.stringify(body), changes: body.accept === true } as const;
  return (await askJson(options, '/v1/ring/force', asked)) as ForceView;
}
