import { expect, test } from 'vitest';
import { Pace } from '#repair/pace.ts';
import { OneMachine } from '../replica/worlds.ts';

const SETTINGS = { bytesPerSecond: 1_000_000, busyDelay: 50, share: 0.25 };
const PAGE = 100_000;
const FAST = 1e12;

class Course {
  readonly machine = new OneMachine();
  readonly clock = this.machine.boot().clock;
  served = 0;
  readonly pace: Pace;

  constructor(throttle: () => number | null | undefined) {
    this.pace = new Pace({ clock: this.clock, settings: SETTINGS, throttle, served: () => this.served });
  }

  /** Clients ask for something so often, for ever. */
  clients(interval: number): this {
    this.served += 1;
    this.clock.after(interval, () => this.clients(interval));
    return this;
  }

  sleep(milliseconds: number): Promise<void> {
    return new Promise((resolve) => void this.clock.after(milliseconds, resolve));
  }

  /** Virtual milliseconds that so many pages take, each after so much work, by so many at once. */
  async timeOf(pages: number, work = 0, atOnce = 1): Promise<number> {
    const begun = this.clock.monotonic();
    let left = pages;
    const worker = async (): Promise<void> => {
      while (left-- > 0) {
        await this.sleep(work);
        await this.pace.take(PAGE);
      }
    };
    await this.machine.simulation.settle(Promise.all(Array.from({ length: atOnce }, worker)));
    return this.clock.monotonic() - begun;
  }
}

test('as fast as the settings say, or a change; or without any waiting', async () => {
  expect(Math.round((await new Course(() => undefined).timeOf(50)) / 1000)).toBe(5);
  expect(Math.round((await new Course(() => 5_000_000).timeOf(50)) / 1000)).toBe(1);
  expect(await new Course(() => null).clients(1).timeOf(50)).toBeLessThan(1);
});

test('without any waiting others have their turn nevertheless', async () => {
  const { machine, clock, pace } = new Course(() => null);
  let turns = 0;
  const other = (): void => clock.defer(() => (++turns < 10 ? other() : undefined));
  other();
  const work = async (): Promise<number> => {
    for (let page = 0; page < 5; page++) await pace.take(PAGE);
    return turns;
  };
  expect(await machine.simulation.settle(work())).toBeGreaterThanOrEqual(4);
});

test('the speed may change meanwhile', async () => {
  let taken = 0;
  const time = await new Course(() => (++taken > 50 ? null : 1_000_000)).timeOf(100);
  expect(Math.round(time / 1000)).toBe(5);
});

test('no more than its share of the time while clients want the rest, however many work at once', async () => {
  const alone = await new Course(() => FAST).timeOf(100, 10);
  expect(alone).toBeLessThan(1300);
  const shared = await new Course(() => FAST).clients(2).timeOf(100, 10);
  expect(shared).toBeGreaterThan(3800);
  expect(shared).toBeLessThan(4600);
  const together = await new Course(() => FAST).clients(2).timeOf(200, 10, 2);
  expect(together).toBeGreaterThan(3800);
  expect(together).toBeLessThan(4600);
  expect(await new Course(() => null).clients(2).timeOf(100, 10)).toBeLessThan(1100);
});

test('a client now and then does not make it slow, and a rest ends when the clients have gone', async () => {
  expect(await new Course(() => FAST).clients(1000).timeOf(100, 10)).toBeLessThan(1400);
  const course = new Course(() => FAST);
  course.served += 1;
  expect(await course.timeOf(2, 150)).toBeLessThan(400);
});

test('whatever a stride has taken, the rest comes to its end', async () => {
  expect(await new Course(() => FAST).clients(1).timeOf(3, 60_000)).toBeLessThan(3 * 60_000 + 3 * 700);
});

test('those that ask for data wait when all of them together have had more than the share', async () => {
  const course = new Course(() => FAST).clients(2);
  const { clock, pace, machine } = course;
  const answers = async (count: number, pause: number): Promise<number> => {
    const begun = clock.monotonic();
    for (let i = 0; i < count; i++) {
      const from = clock.monotonic();
      await course.sleep(10);
      await pace.answered(from);
      await course.sleep(pause);
    }
    return clock.monotonic() - begun;
  };
  const timeOf = async (count: number, pause: number): Promise<number> => {
    let time = 0;
    await machine.simulation.settle(answers(count, pause).then((took) => (time = took)));
    return time;
  };
  // One that rests by itself is never held up.
  expect(await timeOf(50, 30)).toBeLessThan(50 * 40 + 20);
  expect(await timeOf(50, 0)).toBeGreaterThan(50 * 40 - 150);
});
