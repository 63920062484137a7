/**
 * What one courier knows of the hosts it sends to: how many requests are under way, and whether a host is left alone for a
 * while. A receiver that hangs holds a few requests of its own and nobody else's.
 *
 *   closed ── failures in a row ▶ open ── pause over ▶ half open (one request) ── good ▶ closed
 *                                  ▲                          └─ bad ▶ open, for longer
 */

export const PER_HOST_MAX = 4;
const FAILURES_TO_OPEN = 5;
const PAUSE_MS = 15_000;
const PAUSE_MS_MAX = 10 * 60_000;
/** A host that is not heard of again is forgotten. */
const HOSTS_MAX = 10_000;

interface Host {
  running: number;
  failures: number;
  pauseMs: number;
  openUntilMs: number;
}

export interface Hosts {
  /** For `claimDeliveries`: hosts that may have fewer than the usual number more. */
  room(): Record<string, number>;
  begin(host: string): void;
  /** `reached`: it answered, whatever it said, and was not too busy to. */
  end(host: string, reached: boolean): void;
  /** When the first pause ends; null when no host is left alone. */
  nextOpenAtMs(): number | null;
}

export function makeHosts(now: () => number = () => performance.now(), pauseMs = PAUSE_MS): Hosts {
  const hosts = new Map<string, Host>();
  const roomOf = (host: Host): number => {
    if (host.openUntilMs > now()) return 0;
    const most = host.failures >= FAILURES_TO_OPEN ? 1 : PER_HOST_MAX;
    return Math.max(0, most - host.running);
  };
  return {
    room: () => Object.fromEntries([...hosts].map(([name, host]) => [name, roomOf(host)])),
    begin(name) {
      const host = hosts.get(name) ?? { running: 0, failures: 0, pauseMs: 0, openUntilMs: 0 };
      host.running += 1;
      hosts.set(name, host);
    },
    end(name, reached) {
      const host = hosts.get(name);
      if (host === undefined) return;
      host.running -= 1;
      if (reached) {
        if (host.running === 0) hosts.delete(name);
        else Object.assign(host, { failures: 0, pauseMs: 0, openUntilMs: 0 });
        return;
      }
      host.failures += 1;
      if (host.failures >= FAILURES_TO_OPEN && host.openUntilMs <= now()) {
        host.pauseMs = Math.min(PAUSE_MS_MAX, host.pauseMs === 0 ? pauseMs : host.pauseMs * 2);
        host.openUntilMs = now() + host.pauseMs;
      }
      if (hosts.size > HOSTS_MAX) for (const [key, { running }] of hosts) if (running === 0) hosts.delete(key);
    },
    nextOpenAtMs() {
      const times = [...hosts.values()].map(({ openUntilMs }) => openUntilMs).filter((at) => at > now());
      return times.length === 0 ? null : Math.min(...times);
    },
  };
}
