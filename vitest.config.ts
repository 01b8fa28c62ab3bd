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

/** Begun first, so that no processor is idle at the end while another one has the longest of all before it. */
const LONGEST = [
  'simulation/bugs-by-script',
  'simulation/bugs-by-chance',
  'simulation/more-bugs-by-script',
  'simulation/seeds',
  'simulation/ring-strikes',
  'contract/disk',
  'unit/api/server-floods',
  'unit/membership/detection',
  'unit/world/disk-ahead',
  'unit/world/disk-log',
  'cluster/http',
  'cluster/client',
  'cluster/repair',
  'cluster/ring-changes',
  'cluster/ring-scripts',
  'cluster/real-files',
  'cluster/disk-power-loss',
  'cluster/hinted-handoff',
  'cluster/wrong-starts',
  'cluster/disk-crash',
].map((name) => `/test/${name}.test.ts`);

/** A clean checkout does not know how long files take; their sizes say little. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const at = LONGEST.findIndex((name) => moduleId.endsWith(name));
      return at < 0 ? LONGEST.length : at;
    };
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b));
  }
}

/** Modules are loaded by Node.js itself, as when the program runs; only where one takes the place of another the test runner does it. */
const NATIVE = { experimental: { viteModuleRunner: false, nodeLoader: false } };

const QUICK = {
  // Nothing takes so long on a machine that has nothing else to do.
  testTimeout: 60_000,
  // Without this one processor is left idle.
  maxWorkers: availableParallelism(),
  sequence: { groupOrder: 0 },
};

/** Makes what the processes of a test with real nodes run. */
const PROGRAM = 'test/cluster/program.ts';

/** Nothing takes so long on a machine that has nothing else to do. */
const PATIENT = { testTimeout: 240_000, hookTimeout: 240_000 };

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
          exclude: ['test/cluster/**', ...MOCKING],
          // One process after the other runs many files and loads what they share once.
          isolate: false,
        },
      },
      { test: { ...QUICK, name: 'mocking', include: MOCKING } },
      {
        // Several processes to a test, which wait for time to pass more than they work: after all others, three files at a time.
        test: {
          name: 'cluster',
          include: ['test/cluster/**/*.test.ts'],
          exclude: BY_THEMSELVES,
          globalSetup: PROGRAM,
          ...PATIENT,
          ...NATIVE,
          maxWorkers: 3,
          isolate: false,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'failures',
          include: BY_THEMSELVES,
          globalSetup: PROGRAM,
          ...PATIENT,
          ...NATIVE,
          maxWorkers: 1,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
