/** Locks as keys with a time to live that hold their holder's value; compared and changed in one step by a script. */
import type { Locks } from "../ports.ts";
import type { Link } from "./link.ts";

const ACQUIRE = `
local held = redis.call('get', KEYS[1])
if held and held ~= ARGV[1] then return 0 end
redis.call('set', KEYS[1], ARGV[1], 'px', ARGV[2])
return 1`;
const RENEW = `
if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('pexpire', KEYS[1], ARGV[2])`;
const RELEASE = `
if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('del', KEYS[1])`;

export function makeRedisLocks(link: Link, prefix: string): Locks {
  const run = async (script: string, name: string, ...args: readonly string[]): Promise<boolean> =>
    (await link.run((client) => client.eval(script, 1, prefix + name, ...args))) === 1;
  const wholeMs = (ttlMs: number): string => String(Math.max(1, Math.round(ttlMs)));
  return {
    acquire: (name, value, ttlMs) => run(ACQUIRE, name, value, wholeMs(ttlMs)),
    renew: (name, value, ttlMs) => run(RENEW, name, value, wholeMs(ttlMs)),
    release: (name, value) => run(RELEASE, name, value),
    holder: (name) => link.run((client) => client.get(prefix + name)),
    async close() {},
  };
}
