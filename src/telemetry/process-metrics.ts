/**
 * What every Prometheus client says of its process, as far as Bun can say it.
 *
 * prom-client's own default set is left: under Bun its heap and handle figures are zeros or nonsense, and its event loop
 * histogram is a timer a hundred times a second that nothing can stop.
 */
import { readdirSync } from "node:fs";
import { Counter, Gauge, type Registry } from "./prom-client.ts";

export function addProcessMetrics(registry: Registry): void {
  const registers = [registry];
  const gauge = (name: string, help: string, read: () => number | null | Promise<number>): void => {
    new Gauge({
      name,
      help,
      registers,
      async collect() {
        const value = await read();
        if (value === null) this.remove();
        else this.set(value);
      },
    });
  };
  new Counter({
    name: "process_cpu_seconds_total",
    help: "User and system CPU time of the service itself, in seconds.",
    registers,
    collect() {
      const { user, system } = process.cpuUsage();
      this.reset();
      this.inc((user + system) / 1e6);
    },
  });
  const startedAtSeconds = (Date.now() - process.uptime() * 1000) / 1000;
  gauge("process_start_time_seconds", "Start of the process, in seconds since 1970.", () => startedAtSeconds);
  gauge("process_resident_memory_bytes", "Resident memory, in bytes.", () => process.memoryUsage.rss());
  gauge("process_heap_bytes", "Memory of JavaScript values, in bytes.", () => process.memoryUsage().heapUsed);
  gauge("process_open_fds", "Open file descriptors.", countDescriptors);
  gauge("process_event_loop_lag_seconds", "How late a turn of the event loop comes, now, in seconds.", readLagSeconds);
}

/** Null where there is no /proc. */
function countDescriptors(): number | null {
  try {
    return readdirSync("/proc/self/fd").length - 1;
  } catch {
    return null;
  }
}

function readLagSeconds(): Promise<number> {
  const startedAtMs = performance.now();
  return new Promise((resolve) => setImmediate(() => resolve((performance.now() - startedAtMs) / 1000)));
}
