/** nginx in front of replicas, as a deployment has it: what is in its list gets requests, and a reload changes the list. */
import { writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { listProcesses } from "./processes.ts";
import { serve, type TestServer, wrapped } from "./servers.ts";
import { until } from "./until.ts";

export interface Nginx extends AsyncDisposable {
  readonly url: string;
  /** Resolves when only processes that know this list take requests, and those of the list before have ended. */
  route(ports: readonly number[]): Promise<void>;
}

/** A request that meets a replica that is gone fails: nothing is tried a second time, so that nothing is covered up. */
const config = (folder: string, port: number, ports: readonly number[]): string => `
daemon off;
worker_processes 1;
pid ${join(folder, "nginx.pid")};
error_log stderr notice;
events { worker_connections 512; }
http {
  access_log off;
  client_body_temp_path ${join(folder, "body")};
  proxy_temp_path ${join(folder, "proxy")};
  fastcgi_temp_path ${join(folder, "fastcgi")};
  uwsgi_temp_path ${join(folder, "uwsgi")};
  scgi_temp_path ${join(folder, "scgi")};
  upstream replicas {
    ${ports.map((upstream) => `server 127.0.0.1:${upstream} max_fails=0;`).join("\n    ")}
    keepalive 16;
  }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://replicas;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_next_upstream off;
    }
  }
}
`;

/** Its processes that take requests, by the titles that nginx gives them. */
const workersOf = ({ pid: master }: TestServer): readonly { readonly pid: number; readonly leaving: boolean }[] =>
  listProcesses()
    .filter(({ parent, commandLine }) => parent === master && commandLine.startsWith("nginx: worker process"))
    .map(({ pid, commandLine }) => ({ pid, leaving: commandLine.includes("shutting down") }));

/** `folder` is made. `ports` are of this machine and at least one. */
export async function startNginx(folder: string, ports: readonly number[]): Promise<Nginx> {
  await mkdir(folder, { recursive: true });
  const file = join(folder, "nginx.conf");
  const program = Bun.which("nginx") ?? "/usr/sbin/nginx";
  const server = await serve({
    name: "nginx",
    argv: (port) => {
      writeFileSync(file, config(folder, port, ports));
      return wrapped([program, "-c", file, "-p", folder, "-e", "stderr"], false);
    },
    url: (port) => `http://127.0.0.1:${port}`,
    readyLine: "start worker process ",
    stopSignal: "SIGTERM",
  });
  return {
    url: server.url,
    async route(next) {
      const before = new Set(workersOf(server).map(({ pid }) => pid));
      await Bun.write(file, config(folder, server.port, next));
      process.kill(server.pid, "SIGHUP");
      await until(
        () => {
          const now = workersOf(server);
          return now.length > 0 && now.every(({ pid, leaving }) => !leaving && !before.has(pid));
        },
        { timeoutMs: 30_000, intervalMs: 20, what: "nginx to take up its new list" },
      );
    },
    [Symbol.asyncDispose]: () => server.stop(),
  };
}
