/** Every kind of fault, by its name. */
import postgres from "postgres";
import { again, type Fault, frozen, last, ofRole, redis } from "./fault.ts";
import { MACHINE_FAULTS } from "./machine-faults.ts";
import { POINT_FAULTS } from "./point-faults.ts";
import { type Replica, untilRows, type World } from "./world.ts";

/** What every key of the replicas begins with. */
const KEYS = "{rendiff}:";

function endOne(role: Replica["role"]): Fault {
  return async (world, random) => {
    const victim = random.pick(ofRole(world, role));
    const code = await victim.stop();
    if (code !== 0) throw new Error(`A replica that was told to end did so with ${code}.`);
    await again(victim);
  };
}

/** Ends the replicas' connections and takes the places of all of them, and every other that there is. */
async function takeConnections(world: World): Promise<postgres.Sql[]> {
  const taken: postgres.Sql[] = [];
  for (let full = false; !full; ) {
    const one = postgres(world.database.url, { max: 1, onnotice: () => {}, connect_timeout: 5 });
    taken.push(one);
    await one`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'rendiff%'`.catch(
      () => {
        full = true;
      },
    );
  }
  return taken;
}

export const FAULTS: Readonly<Record<string, Fault>> = {
  ...POINT_FAULTS,
  ...MACHINE_FAULTS,
  "an API replica killed": async (world, random) => {
    const victim = random.pick(ofRole(world, "api"));
    await victim.kill();
    await again(victim);
  },
  "a worker told to end": endOne("worker"),
  "an API replica told to end": endOne("api"),
  "a worker frozen past its lease": async (world, random) => {
    const victim = random.pick(ofRole(world, "worker"));
    if (victim.server !== null) await frozen(victim.server.pid, world.leaseTtlMs * 2);
  },
  "Redis flushed": async (world) => redis(world, "FLUSHALL"),
  "Redis killed": async (world, random) => {
    await world.redis.crash();
    await last(random.int(1_000));
    await world.redis.restart();
  },
  "Redis gone for longer than the lease": async (world) => {
    await world.redis.crash();
    await last(world.leaseTtlMs * 1.5);
    await world.redis.restart();
  },
  "Redis cut off from half of the replicas": async (world) => {
    world.relay.cut();
    await last(world.leaseTtlMs * 1.5);
    world.relay.mend();
  },
  "the same hints five times": async (world) => {
    const jobs = await world.rows()<{ id: string }[]>`SELECT id FROM jobs ORDER BY updated_at DESC LIMIT 10`;
    for (let times = 0; times < 5; times++) {
      for (const { id } of jobs) redis(world, "ZADD", `${KEYS}ready:normal`, "0", id);
      redis(world, "PUBLISH", `${KEYS}ready`, '{"count":1}');
      await last(50);
    }
  },
  "Redis frozen": (world) => frozen(world.redis.pid, 2_000),
  "Postgres restarted at once": async (world) => {
    process.kill(world.database.pid, "SIGQUIT");
    await world.database.stop();
    await world.database.restart();
    await untilRows(world);
  },
  "Postgres gone for long": async (world) => {
    await world.database.crash();
    await last(world.outageMs);
    await world.database.restart();
    await untilRows(world);
  },
  "Postgres out of connections": async (world) => {
    const taken = await takeConnections(world);
    await last(2_000);
    await Promise.all(taken.map((one) => one.end({ timeout: 1 }).catch(() => {})));
    await untilRows(world);
  },
  "every connection to Postgres ended": async (world) => {
    for (let round = 0; round < 3; round++) {
      await world.rows()`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'`.catch(() => []);
      await last(100);
    }
    await untilRows(world);
  },
};
