/**
 * The bus in one process. A message is delivered in a later turn and as a copy made by JSON, like one that came through a
 * server: no publisher runs a listener's code, and nobody shares an object by accident.
 */
import type { Bus, BusMessage } from "../ports.ts";

type Listener = (message: BusMessage) => void;

export interface MemoryBusOptions {
  /** A listener threw, which none should; the others still get the message. */
  onListenerError?(error: unknown, channel: string): void;
}

export function makeMemoryBus({ onListenerError }: MemoryBusOptions = {}): Bus {
  // One object per subscription: the same function may subscribe twice.
  const channels = new Map<string, Set<{ readonly listener: Listener }>>();
  let closed = false;

  const deliver = (channel: string, text: string): void => {
    for (const { listener } of [...(channels.get(channel) ?? [])]) {
      try {
        listener(JSON.parse(text) as BusMessage);
      } catch (error) {
        onListenerError?.(error, channel);
      }
    }
  };

  return {
    async publish(channel, message) {
      if (closed || !channels.has(channel)) return;
      const text = JSON.stringify(message);
      setImmediate(deliver, channel, text);
    },
    async subscribe(channel, listener) {
      const subscription = { listener };
      const subscriptions = channels.get(channel) ?? new Set();
      subscriptions.add(subscription);
      if (!closed) channels.set(channel, subscriptions);
      return async () => {
        subscriptions.delete(subscription);
        if (subscriptions.size === 0 && channels.get(channel) === subscriptions) channels.delete(channel);
      };
    },
    async close() {
      closed = true;
      channels.clear();
    },
  };
}
