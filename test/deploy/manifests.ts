/** The Kubernetes manifests as a cluster would get them: built by the real kustomize, then read as YAML. */
import { join, resolve } from "node:path";
import { z } from "zod";
import { testEnv } from "../support/env.ts";

export const OVERLAYS = [".", "overlays/prod", "overlays/gpu", "seccomp"] as const;
export type Overlay = (typeof OVERLAYS)[number];

const named = z.looseObject({ name: z.string() });

const httpGet = z.looseObject({ path: z.string(), port: z.union([z.string(), z.number()]) });
const probe = z.looseObject({ httpGet });

const container = z.looseObject({
  name: z.string(),
  image: z.string(),
  args: z.array(z.string()).default([]),
  env: z.array(z.looseObject({ name: z.string(), value: z.string().optional() })).default([]),
  envFrom: z.array(z.looseObject({ configMapRef: named })).default([]),
  ports: z.array(z.looseObject({ name: z.string(), containerPort: z.number() })).default([]),
  startupProbe: probe.optional(),
  livenessProbe: probe.optional(),
  readinessProbe: probe.optional(),
  resources: z.looseObject({ requests: z.record(z.string(), z.string()), limits: z.record(z.string(), z.string()) }),
  volumeMounts: z.array(z.looseObject({ name: z.string(), mountPath: z.string() })).default([]),
  securityContext: z.looseObject({}),
});

const volume = z.looseObject({
  name: z.string(),
  emptyDir: z.looseObject({ sizeLimit: z.string().optional() }).optional(),
  secret: z.looseObject({ secretName: z.string() }).optional(),
});

export const podSpecSchema = z.looseObject({
  terminationGracePeriodSeconds: z.number().optional(),
  automountServiceAccountToken: z.boolean(),
  securityContext: z.looseObject({}).default({}),
  containers: z.array(container),
  initContainers: z.array(container).default([]),
  volumes: z.array(volume).default([]),
});

export type PodSpec = z.output<typeof podSpecSchema>;
export type Container = z.output<typeof container>;

const resource = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({ name: z.string(), namespace: z.string().optional() }),
  data: z.record(z.string(), z.string()).optional(),
  spec: z.looseObject({}).optional(),
});

export type Resource = z.output<typeof resource>;

const withTemplate = z.looseObject({
  template: z.looseObject({
    metadata: z.looseObject({ labels: z.record(z.string(), z.string()) }),
    spec: podSpecSchema,
  }),
});

/** What `kubectl apply -k k8s/OVERLAY` would send, as one text. */
export function buildText(overlay: Overlay): string {
  const kustomize = join(testEnv().deploy, "bin/kustomize");
  const { exitCode, stdout, stderr } = Bun.spawnSync([kustomize, "build", resolve("k8s", overlay)], {
    stdin: "ignore",
  });
  if (exitCode !== 0) throw new Error(`kustomize build k8s/${overlay}: ${stderr.toString()}`);
  return stdout.toString();
}

export const parseManifests = (text: string): Resource[] => z.array(resource).parse(Bun.YAML.parse(text));

export interface Workload {
  readonly kind: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly pod: PodSpec;
}

export function workloadsOf(resources: readonly Resource[]): Workload[] {
  return resources
    .filter(({ kind }) => ["Deployment", "Job", "DaemonSet"].includes(kind))
    .map(({ kind, metadata, spec }) => {
      const { template } = withTemplate.parse(spec);
      return { kind, name: metadata.name, labels: template.metadata.labels, pod: template.spec };
    });
}

/** What a container's process finds in its environment. */
export function environmentOf({ env, envFrom }: Container, resources: readonly Resource[]): Record<string, string> {
  const maps = envFrom.map(({ configMapRef }) => {
    const found = resources.find(({ kind, metadata }) => kind === "ConfigMap" && metadata.name === configMapRef.name);
    if (found?.data === undefined) throw new Error(`There is no ConfigMap ${configMapRef.name}.`);
    return found.data;
  });
  return Object.assign({}, ...maps, Object.fromEntries(env.map(({ name, value = "" }) => [name, value])));
}
