/** What the generator learns of its requests. */

export interface Ended {
  /** 0 when the connection broke. */
  readonly status: number;
  readonly isRight: boolean;
  readonly head: string;
}

const COME_LATER: ReadonlySet<number> = new Set([429, 503]);

export class LoadFigures {
  readonly #right: number[] = [];
  readonly #refused: number[] = [];
  readonly #late: number[] = [];
  #withoutRetryAfter = 0;
  #waited = 0;
  #errors = 0;
  readonly #statuses: Record<string, number> = {};
  /** Rightly answered before the end: an open loop goes on until the last is answered. */
  #inTime = 0;
  readonly #marks: number[] = [];
  /** By the second in which they were due, those before the measured time too. */
  readonly #seconds: { readonly right: number[]; readonly refused: number[] }[] = [];
  readonly #begun = performance.now();
  readonly #from: number;
  readonly #until: number;

  constructor(from: number, until: number) {
    this.#from = from;
    this.#until = until;
  }

  /** The time that is measured begins or ends. */
  mark(): void {
    const { user, system } = process.cpuUsage();
    this.#marks.push(user + system);
  }

  /** Open loop: a request that was due then is sent now, or waits for a connection. */
  began(due: number, isSent: boolean): void {
    if (due < this.#from) return;
    if (isSent) this.#late.push(performance.now() - due);
    else this.#waited += 1;
  }

  ended(began: number, { status, isRight, head }: Ended): void {
    const now = performance.now();
    const second = (this.#seconds[Math.floor((began - this.#begun) / 1000)] ??= { right: [], refused: [] });
    if (isRight) second.right.push(now - began);
    else if (COME_LATER.has(status)) second.refused.push(now - began);
    if (began < this.#from) return;
    if (isRight) {
      this.#right.push(now - began);
      if (now <= this.#until) this.#inTime += 1;
      return;
    }
    this.#errors += 1;
    this.#statuses[status] = (this.#statuses[status] ?? 0) + 1;
    if (!COME_LATER.has(status)) return;
    this.#refused.push(now - began);
    if (!/\r\nretry-after: \d/i.test(head)) this.#withoutRetryAfter += 1;
  }

  result(seconds: number): object {
    const right = quantiles(this.#right);
    const refused = quantiles(this.#refused);
    const late = quantiles(this.#late);
    const [before = 0, after = before] = this.#marks;
    return {
      ...{ operations: this.#right.length, opsPerSecond: this.#inTime / seconds },
      ...{ p50Ms: right(0.5), p99Ms: right(0.99), p999Ms: right(0.999) },
      ...{ errors: this.#errors, statuses: this.#statuses },
      ...{ refused: this.#refused.length, refusedP50Ms: refused(0.5), refusedP99Ms: refused(0.99) },
      ...{ withoutRetryAfter: this.#withoutRetryAfter },
      ...{ lateP50Ms: late(0.5), lateP99Ms: late(0.99), waited: this.#waited },
      generatorCpuMicros: after - before,
      seconds: Array.from(this.#seconds, (one) => shortly(one)),
    };
  }
}

function shortly(one: { readonly right: number[]; readonly refused: number[] } | undefined): object {
  const { right = [], refused = [] } = one ?? {};
  const late = quantiles(right);
  return {
    ...{ right: right.length, p50Ms: late(0.5), p99Ms: late(0.99) },
    ...{ refused: refused.length, refusedP99Ms: quantiles(refused)(0.99) },
  };
}

function quantiles(values: readonly number[]): (share: number) => number {
  const sorted = Float64Array.from(values).sort();
  return (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
