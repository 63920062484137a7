/** The manifests, held against what they are for: the cluster's schemas, the configuration and the server. */
import { describe, expect, test } from "bun:test";
import { join, resolve } from "node:path";
import { ROUTES } from "../../plugins/routes.ts";
import { loadConfig } from "../../src/config/load.ts";
import type { Machine } from "../../src/config/machine.ts";
import { isSettingName, SECRET_FILE_NAMES } from "../../src/config/schema.ts";
import { testEnv } from "../support/env.ts";
import {
  buildText,
  type Container,
  environmentOf,
  OVERLAYS,
  type Overlay,
  parseManifests,
  type Resource,
  type Workload,
  workloadsOf,
} from "./manifests.ts";
import { customSchemas, isCustom, refusedBy } from "./schemas.ts";
import { withSecretFiles } from "./secret-files.ts";

const VERSIONS = ["1.31", "1.34", "1.37"];
/** Other programs' names, which reach a container for a reason. */
const FOREIGN = ["NVIDIA_DRIVER_CAPABILITIES"];

const texts = new Map<Overlay, string>(OVERLAYS.map((overlay) => [overlay, buildText(overlay)]));
const textOf = (overlay: Overlay): string => texts.get(overlay) ?? "";
const built: readonly (readonly [Overlay, readonly Resource[]])[] = OVERLAYS.map((overlay) => [
  overlay,
  parseManifests(textOf(overlay)),
]);

/** Every workload that runs Rendiff itself, with what its containers see. */
const servers = built.flatMap(([overlay, resources]) =>
  workloadsOf(resources)
    .filter(({ kind }) => kind !== "DaemonSet")
    .flatMap((workload) =>
      workload.pod.containers.map((container) => ({
        title: `${overlay} ${workload.name}`,
        workload,
        container,
        env: environmentOf(container, resources),
      })),
    ),
);

const roleOf = ({ args }: Container): string | undefined =>
  args.includes("--role") ? args[args.indexOf("--role") + 1] : undefined;

/** As the machine that the pod is scheduled to. */
const machine: Machine = { cpuCount: 4, memoryBytes: 8e9, isTerminal: false, diskBytes: () => 1e12 };

const routePaths = new Set(ROUTES.filter(({ at }) => at === "both").map(({ path }) => path));

const bytesOf = (quantity: string): number => {
  const units: Record<string, number> = { "": 1, Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40 };
  const [, amount = "", unit = ""] = /^(\d+)([KMGT]i)?$/.exec(quantity) ?? [];
  return Number(amount) * (units[unit] ?? Number.NaN);
};

describe("the manifests", () => {
  const plain = built.flatMap(([, resources]) => resources.filter((resource) => !isCustom(resource)));
  // Each once: the overlays share most of them.
  const toText = (resources: readonly Resource[]) =>
    [...new Set(resources.map((one) => JSON.stringify(one)))].join("\n---\n");

  test.each(VERSIONS)("are what Kubernetes %s takes, strictly", async (version) => {
    expect(await refusedBy(version, toText(plain))).toEqual([]);
  });

  test("would be refused with a field mistyped", async () => {
    const wrong = toText(plain).replace('"terminationGracePeriodSeconds"', '"terminationGracePeriod"');
    expect((await refusedBy("1.37", wrong)).join("\n")).toContain("terminationGracePeriod");
  });

  test("hold the operators' resources as their own schemas want them", async () => {
    const schemas = await customSchemas();
    const custom = built.flatMap(([, resources]) => resources.filter(isCustom));
    expect(custom.map(({ kind }) => kind)).toContain("ScaledObject");
    for (const { apiVersion, kind, spec } of custom) {
      const schema = schemas.get(`${apiVersion}/${kind}`);
      expect(schema?.safeParse(spec).error?.message ?? "").toBe("");
      expect(schema?.safeParse({ ...spec, mistyped: 1 }).success).toBe(false);
    }
  });

  test.each(OVERLAYS)("pass kube-score without a critical finding: %s", (overlay) => {
    const { stdout, exitCode } = Bun.spawnSync(
      [join(testEnv().deploy, "bin/kube-score"), "score", "--output-format", "ci", "-"],
      { stdin: Buffer.from(textOf(overlay)) },
    );
    const findings = stdout.toString().split("\n");
    expect(findings.filter((line) => line.startsWith("[CRITICAL]"))).toEqual([]);
    expect([exitCode, findings.some((line) => line.startsWith("[OK]"))]).toEqual([0, true]);
  });
});

describe("what a pod is given", () => {
  test.each(servers)("names settings that exist: $title", ({ env }) => {
    const unknown = Object.keys(env).filter(
      (name) => !isSettingName(name) && !SECRET_FILE_NAMES.includes(name) && !FOREIGN.includes(name),
    );
    expect(unknown).toEqual([]);
  });

  test.each(servers)("is a configuration that Rendiff starts with: $title", async ({ env, container }) => {
    const role = roleOf(container);
    const image = { API_HOST: "0.0.0.0", DATA_DIR: "/data", SANDBOX: "auto" };
    const config = loadConfig({
      env: await withSecretFiles({ ...image, ...env }),
      cwd: "/",
      machine,
      ...(role === undefined ? {} : { role }),
    });
    expect(config.profile).toBe("cluster");
    if (role === "worker") expect(config.worker.sandbox).toBe("required");
  });

  test.each(servers)("is probed where the server answers: $title", ({ workload, container, env }) => {
    const { startupProbe, livenessProbe, readinessProbe } = container;
    const probes = [startupProbe, livenessProbe, readinessProbe].flatMap((one) => (one === undefined ? [] : [one]));
    expect(probes.length).toBe(workload.kind === "Deployment" ? 3 : 0);
    for (const { httpGet } of probes) {
      expect(routePaths).toContain(httpGet.path);
      const port = container.ports.find(({ name }) => name === httpGet.port);
      expect(`${port?.containerPort}`).toBe(env.API_PORT ?? "");
    }
  });

  test.each(servers)("may drain to its end: $title", async ({ workload, env }) => {
    if (workload.kind !== "Deployment") return;
    const { process } = loadConfig({ env: await withSecretFiles({ ...env, DATA_DIR: "/data" }), cwd: "/", machine });
    const drainSeconds = (process.drainDelayMs + process.drainTimeoutMs) / 1_000;
    const grace = workload.pod.terminationGracePeriodSeconds ?? 0;
    expect(grace).toBeGreaterThan(drainSeconds);
    expect(grace).toBeLessThan(drainSeconds + 60);
  });

  test.each(servers)("is a scratch volume larger than TEMP_LIMIT and inside the pod's share: $title", async (one) => {
    const { container, workload, env } = one;
    if (roleOf(container) !== "worker") return;
    const { worker } = loadConfig({ env: await withSecretFiles({ ...env, DATA_DIR: "/data" }), cwd: "/", machine });
    const mount = container.volumeMounts.find(({ mountPath }) => worker.tempDir.startsWith(`${mountPath}/`));
    const size = workload.pod.volumes.find(({ name }) => name === mount?.name)?.emptyDir?.sizeLimit ?? "";
    expect(bytesOf(size)).toBeGreaterThan(worker.tempLimitBytes);
    expect(bytesOf(container.resources.limits["ephemeral-storage"] ?? "")).toBeGreaterThan(bytesOf(size));
  });

  test.each(servers)("holds nothing that it does not need: $title", ({ workload, container }) => {
    expect(workload.pod.automountServiceAccountToken).toBe(false);
    expect(
      workload.pod.volumes.filter(({ emptyDir }) => emptyDir !== undefined && emptyDir.sizeLimit === undefined),
    ).toEqual([]);
    expect(container.securityContext).toMatchObject({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      runAsNonRoot: true,
      capabilities: { drop: ["ALL"] },
    });
  });
});

describe("the workers' sandbox", () => {
  const workers = servers.filter(({ container }) => roleOf(container) === "worker");
  const profileOf = ({ pod }: Workload) => pod.securityContext.seccompProfile;

  test("has a profile that the installer puts on the nodes, the one that the image is tested under", async () => {
    expect(workers.length).toBeGreaterThan(0);
    for (const { workload } of workers) {
      expect(profileOf(workload)).toEqual({ type: "Localhost", localhostProfile: "rendiff.json" });
    }
    const [, seccomp = []] = built.find(([overlay]) => overlay === "seccomp") ?? [];
    const installed = seccomp.find(({ kind }) => kind === "ConfigMap")?.data?.["rendiff.json"] ?? "";
    expect(JSON.parse(installed)).toEqual(await Bun.file(resolve("deploy/seccomp/rendiff.json")).json());
  });
});

describe("worker classes", () => {
  const [, gpu = []] = built.find(([overlay]) => overlay === "overlays/gpu") ?? [];

  test("serve every priority between them, each with a scaler and a selector of its own", () => {
    const classes = servers.filter(({ title }) => title.startsWith("overlays/gpu rendiff-worker"));
    const served = classes.flatMap(({ env }) => (env.WORKER_PRIORITIES ?? "").split(","));
    expect([...new Set(served)].sort()).toEqual(["high", "low", "normal"]);
    expect(classes.map(({ workload }) => workload.labels["rendiff.dev/class"]).sort()).toEqual(["cpu", "gpu"]);
    const scaled = gpu.filter(({ kind }) => kind === "ScaledObject").map(({ spec }) => spec?.scaleTargetRef);
    expect(scaled).toEqual(
      expect.arrayContaining(classes.map(({ workload }) => expect.objectContaining({ name: workload.name }))),
    );
  });

  test("ask for a GPU where they need one", () => {
    const limits = servers
      .filter(({ title }) => title === "overlays/gpu rendiff-worker-gpu")
      .map(({ container }) => container.resources.limits["nvidia.com/gpu"]);
    expect(limits).toEqual(["1"]);
  });
});
