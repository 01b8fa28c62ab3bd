/**
 * The load, in a process of its own so that its CPU time is apart. Closed loop: each connection sends its next operation when
 * the last one was answered. Open loop (`--rate`): operations are due at random times of that rate however long others take,
 * wait for a free connection, and their time counts from when they were due. Writes its figures as one JSON line on stdout.
 */

import { setPriority } from 'node:os';
import { flagsFrom, namesIn } from '../flags.ts';
import { LoadFigures, type Ended } from './load-figures.ts';
import { HttpConnection } from './http-connection.ts';
import { DISTRIBUTIONS, KeyChoice, type Distribution } from './key-choice.ts';
import { drawStep, MIX_NAMES, MIXES, type Mix, type Step } from './mixes.ts';
import { SYSTEMS, systemNamed, type System, type SystemName } from './systems.ts';

const { values: flags } = flagsFrom({
  options: {
    urls: { type: 'string' },
    system: { type: 'string', default: 'quoral' },
    /** A mix, or `fill`. */
    mix: { type: 'string' },
    keys: { type: 'string', default: 'uniform' },
    connections: { type: 'string', default: '64' },
    rate: { type: 'string' },
    seconds: { type: 'string', default: '10' },
    warmup: { type: 'string', default: '2' },
    records: { type: 'string', default: '20000' },
    bytes: { type: 'string', default: '1024' },
    query: { type: 'string', default: '' },
    token: { type: 'string' },
  },
});

const urls = flags.urls!.split(',');
const records = Number(flags.records);
const system: System = systemNamed(
  (SYSTEMS.find((name) => name === flags.system) satisfies SystemName | undefined) ?? 'quoral',
  { bytes: Number(flags.bytes), query: flags.query, token: flags.token },
);

async function perform(connection: HttpConnection, step: Step, choice: KeyChoice): Promise<Ended> {
  try {
    if (step === 'insert') {
      const record = choice.reserve();
      const answer = judged(await system.write(connection, record));
      choice.inserted(record);
      return answer;
    }
    const record = choice.next();
    if (step === 'update') return judged(await system.write(connection, record));
    const answer = judged(await system.read(connection, record));
    return step === 'read' || !answer.isRight ? answer : judged(await system.write(connection, record));
  } catch {
    return NO_ANSWER;
  }
}

const NO_ANSWER: Ended = { status: 0, isRight: false, head: '' };

function judged(answer: Parameters<System['isRight']>[0]): Ended {
  return { status: answer.status, isRight: system.isRight(answer), head: answer.head };
}

function connections(): readonly HttpConnection[] {
  return Array.from({ length: Number(flags.connections) }, (_, i) => new HttpConnection(urls[i % urls.length]!));
}

/** Stores every record once, so that reads find something. */
async function fill(): Promise<void> {
  let next = 0;
  let errors = 0;
  await Promise.all(
    connections().map(async (connection) => {
      while (next < records) if (!judged(await system.write(connection, next++)).isRight) errors += 1;
      connection.close();
    }),
  );
  process.stdout.write(`${JSON.stringify({ result: { filled: records, errors } })}\n`);
}

async function closedLoop(mix: Mix, choice: KeyChoice, figures: LoadFigures, until: number): Promise<void> {
  await Promise.all(
    connections().map(async (connection) => {
      while (performance.now() < until) {
        const began = performance.now();
        figures.ended(began, await perform(connection, drawStep(mix), choice));
      }
      connection.close();
    }),
  );
}

/**
 * On a machine of its own nobody would keep the generator from sending in time. Here the nodes would, when they have more to do than they
 * can. Only root may, and only such an open loop says what the nodes do.
 */
function goFirst(): void {
  try {
    setPriority(-10);
  } catch {
    process.stderr.write(
      'the generator may not go before the nodes (it takes root): what is late may be its own fault\n',
    );
  }
}

async function openLoop(mix: Mix, choice: KeyChoice, figures: LoadFigures, until: number): Promise<void> {
  goFirst();
  const meanGap = 1000 / Number(flags.rate);
  const free = [...connections()];
  const all = [...free];
  const due: number[] = [];
  let firstDue = 0;
  let nextDue = performance.now();
  let underWay = 0;
  const start = async (connection: HttpConnection, began: number): Promise<void> => {
    underWay += 1;
    figures.ended(began, await perform(connection, drawStep(mix), choice));
    underWay -= 1;
    if (firstDue === due.length) free.push(connection);
    else void start(connection, due[firstDue++]!);
  };
  while (performance.now() < until) {
    for (; nextDue <= performance.now(); nextDue -= Math.log(1 - Math.random()) * meanGap) {
      const connection = free.shift();
      figures.began(nextDue, connection !== undefined);
      if (connection === undefined) due.push(nextDue);
      else void start(connection, nextDue);
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  // Those that wait still are late, not forgotten.
  while (underWay > 0 || firstDue < due.length) await new Promise((resolve) => setTimeout(resolve, 10));
  for (const connection of all) connection.close();
}

async function measure(mix: Mix): Promise<void> {
  const now = performance.now();
  const from = now + Number(flags.warmup) * 1000;
  const until = from + Number(flags.seconds) * 1000;
  const figures = new LoadFigures(from, until);
  const asked: Distribution = DISTRIBUTIONS.find((name) => name === flags.keys) ?? 'uniform';
  const choice = new KeyChoice(mix.keys ?? asked, records);
  // The parent reads the nodes' CPU time at these two marks.
  const mark = (name: 'start' | 'end'): void => {
    process.stdout.write(`{"mark":"${name}"}\n`);
    figures.mark();
  };
  setTimeout(mark, from - now, 'start');
  setTimeout(mark, until - now, 'end');
  await (flags.rate === undefined ? closedLoop : openLoop)(mix, choice, figures, until);
  process.stdout.write(`${JSON.stringify({ result: figures.result(Number(flags.seconds)) })}\n`);
}

if (flags.mix === 'fill') await fill();
else for (const mix of namesIn('mix', flags.mix ?? '', MIX_NAMES)) await measure(MIXES[mix]);
