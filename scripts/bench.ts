/** `./dev bench [name…]`: bench/run.ts with the servers and programs that the tests have. */
import { makeRunFolder, untilInterrupted } from "./run-folder.ts";
import { startServices } from "./services.ts";

const BENCH = "bench/run.ts";
const interrupted = untilInterrupted();

async function bench(args: readonly string[]): Promise<number> {
  await using folder = await makeRunFolder();
  await using services = await startServices(folder.path);
  const child = Bun.spawn([process.execPath, BENCH, ...args], {
    stdio: ["ignore", "inherit", "inherit"],
    env: services.env,
    detached: true,
  });
  interrupted.addEventListener("abort", () => process.kill(-child.pid, "SIGTERM"));
  return await child.exited;
}

if (!(await Bun.file(BENCH).exists())) {
  console.error(`${BENCH} is not there.`);
  process.exit(1);
}
process.exit(await bench(process.argv.slice(2)));
