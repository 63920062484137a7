/** The server and the peer's address of a request, known only where the server hands the request over. */
import type { Server } from "bun";

export type RendiffServer = Server<SocketData>;

/** What a WebSocket carries: its own handlers. */
export interface SocketData {
  open(socket: Bun.ServerWebSocket<SocketData>): void;
  message(socket: Bun.ServerWebSocket<SocketData>, message: string | Buffer): void;
  drain(socket: Bun.ServerWebSocket<SocketData>): void;
  close(socket: Bun.ServerWebSocket<SocketData>, code: number): void;
}

interface Peer {
  readonly address: string;
  readonly server: RendiffServer;
  /** It came to METRICS_PORT, where there is nothing else. */
  readonly metricsOnly: boolean;
}

const peers = new WeakMap<Request, Peer>();

export function setPeer(request: Request, peer: Peer): void {
  peers.set(request, peer);
}

/** Null for a request that came through no server, as in tests. */
export function peerOf(request: Request): Peer | null {
  return peers.get(request) ?? null;
}
