/** How the courier claims, sends and records. */
import { fromCallback, fromPromise } from "xstate";
import { type Bus, channels } from "../../src/coordination/ports.ts";
import type { Sql } from "../../src/database/sql.ts";
import type { Logger } from "../../src/telemetry/logger.ts";
import type { Metrics } from "../../src/telemetry/metrics.ts";
import type { Tracer } from "../../src/telemetry/tracer.ts";
import { type ClaimedDelivery, claimDeliveries, nextDeliveryMs, recordTry } from "../../src/webhooks/deliveries.ts";
import { makeHosts, PER_HOST_MAX } from "../../src/webhooks/hosts.ts";
import { judge, type Message, type Sent } from "../../src/webhooks/send.ts";
import { type ClaimResult, courierMachine } from "./courier.machine.ts";

export interface CourierPorts {
  readonly sql: Sql;
  readonly bus: Bus;
  readonly logger: Logger;
  readonly metrics: Pick<Metrics, "webhookTried">;
  readonly tracer: Pick<Tracer, "webhookSent" | "webhookTraceparent">;
  /** Sends one; never rejects. */
  send(delivery: Message): Promise<Sent>;
  /** Longer than a try can take. */
  readonly leaseMs?: number;
  /** When nobody says anything, it looks so often. */
  readonly pollMs?: number;
  /** Of the backoff between tries. */
  readonly baseMs?: number;
  /** How long a host that does not answer is left alone at first. */
  readonly pauseMs?: number;
}

const LEASE_MS = 30_000;
const POLL_MS = 5_000;
/** No look follows another sooner than this by the clock alone. */
const DELAY_MS_MIN = 20;

export function makeCourierLogic(ports: CourierPorts) {
  const { sql, bus, logger, metrics, tracer, leaseMs = LEASE_MS, pollMs = POLL_MS } = ports;
  const hosts = makeHosts(undefined, ports.pauseMs);

  async function untilNextMs(): Promise<number> {
    const dueMs = await nextDeliveryMs(sql);
    if (dueMs === null) return pollMs;
    if (dueMs > 0) return Math.min(pollMs, dueMs + DELAY_MS_MIN);
    // Due and not claimed: its host is busy, which the end of a delivery tells, or left alone until a known moment.
    const openAtMs = hosts.nextOpenAtMs();
    const pauseMs = openAtMs === null ? pollMs : openAtMs - performance.now();
    return Math.min(pollMs, Math.max(DELAY_MS_MIN, pauseMs));
  }

  async function claim(free: number): Promise<ClaimResult> {
    const request = { limit: free, room: hosts.room(), perHost: PER_HOST_MAX, leaseMs };
    const claimed = free <= 0 ? [] : await claimDeliveries(sql, request);
    for (const { host } of claimed) hosts.begin(host);
    return { claimed, delayMs: await untilNextMs() };
  }

  async function deliver(delivery: ClaimedDelivery): Promise<void> {
    const startedAtMs = Date.now();
    const sent = await ports.send({ ...delivery, traceparent: tracer.webhookTraceparent(delivery) });
    hosts.end(delivery.host, sent.made.status !== null);
    const outcome = judge(sent, delivery.attempt, Math.random(), ports.baseMs);
    const recorded = await recordTry(sql, delivery, outcome, sent.made);
    const told = recorded === "pending" || recorded === null ? "retried" : recorded;
    metrics.webhookTried(told);
    const { made } = sent;
    tracer.webhookSent({ webhook: delivery, startedAtMs, status: made.status, outcome: told });
    logger.debug(
      { jobId: delivery.jobId, delivery: delivery.id, event: delivery.event, ...made, body: undefined },
      "a webhook was sent",
    );
  }

  return courierMachine.provide({
    actors: {
      claim: fromPromise<ClaimResult, { free: number }>(async ({ input }) => {
        try {
          return await claim(input.free);
        } catch (error) {
          logger.warn({ err: error }, "webhooks could not be claimed; the courier tries again");
          throw error;
        }
      }),
      delivery: fromPromise<void, ClaimedDelivery>(async ({ input }) => {
        await deliver(input).catch((error: unknown) => {
          logger.warn({ err: error, delivery: input.id }, "a webhook's try could not be recorded; it is sent again");
        });
      }),
      listen: fromCallback(({ sendBack }) => {
        const subscription = bus.subscribe(channels.webhooks, () => sendBack({ type: "look" }));
        subscription.catch((error: unknown) =>
          logger.warn({ err: error }, "the courier could not subscribe to the bus"),
        );
        return () => void subscription.then((unsubscribe) => unsubscribe()).catch(() => {});
      }),
    },
  });
}

export type CourierLogic = ReturnType<typeof makeCourierLogic>;
