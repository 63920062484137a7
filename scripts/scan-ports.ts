/** Which TCP ports of an address accept a connection: every one is tried. */
import { connect } from "node:net";

const PORT_MAX = 65_535;
const AT_ONCE = 500;
const TIMEOUT_MS = 2_000;

function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: TIMEOUT_MS });
    const end = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    // A port of this machine that nobody listens on may be the one that the call itself was given: it then reaches itself.
    socket.once("connect", () => end(socket.localPort !== port || socket.localAddress !== socket.remoteAddress));
    socket.once("timeout", () => end(false));
    socket.once("error", () => end(false));
  });
}

/** In order. */
export async function scanPorts(host: string): Promise<number[]> {
  const open: number[] = [];
  let next = 1;
  const scanner = async (): Promise<void> => {
    while (next <= PORT_MAX) {
      const port = next;
      next += 1;
      if (await accepts(host, port)) open.push(port);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, scanner));
  return open.sort((left, right) => left - right);
}
