/**
 * The bus over pub/sub: a channel is subscribed to once per process, whoever many listen here.
 *
 * The subscriber is a connection of its own and never queues. While it is down a subscription is only noted; when it is
 * back every channel is subscribed to again. What was published meanwhile is lost, as the port allows. A subscriber whose
 * other end is frozen or gone receives nothing and would not notice: it is asked regularly and dropped when it is silent.
 */
import type { Bus, BusMessage } from "../ports.ts";
import { close, drop, type RedisClient } from "./connect.ts";
import type { Link } from "./link.ts";

export interface RedisBusOptions {
  readonly link: Link;
  readonly subscriber: RedisClient;
  readonly prefix: string;
  /** A listener threw, which none should; the others still get the message. */
  onListenerError?(error: unknown, channel: string): void;
}

const ASK_EVERY_MS = 2_000;
/** On a cluster each PUBLISH would go to a node of chance, and they would overtake one another; a key chooses one. */
const PUBLISH = "return redis.call('publish', KEYS[1], ARGV[1])";

interface Channel {
  readonly listeners: Set<{ readonly listener: (message: BusMessage) => void }>;
  /** The newest of what was asked of Redis for this channel: commands of one connection keep their order. */
  asked: Promise<unknown>;
}

export function makeRedisBus({ link, subscriber, prefix, onListenerError }: RedisBusOptions): Bus {
  const channels = new Map<string, Channel>();
  let closed = false;

  const deliver = (key: string, text: string): void => {
    const name = key.slice(prefix.length);
    for (const { listener } of [...(channels.get(name)?.listeners ?? [])]) {
      try {
        listener(JSON.parse(text) as BusMessage);
      } catch (error) {
        onListenerError?.(error, name);
      }
    }
  };
  subscriber.on("message", deliver);
  const askFor = (name: string): Promise<unknown> => subscriber.subscribe(prefix + name).catch(() => null);
  subscriber.on("ready", () => {
    for (const [name, channel] of channels) channel.asked = askFor(name);
  });
  const watch = setInterval(() => {
    if (subscriber.status === "ready") subscriber.ping().catch(() => drop(subscriber));
  }, ASK_EVERY_MS);
  watch.unref?.();

  return {
    async publish(channel, message) {
      const text = JSON.stringify(message);
      if (closed) return;
      const key = prefix + channel;
      await link.run((client) => (client.isCluster ? client.eval(PUBLISH, 1, key, text) : client.publish(key, text)));
    },
    async subscribe(name, listener) {
      const subscription = { listener };
      const known = channels.get(name);
      const channel = known ?? { listeners: new Set(), asked: closed ? Promise.resolve() : askFor(name) };
      channel.listeners.add(subscription);
      channels.set(name, channel);
      await channel.asked;
      return async () => {
        channel.listeners.delete(subscription);
        if (channel.listeners.size > 0 || channels.get(name) !== channel) return;
        channels.delete(name);
        if (!closed) await subscriber.unsubscribe(prefix + name).catch(() => null);
      };
    },
    async close() {
      closed = true;
      clearInterval(watch);
      channels.clear();
      close(subscriber);
    },
  };
}
