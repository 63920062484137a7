/** Grafana's dashboards: which panels there are, and their JSON. */

interface Query {
  readonly expr: string;
  /** Of the line; `{{label}}` stands for a label's value. */
  readonly legend: string;
}

interface Panel {
  readonly title: string;
  readonly unit: string;
  readonly queries: readonly Query[];
  /** Default: a line over time. */
  readonly kind?: "stat";
  /** From a data source's point of view: shares are between 0 and 1. */
  readonly max?: number;
}

interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly panels: readonly Panel[];
}

const line = (
  title: string,
  unit: string,
  ...queries: readonly (readonly [expr: string, legend: string])[]
): Panel => ({
  ...{ title, unit },
  queries: queries.map(([expr, legend]) => ({ expr, legend })),
});
const stat = (title: string, unit: string, expr: string): Panel => ({
  ...{ title, unit, kind: "stat" },
  queries: [{ expr, legend: title }],
});

/** The time below which a share of events stayed. */
const quantile = (share: number, metric: string, by = ""): string =>
  `histogram_quantile(${share}, sum by (${by === "" ? "le" : `le, ${by}`}) (rate(${metric}_bucket[$__rate_interval])))`;

const REQUESTS = 'rendiff_api_requests_total{route!~"health.*|metrics"';

const OVERVIEW: Dashboard = {
  uid: "rendiff-overview",
  title: "Rendiff: overview",
  panels: [
    stat("Workers alive", "short", "max(rendiff_workers_live)"),
    stat("Jobs that run", "short", "sum(rendiff_worker_active)"),
    stat("Jobs that wait", "short", "sum(max by (priority) (rendiff_queue_depth))"),
    stat("Backlog", "s", "max(rendiff_queue_backlog_seconds)"),
    stat("Availability, 6 h", "percentunit", "1 - rendiff:request_errors:ratio_rate6h"),
    stat("Claimed within a minute, 6 h", "percentunit", "1 - rendiff:late_claims:ratio_rate6h"),
    line("Jobs that ended", "ops", ["sum by (status) (rate(rendiff_jobs_total[$__rate_interval]))", "{{status}}"]),
    {
      ...line("Success by type: jobs that did not fail for our reasons, 6 h", "percentunit", [
        "1 - rendiff:job_failures:ratio_rate6h",
        "{{type}}",
      ]),
      max: 1,
    },
    line("Queue by priority", "short", ["max by (priority) (rendiff_queue_depth)", "{{priority}}"]),
    line(
      "Requests",
      "reqps",
      [`sum(rate(${REQUESTS}}[$__rate_interval]))`, "all"],
      [`sum(rate(${REQUESTS}, status=~"5.."}[$__rate_interval])) or vector(0)`, "5xx"],
    ),
  ],
};

const JOBS: Dashboard = {
  uid: "rendiff-jobs",
  title: "Rendiff: jobs and workers",
  panels: [
    line(
      "From start to end",
      "s",
      [quantile(0.5, "rendiff_job_duration_seconds", "type"), "{{type}}, half"],
      [quantile(0.95, "rendiff_job_duration_seconds", "type"), "{{type}}, 95 %"],
    ),
    line("From when a job could run to its claim, 95 %", "s", [
      quantile(0.95, "rendiff_queue_wait_seconds", "priority"),
      "{{priority}}",
    ]),
    line(
      "Backlog",
      "s",
      ["max(rendiff_queue_backlog_seconds)", "a job submitted now"],
      ["max(rendiff_queue_oldest_wait_seconds)", "longest wait"],
    ),
    line(
      "Slots",
      "short",
      ["sum(rendiff_worker_active)", "in use"],
      ["max(rendiff_workers_live_slots)", "of live workers"],
      ["sum by (instance) (rendiff_worker_active)", "{{instance}}"],
    ),
    line("Failures by fault and reason", "short", [
      "sum by (fault, reason) (increase(rendiff_job_failures_total[$__rate_interval])) > 0 or vector(0)",
      "{{fault}} {{reason}}",
    ]),
    line(
      "Attempts that were followed by another",
      "short",
      ["sum by (reason) (increase(rendiff_job_retries_total[$__rate_interval])) > 0 or vector(0)", "{{reason}}"],
      ["sum(increase(rendiff_leases_lost_total[$__rate_interval]))", "leases lost"],
    ),
    line(
      "Speed of FFmpeg: media seconds per second",
      "short",
      [quantile(0.1, "rendiff_ffmpeg_speed_ratio"), "slowest tenth"],
      [quantile(0.5, "rendiff_ffmpeg_speed_ratio"), "half"],
    ),
    line("Webhooks", "ops", [
      "sum by (outcome) (rate(rendiff_webhook_deliveries_total[$__rate_interval]))",
      "{{outcome}}",
    ]),
    line("Webhooks overdue", "short", ["max(rendiff_webhook_backlog)", "overdue"]),
    line("The longest of these", "s", ["max(rendiff_webhook_backlog_seconds)", "overdue for"]),
  ],
};

const API: Dashboard = {
  uid: "rendiff-api",
  title: "Rendiff: API",
  panels: [
    line("Requests by route", "reqps", [`sum by (route) (rate(${REQUESTS}}[$__rate_interval]))`, "{{route}}"]),
    line("Answers by status", "reqps", [`sum by (status) (rate(${REQUESTS}}[$__rate_interval]))`, "{{status}}"]),
    line(
      "Time to the first byte",
      "s",
      [quantile(0.5, "rendiff_api_request_duration_seconds"), "half"],
      [quantile(0.95, "rendiff_api_request_duration_seconds"), "95 %"],
      [quantile(0.99, "rendiff_api_request_duration_seconds"), "99 %"],
    ),
    line("Time to the first byte by route, 95 %", "s", [
      quantile(0.95, "rendiff_api_request_duration_seconds", "route"),
      "{{route}}",
    ]),
  ],
};

const RESOURCES: Dashboard = {
  uid: "rendiff-resources",
  title: "Rendiff: resources",
  panels: [
    line("Dependencies that answer", "short", ["rendiff_dependency_up", "{{dependency}} from {{instance}}"]),
    {
      ...line("Free space", "percentunit", [
        "rendiff_disk_free_bytes / rendiff_disk_size_bytes",
        "{{disk}} at {{instance}}",
      ]),
      max: 1,
    },
    line("What outputs occupy", "bytes", ["max by (backend) (rendiff_storage_bytes)", "{{backend}}"]),
    line("Bytes to and from storage", "Bps", [
      "sum by (backend, direction) (rate(rendiff_storage_transfer_bytes_total[$__rate_interval]))",
      "{{backend}}, {{direction}}",
    ]),
    line("CPU of the service, without FFmpeg", "percentunit", [
      'rate(process_cpu_seconds_total{job="rendiff"}[$__rate_interval])',
      "{{instance}}",
    ]),
    line("Memory of the service, without FFmpeg", "bytes", [
      'process_resident_memory_bytes{job="rendiff"}',
      "{{instance}}",
    ]),
    line("Open files", "short", ['process_open_fds{job="rendiff"}', "{{instance}}"]),
    line("Lag of the event loop", "s", ['process_event_loop_lag_seconds{job="rendiff"}', "{{instance}}"]),
    line("Versions", "short", ["sum by (version, role) (rendiff_build_info)", "{{version}}, {{role}}"]),
  ],
};

/** Calls to stores elsewhere, of which a deployment on folders has none. */
const STORES: Dashboard = {
  uid: "rendiff-stores",
  title: "Rendiff: stores elsewhere",
  panels: [
    line("Calls by outcome", "ops", [
      "sum by (backend, outcome) (rate(rendiff_storage_request_seconds_count[$__rate_interval]))",
      "{{backend}}, {{outcome}}",
    ]),
    line("Time of a call, 95 %", "s", [
      quantile(0.95, "rendiff_storage_request_seconds", "backend, operation"),
      "{{backend}}, {{operation}}",
    ]),
  ],
};

export const DASHBOARDS: readonly Dashboard[] = [OVERVIEW, JOBS, API, RESOURCES, STORES];

const DATASOURCE = { type: "prometheus", uid: "prometheus" } as const;
const WIDTH = 24;
const LINE = { w: 12, h: 8 } as const;
const STAT = { w: 4, h: 4 } as const;

/** Panels from left to right, each row as high as what begins it. */
function place(
  panels: readonly Panel[],
): readonly { readonly x: number; readonly y: number; readonly w: number; readonly h: number }[] {
  let [x, y, rowHeight] = [0, 0, 0];
  return panels.map(({ kind }) => {
    const { w, h } = kind === "stat" ? STAT : LINE;
    if (x + w > WIDTH || (rowHeight !== 0 && rowHeight !== h)) [x, y, rowHeight] = [0, y + rowHeight, 0];
    const at = { x, y, w, h };
    [x, rowHeight] = [x + w, h];
    return at;
  });
}

export function dashboardJson({ uid, title, panels }: Dashboard): string {
  const places = place(panels);
  const dashboard = {
    ...{ uid, title, tags: ["rendiff"], schemaVersion: 39, editable: true, refresh: "30s" },
    ...{ time: { from: "now-3h", to: "now" }, timezone: "browser", links: [] },
    panels: panels.map((panel, index) => ({
      ...{ id: index + 1, title: panel.title, type: panel.kind ?? "timeseries", gridPos: places[index] },
      datasource: DATASOURCE,
      fieldConfig: {
        defaults: { unit: panel.unit, min: 0, ...(panel.max === undefined ? {} : { max: panel.max }) },
        overrides: [],
      },
      targets: panel.queries.map(({ expr, legend }, at) => ({
        ...{ refId: String.fromCharCode("A".charCodeAt(0) + at), datasource: DATASOURCE, expr, legendFormat: legend },
      })),
    })),
  };
  return `${JSON.stringify(dashboard, null, 2)}\n`;
}
