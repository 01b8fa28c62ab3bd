/**
 * Keeps what a run leaves behind: what the clients saw, and what the white box shows of the replicas. It hands the checkers
 * plain facts and judges nothing.
 */

import { assert } from '#kernel/assert.ts';
import type { Simulation } from '#world/simulated/scheduler.ts';
import { momentSource } from './history.ts';
import type {
  BucketFacts,
  Dot,
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
  readonly #dots = new Map<WriteId, Dot[]>();
  /** Hears of each write that its client was told to be applied. */
  acknowledged: ((request: WriteRequest) => void) | undefined;
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

  /** A write has got a dot, and somebody may know it. */
  minted(mint: Mint): void {
    this.mints.push(mint);
    this.#dots.set(mint.write, [...(this.#dots.get(mint.write) ?? []), mint.dot]);
  }

  dotsOf(write: WriteId): readonly Dot[] {
    return this.#dots.get(write) ?? [];
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
    readonly majoritiesOnly: boolean;
    /** Disks that were lost for good. */
    readonly disksLost: number;
  }): History {
    return {
      ...facts,
      requests: this.#requests,
      gauges: this.gauges,
      stalls: this.stalls,
      end: this.moment(),
      mayBeLost: facts.losesUnsynced || facts.disksLost > 0 ? this.#notMadeDurable(facts.disksLost) : [],
    };
  }

  whiteBox(final: WhiteBox['final']): WhiteBox {
    return { mints: this.mints, samples: this.samples, final };
  }

  /** A crash may take what nobody had been asked to put on stable storage, and a lost disk what nobody else had there. */
  #notMadeDurable(disksLost: number): readonly WriteId[] {
    return this.#requests.flatMap((request) =>
      request.kind !== 'read' && request.quorum.dw <= disksLost ? [request.write] : [],
    );
  }

  #add<Ended>(open: Request, close: (ended: Ended) => Request): (ended: Ended) => void {
    const at = this.#requests.push(open) - 1;
    return (ended) => {
      assert(this.#requests[at]!.end === null, 'a request ends once');
      const over = { ...close(ended), end: this.moment() };
      this.#requests[at] = over;
      if (over.kind !== 'read' && over.outcome === 'applied') this.acknowledged?.(over);
    };
  }
}
