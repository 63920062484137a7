import type { Cache } from "../ports.ts";
import { answersOf, type Link } from "./link.ts";

export function makeRedisCache(link: Link, prefix: string): Cache {
  const wholeMs = (ttlMs: number): number => Math.max(1, Math.round(ttlMs));
  return {
    get: (name) => link.run((client) => client.get(prefix + name)),
    async set(name, value, ttlMs) {
      await link.run((client) => client.set(prefix + name, value, "PX", wholeMs(ttlMs)));
    },
    async getFields(name) {
      const fields = await link.run((client) => client.hgetall(prefix + name));
      return Object.keys(fields).length === 0 ? null : fields;
    },
    async setFields(name, fields, ttlMs) {
      const key = prefix + name;
      // Fields of the value before must not stay among those of this one.
      await link.run((client) =>
        answersOf(
          client
            .multi()
            .del(key)
            .hset(key, { ...fields })
            .pexpire(key, wholeMs(ttlMs))
            .exec(),
        ),
      );
    },
    async delete(name) {
      await link.run((client) => client.del(prefix + name));
    },
    async close() {},
  };
}
