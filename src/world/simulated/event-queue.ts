/**
 * What is going to happen, in order of virtual time; a random number that was drawn when the event was made decides
 * between simultaneous ones, so that different seeds try different orders. A binary heap.
 */

export interface QueuedEvent {
  readonly time: number;
  readonly tieBreak: number;
  readonly sequence: number;
  /** Run or cancelled. Cancelled ones stay in the heap until they come up or until they are the majority. */
  over: boolean;
}

/** Below this size sweeping is not worth it. */
const SWEEP_FROM = 1024;

export class EventQueue<Event extends QueuedEvent> {
  #heap: Event[] = [];
  #cancelled = 0;

  get size(): number {
    return this.#heap.length - this.#cancelled;
  }

  add(event: Event): void {
    this.#heap.push(event);
    this.#up(this.#heap.length - 1);
  }

  cancel(event: Event): void {
    if (event.over) return;
    event.over = true;
    this.#cancelled++;
    if (this.#heap.length >= SWEEP_FROM && this.#cancelled * 2 > this.#heap.length) this.#sweep();
  }

  /** The first event, not removed. */
  peek(): Event | undefined {
    this.#dropCancelled();
    return this.#heap[0];
  }

  take(): Event | undefined {
    this.#dropCancelled();
    const event = this.#removeFirst();
    if (event !== undefined) event.over = true;
    return event;
  }

  #dropCancelled(): void {
    while (this.#heap[0]?.over === true) {
      this.#removeFirst();
      this.#cancelled--;
    }
  }

  #removeFirst(): Event | undefined {
    const first = this.#heap[0];
    const last = this.#heap.pop();
    if (last !== undefined && this.#heap.length > 0) {
      this.#heap[0] = last;
      this.#down(0);
    }
    return first;
  }

  #sweep(): void {
    this.#heap = this.#heap.filter((event) => !event.over);
    this.#cancelled = 0;
    for (let i = this.#heap.length >> 1; i >= 0; i--) this.#down(i);
  }

  #up(start: number): void {
    const heap = this.#heap;
    let at = start;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(heap[at]!, heap[parent]!)) return;
      [heap[at], heap[parent]] = [heap[parent]!, heap[at]!];
      at = parent;
    }
  }

  #down(start: number): void {
    const heap = this.#heap;
    let at = start;
    for (;;) {
      let least = at;
      const left = at * 2 + 1;
      if (left < heap.length && before(heap[left]!, heap[least]!)) least = left;
      if (left + 1 < heap.length && before(heap[left + 1]!, heap[least]!)) least = left + 1;
      if (least === at) return;
      [heap[at], heap[least]] = [heap[least]!, heap[at]!];
      at = least;
    }
  }
}

function before(a: QueuedEvent, b: QueuedEvent): boolean {
  if (a.time !== b.time) return a.time < b.time;
  return a.tieBreak === b.tieBreak ? a.sequence < b.sequence : a.tieBreak < b.tieBreak;
}
