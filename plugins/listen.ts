/**
 * The server around the app. Not Elysia's own `listen`: that shares its port with whoever else asks for it and hooks
 * into the process.
 */
import type { RendiffApp } from "./app.ts";
import { type SocketData, setPeer } from "./peers.ts";

/** Above the events' heartbeat of 15 s. */
const IDLE_TIMEOUT_SECONDS = 60;
/** Bun pings a quiet socket within this time and closes one that does not answer. */
const SOCKET_IDLE_TIMEOUT_SECONDS = 60;
/** Commands are short; see `ClientCommand`. */
const SOCKET_MESSAGE_BYTES_MAX = 4 * 1024;
const STOP_TIMEOUT_MS = 5_000;

export interface ListenOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** The server of METRICS_PORT: it answers `/metrics` and nothing else. */
  readonly metricsOnly?: boolean;
}

export interface Listening {
  readonly port: number;
  readonly url: string;
  /**
   * Closes sockets with 1001, ends streams and stops. Graceful waits for requests in flight, up to a limit. Idempotent.
   */
  stop(graceful: boolean): Promise<void>;
}

/** Rejects when the port is taken. */
export function listen(app: RendiffApp, { host, port, metricsOnly = false }: ListenOptions): Listening {
  const server = Bun.serve<SocketData>({
    hostname: host,
    port,
    reusePort: false,
    development: false,
    idleTimeout: IDLE_TIMEOUT_SECONDS,
    // Each route has a limit of its own, and says so in the shape of all errors, which the server would not. What no route
    // reads stays in the socket: 500 MB that nobody asked for leave the process at 35 MB.
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    websocket: {
      idleTimeout: SOCKET_IDLE_TIMEOUT_SECONDS,
      sendPings: true,
      maxPayloadLength: SOCKET_MESSAGE_BYTES_MAX,
      backpressureLimit: 1024 * 1024,
      closeOnBackpressureLimit: true,
      open: (socket) => socket.data.open(socket),
      message: (socket, message) => socket.data.message(socket, message),
      drain: (socket) => socket.data.drain(socket),
      close: (socket, code) => socket.data.close(socket, code),
    },
    fetch(request, own) {
      setPeer(request, { address: own.requestIP(request)?.address ?? "127.0.0.1", server: own, metricsOnly });
      return app.handle(request);
    },
  });
  let stopping: Promise<void> | null = null;
  const stop = async (graceful: boolean): Promise<void> => {
    if (!metricsOnly) await app.close();
    if (graceful) {
      const late = new Promise<"late">((resolve) => setTimeout(() => resolve("late"), STOP_TIMEOUT_MS).unref());
      if ((await Promise.race([server.stop(false), late])) !== "late") return;
    }
    await server.stop(true);
  };
  const boundPort = server.port ?? port;
  return {
    port: boundPort,
    url: `http://${host.includes(":") ? `[${host}]` : host}:${boundPort}`,
    stop: (graceful) => {
      stopping ??= stop(graceful);
      return stopping;
    },
  };
}
