/** Gauges of what is looked at for a scrape: the fleet, what this process depends on, and the disks it fills. */
import { PRIORITIES } from "../jobs/types.ts";
import type { FleetState, SampledState } from "./metrics.ts";
import { Gauge, type Registry } from "./prom-client.ts";

/** What is added shows a state from then on. What is not known is absent, which is honest; the last known figure is not. */
export function addSampledMetrics(registry: Registry): (state: SampledState) => void {
  const gauge = (name: string, help: string, labelNames: string[] = []): Gauge =>
    new Gauge({ name, help, labelNames, registers: [registry] });
  const showFleet = addFleet(gauge);
  const up = gauge("rendiff_dependency_up", "Whether it answers this process: 1 or 0.", ["dependency"]);
  const free = gauge("rendiff_disk_free_bytes", "Free space for this process, by what lies on the disk.", ["disk"]);
  const size = gauge("rendiff_disk_size_bytes", "Size of the disk, by what lies on it.", ["disk"]);
  return ({ fleet, dependencies, disks }) => {
    showFleet(fleet);
    for (const one of [up, free, size]) one.reset();
    for (const [dependency, isUp] of Object.entries(dependencies)) up.set({ dependency }, isUp ? 1 : 0);
    for (const [disk, { freeBytes, sizeBytes }] of Object.entries(disks)) {
      free.set({ disk }, freeBytes);
      size.set({ disk }, sizeBytes);
    }
  };
}

function addFleet(gauge: (name: string, help: string, labelNames?: string[]) => Gauge) {
  const depth = gauge("rendiff_queue_depth", "Jobs that could run now and wait.", ["priority"]);
  const stored = gauge("rendiff_storage_bytes", "What jobs' outputs occupy.", ["backend"]);
  const singles: readonly (readonly [Gauge, (fleet: FleetState) => number])[] = [
    [
      gauge(
        "rendiff_queue_backlog_seconds",
        "How long a job that is submitted now would wait: what an autoscaler scales on.",
      ),
      ({ backlogSeconds }) => backlogSeconds,
    ],
    [
      gauge("rendiff_queue_oldest_wait_seconds", "Of the job that could have run for longest."),
      ({ oldestWaitSeconds }) => oldestWaitSeconds,
    ],
    [gauge("rendiff_workers_live", "Workers that beat and take jobs."), ({ liveWorkers }) => liveWorkers],
    [gauge("rendiff_workers_live_slots", "Jobs that they can run at once."), ({ liveSlots }) => liveSlots],
    [gauge("rendiff_webhook_backlog", "Webhooks whose try is overdue."), ({ webhooksOverdue }) => webhooksOverdue],
    [
      gauge("rendiff_webhook_backlog_seconds", "How long the longest of these has been overdue."),
      ({ webhooksOverdueSeconds }) => webhooksOverdueSeconds,
    ],
  ];
  return (fleet: FleetState | null): void => {
    depth.reset();
    stored.reset();
    if (fleet === null) {
      for (const [one] of singles) one.remove();
      return;
    }
    for (const priority of PRIORITIES) depth.set({ priority }, fleet.queueDepth[priority]);
    for (const [backend, bytes] of Object.entries(fleet.storageBytes)) stored.set({ backend }, bytes);
    for (const [one, read] of singles) one.set(read(fleet));
  };
}
