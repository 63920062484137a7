/** A real Prometheus on a loopback port with the rules of `deploy/`, which scrapes the servers of a test. */
import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { Glob } from "bun";
import { afterFile } from "./cleanup.ts";
import { serve, wrapped } from "./servers.ts";
import { makeTempDir } from "./temp-dir.ts";

const DEPLOY = resolve(import.meta.dir, "../../deploy/prometheus");

export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface FiringAlert {
  readonly labels: Readonly<Record<string, string>>;
  readonly state: "pending" | "firing";
}

export interface Prometheus {
  readonly url: string;
  query(expr: string): Promise<Sample[]>;
  /** Those that fire. */
  firing(): Promise<Set<string>>;
}

interface PrometheusOptions {
  /** Addresses (`127.0.0.1:8000`) by the name of a scrape job in `deploy/prometheus/prometheus.yml`. */
  readonly targets: Readonly<Record<string, readonly string[]>>;
  /** Scrapes and looks at its rules each second instead of as often as `deploy/` says. Windows and durations stay. */
  readonly hurried?: boolean;
}

interface ScrapeConfig {
  readonly job_name: string;
}

interface Configuration {
  readonly global: object;
  readonly scrape_configs: readonly ScrapeConfig[];
}

async function writeConfiguration(folder: string, { targets, hurried = false }: PrometheusOptions): Promise<string> {
  await mkdir(join(folder, "rules"), { recursive: true });
  for (const name of new Glob("rules/*.yml").scanSync(DEPLOY)) {
    const text = await Bun.file(join(DEPLOY, name)).text();
    await Bun.write(join(folder, name), hurried ? text.replaceAll(/^( +)interval: .*$/gm, "$1interval: 1s") : text);
  }
  const given = Bun.YAML.parse(await Bun.file(join(DEPLOY, "prometheus.yml")).text()) as Configuration;
  for (const name of Object.keys(targets)) {
    if (given.scrape_configs.every(({ job_name }) => job_name !== name)) throw new Error(`No job is named ${name}.`);
  }
  const pace = hurried ? { scrape_interval: "1s", scrape_timeout: "1s", evaluation_interval: "1s" } : {};
  const configuration = {
    global: { ...given.global, ...pace },
    rule_files: ["rules/*.yml"],
    scrape_configs: given.scrape_configs.flatMap(({ job_name }) =>
      targets[job_name] === undefined ? [] : [{ job_name, static_configs: [{ targets: targets[job_name] }] }],
    ),
  };
  const path = join(folder, "prometheus.yml");
  // JSON is YAML.
  await Bun.write(path, JSON.stringify(configuration));
  return path;
}

export async function startPrometheus(options: PrometheusOptions): Promise<Prometheus> {
  const folder = await makeTempDir("prometheus");
  const path = await writeConfiguration(folder, options);
  const server = await serve({
    name: "Prometheus",
    argv: (port) =>
      wrapped(
        [
          ...["prometheus", `--config.file=${path}`, `--storage.tsdb.path=${join(folder, "data")}`],
          `--web.listen-address=127.0.0.1:${port}`,
        ],
        false,
      ),
    url: (port) => `http://127.0.0.1:${port}`,
    readyLine: "Server is ready to receive web requests.",
    stopSignal: "SIGTERM",
  });
  afterFile(() => server.stop());
  const ask = async <T>(route: string): Promise<T> => {
    const answer = (await (await fetch(`${server.url}/api/v1/${route}`)).json()) as { data?: T; error?: string };
    if (answer.data === undefined) throw new Error(`Prometheus says: ${answer.error}`);
    return answer.data;
  };
  return {
    url: server.url,
    async query(expr) {
      const data = await ask<{ result: { metric: Sample["metric"]; value: [number, string] }[] }>(
        `query?query=${encodeURIComponent(expr)}`,
      );
      return data.result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }));
    },
    async firing() {
      const { alerts } = await ask<{ alerts: FiringAlert[] }>("alerts");
      return new Set(alerts.filter(({ state }) => state === "firing").map(({ labels }) => labels.alertname ?? ""));
    },
  };
}
