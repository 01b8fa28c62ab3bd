/**
 * Keeps what a run leaves behind: what the clients saw, and what the white box shows of the replicas. It hands the checkers
 * plain facts and judges nothing.
 */

import { assert } from '#kernel/assert.ts';
import type { Simulation } from '#world/simulated/scheduler.ts';
import { momentSource } from './history.ts';
import type {
  BucketFacts,
  Gauge,
  History,
  Mint,
  Moment,
  ReadRequest,
  ReplicaSnapshot,
  Request,
  Stall,
  WhiteBox,
  WriteId,
  WriteRequest,
} from './history.ts';

/** What of a request is known only when it is over. */
type AtTheEnd = 'end' | 'ending' | 'answer' | 'coordinator';
export type ReadBegun = Omit<ReadRequest, AtTheEnd | 'shown' | 'start'>;
export type WriteBegun = Omit<WriteRequest, AtTheEnd | 'outcome' | 'preconditionFailed' | 'start'>;
export type ReadEnded = Pick<ReadRequest, Exclude<AtTheEnd, 'end'> | 'shown'>;
export type WriteEnded = Pick<WriteRequest, Exclude<AtTheEnd, 'end'> | 'outcome' | 'preconditionFailed'>;

const OPEN = { end: null, ending: 'open', answer: '', coordinator: null } as const;

export class Recorder {
  readonly mints: Mint[] = [];
  readonly samples: ReplicaSnapshot[] = [];
  readonly gauges: Gauge[] = [];
  readonly stalls: Stall[] = [];
  readonly #simulation: Simulation;
  readonly #moment = momentSource();
  readonly #requests: Request[] = [];

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
  }

  get requests(): readonly Request[] {
    return this.#requests;
  }

  moment(): Moment {
    return this.#moment(this.#simulation.now);
  }

  /** Notes a read as open; the result ends it. */
  read(begun: ReadBegun): (ended: ReadEnded) => void {
    const open: ReadRequest = { ...begun, ...OPEN, start: this.moment(), shown: null };
    return this.#add(open, (ended: ReadEnded) => ({ ...open, ...ended }));
  }

  write(begun: WriteBegun): (ended: WriteEnded) => void {
    const open: WriteRequest = {
      ...begun,
      ...OPEN,
      start: this.moment(),
      outcome: 'unknown',
      preconditionFailed: false,
    };
    return this.#add(open, (ended: WriteEnded) => ({ ...open, ...ended }));
  }

  history(facts: {
    readonly buckets: Readonly<Record<string, BucketFacts>>;
    readonly convergedAt: Moment | null;
    readonly losesUnsynced: boolean;
  }): History {
    return {
      ...facts,
      requests: this.#requests,
      gauges: this.gauges,
      stalls: this.stalls,
      end: this.moment(),
      mayBeLost: facts.losesUnsynced ? this.#notMadeDurable() : [],
    };
  }

  whiteBox(final: WhiteBox['final']): WhiteBox {
    return { mints: this.mints, samples: this.samples, final };
  }

  /** A crash may take what nobody had been asked to put on stable storage. */
  #notMadeDurable(): readonly WriteId[] {
    return this.#requests.flatMap((request) =>
      request.kind !== 'read' && request.quorum.dw === 0 ? [request.write] : [],
    );
  }

  #add<Ended>(open: Request, close: (ended: Ended) => Request): (ended: Ended) => void {
    const at = this.#requests.push(open) - 1;
    return (ended) => {
      assert(this.#requests[at]!.end === null, 'a request ends once');
      this.#requests[at] = { ...close(ended), end: this.moment() };
    };
  }
}
