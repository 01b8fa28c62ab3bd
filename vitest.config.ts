import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Kill and freeze nodes under load, and look at when and how often their clients notice: one file at a time. */
const BY_THEMSELVES = ['frozen', 'outages', 'rolling-restart'].map((name) => `test/cluster/${name}.test.ts`);

/** Put others in the place of modules, which whoever has loaded those already would not notice. */
const MOCKING = readdirSync('test', { recursive: true, encoding: 'utf8' })
  .map((name) => `test/${name}`)
  .filter((path) => path.endsWith('.test.ts') && readFileSync(path, 'utf8').includes('vi.mock('));

/**
 * Processors have something to do while tests with real nodes wait for time to pass: simulated clusters, which do not mind how fast
 * that goes.
 */
const BESIDE_NODES = ['test/simulation/more-bugs-by-script.test.ts', 'test/simulation/bugs-by-chance.test.ts'];
/**
 * Begun first and not over before the last of those that are tested by themselves has begun, so these come one after the other; what
 * it does beyond their end it does with one processor idle.
 */
const BESIDE_FAILURES = ['test/simulation/bugs-by-script.test.ts'];

/** Begun first, so that no processor is idle at the end while another one has the longest of all before it. */
const LONGEST = [
  'simulation/bugs-by-script',
  'simulation/more-bugs-by-script',
  'simulation/seeds',
  'simulation/ring-strikes',
  'contract/disk',
  'unit/api/server-floods',
  'unit/membership/detection',
  'unit/world/disk-log',
  'cluster/http',
  'cluster/client',
  'cluster/repair',
  'cluster/ring-changes',
  'cluster/ring-scripts',
  'cluster/real-files',
  'simulation/bugs-by-chance',
  'cluster/disk-power-loss',
  'cluster/hinted-handoff',
  'cluster/wrong-starts',
  'cluster/disk-crash',
].map((name) => `/test/${name}.test.ts`);

/** A clean checkout does not know how long files take; their sizes say little. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId, project }: TestSpecification): number => {
      // A process that runs many files ends where one of another project comes between them.
      if (project.name === 'mocking') return -1;
      const at = LONGEST.findIndex((name) => moduleId.endsWith(name));
      return at < 0 ? LONGEST.length : at;
    };
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b));
  }
}

/** Modules are loaded by Node.js itself, as when the program runs; only where one takes the place of another the test runner does it. */
const NATIVE = { experimental: { viteModuleRunner: false, nodeLoader: false } };

/** All processors are busy: rare collections of garbage, by one thread, cost the least, as long as what is made fits into the caches. */
const HEAP = ['--v8-pool-size=1', '--min-semi-space-size=16', '--max-semi-space-size=16'];

const QUICK = {
  // Nothing takes so long on a machine that has nothing else to do.
  testTimeout: 60_000,
  // Without this one processor is left idle.
  maxWorkers: availableParallelism(),
  execArgv: HEAP,
  sequence: { groupOrder: 0 },
};

/** Makes what the processes of a test with real nodes run. */
const PROGRAM = 'test/cluster/program.ts';

/** Nothing takes so long on a machine that has nothing else to do. */
const PATIENT = { testTimeout: 240_000, hookTimeout: 240_000 };

const WITH_NODES = { ...PATIENT, ...NATIVE, maxWorkers: 4, sequence: { groupOrder: 1 } };
const WITH_FAILURES = { ...PATIENT, ...NATIVE, maxWorkers: 2, sequence: { groupOrder: 2 } };

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          ...QUICK,
          ...NATIVE,
          name: 'quick',
          include: ['test/**/*.test.ts'],
          exclude: ['test/cluster/**', ...MOCKING, ...BESIDE_NODES, ...BESIDE_FAILURES],
          // One process after the other runs many files and loads what they share once.
          isolate: false,
        },
      },
      { test: { ...QUICK, name: 'mocking', include: MOCKING } },
      {
        // Several processes to a test, which wait for time to pass more than they work: after all others, several files at a time.
        test: {
          ...WITH_NODES,
          name: 'cluster',
          include: ['test/cluster/**/*.test.ts'],
          exclude: BY_THEMSELVES,
          globalSetup: PROGRAM,
          isolate: false,
        },
      },
      { test: { ...WITH_NODES, name: 'beside-nodes', include: BESIDE_NODES } },
      { test: { ...WITH_FAILURES, name: 'failures', include: BY_THEMSELVES, globalSetup: PROGRAM } },
      { test: { ...WITH_FAILURES, name: 'beside-failures', include: BESIDE_FAILURES } },
    ],
  },
});
