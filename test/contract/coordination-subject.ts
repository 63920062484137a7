/** What the contract suites of the coordination ports are given. */
export interface CoordinationSubject<Port> {
  readonly port: Port;
  /** Another replica's handle on the same state; in one process the very same object. */
  readonly peer: Port;
}

/** Makes an empty state of its own at each call. The suite closes both handles, perhaps twice. */
export type MakeSubject<Port> = () => Promise<CoordinationSubject<Port>>;

interface Closable {
  close(): Promise<void>;
}

/** Opens subjects and closes them after each test. */
export function subjects<Port extends Closable>(make: MakeSubject<Port>) {
  const opened: CoordinationSubject<Port>[] = [];
  return {
    async open(): Promise<CoordinationSubject<Port>> {
      const subject = await make();
      opened.push(subject);
      return subject;
    },
    async closeAll(): Promise<void> {
      for (const { port, peer } of opened.splice(0)) await Promise.all([port.close(), peer.close()]);
    },
  };
}

/** Longer than any test takes, for what must not expire meanwhile. */
export const LONG_MS = 60_000;
