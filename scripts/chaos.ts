/** `./dev chaos`: test/faults/chaos with the programs that the tests have. */
import { makeRunFolder, untilInterrupted } from "./run-folder.ts";
import { startServices } from "./services.ts";

const interrupted = untilInterrupted();

async function chaos(args: readonly string[]): Promise<number> {
  await using folder = await makeRunFolder();
  await using services = await startServices(folder.path);
  const child = Bun.spawn([process.execPath, "test/faults/chaos/main.ts", ...args], {
    stdio: ["ignore", "inherit", "inherit"],
    env: services.env,
    detached: true,
  });
  interrupted.addEventListener("abort", () => process.kill(-child.pid, "SIGTERM"));
  return await child.exited;
}

process.exit(await chaos(process.argv.slice(2)));
