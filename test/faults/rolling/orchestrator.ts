/**
 * What an orchestrator does in a rolling restart: one API replica and one worker at a time is told to end, an API replica
 * leaves the proxy's list when it says that it is not ready, and is back in it when it says that it is.
 */
import type { Nginx } from "../../support/nginx.ts";
import { isReady } from "../../support/server.ts";
import { until } from "../../support/until.ts";
import type { Replica, World } from "../chaos/world.ts";

const END_MS = 60_000;

const portOf = ({ server }: Replica): number => Number(new URL(server?.url ?? "").port);

/** The ports of API replicas that run, but for those of `without`. */
export const apiPorts = ({ replicas }: World, without: Replica | null = null): number[] =>
  replicas.filter((one) => one.role === "api" && one.server !== null && one !== without).map(portOf);

/** The exit code. Ready to the last moment before the signal, and never again after it said otherwise. */
async function end(replica: Replica, leave: () => Promise<void>): Promise<number> {
  const { server } = replica;
  if (server === null) throw new Error("A replica that does not run cannot be ended.");
  if (!(await isReady(server.url))) throw new Error("A replica was not ready although nobody had told it to end.");
  server.signal("SIGTERM");
  await until(async () => !(await isReady(server.url)), {
    ...{ timeoutMs: END_MS, intervalMs: 10, what: "a replica to say that it is not ready" },
  });
  await leave();
  return server.exited;
}

/** Every replica once. `program`: the words that start the build to go on with; the one under test without them. */
export async function rollOnce(world: World, nginx: Nginx, program?: readonly string[]): Promise<void> {
  const roll = async (role: Replica["role"]): Promise<void> => {
    for (const replica of world.replicas.filter((one) => one.role === role)) {
      const leave = role === "api" ? () => nginx.route(apiPorts(world, replica)) : async () => {};
      const code = await end(replica, leave);
      if (code !== 0) throw new Error(`A replica ended with ${code}.`);
      await replica.start(program);
      if (role === "api") await nginx.route(apiPorts(world));
    }
  };
  await Promise.all([roll("api"), roll("worker")]);
}
