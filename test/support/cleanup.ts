/**
 * What a test file leaves to be undone. The preload runs `cleanUp` after each file: bun calls an `afterAll` registered
 * inside a hook right after that hook, and one registered inside a test right after that test, so helpers cannot register
 * their own. Kept on the global object because the preload and the tests may hold two copies of this module.
 */
type Undo = () => Promise<void> | void;

const KEY = Symbol.for("rendiff.test.cleanup");
const shared = globalThis as unknown as { [KEY]?: Undo[] };

/** `undo` runs once after the test file, last registered first. */
export function afterFile(undo: Undo): void {
  shared[KEY] ??= [];
  shared[KEY].push(undo);
}

/** Runs everything registered so far; throws the failures together, after all has been tried. */
export async function cleanUp(): Promise<void> {
  const failures: unknown[] = [];
  for (let undo = shared[KEY]?.pop(); undo !== undefined; undo = shared[KEY]?.pop()) {
    try {
      await undo();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, "Cleaning up after the test file failed.");
}
