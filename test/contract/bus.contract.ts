/** What every adapter of the bus does (src/coordination/ports.ts says why). */
import { afterEach, describe, expect, test } from "bun:test";
import type { Bus, BusMessage } from "../../src/coordination/ports.ts";
import { until } from "../support/until.ts";
import { type MakeSubject, subjects } from "./coordination-subject.ts";

/** A listener that keeps what it heard. */
function recorder() {
  const heard: BusMessage[] = [];
  return { heard, listener: (message: BusMessage): void => void heard.push(message) };
}

export function busContract(name: string, make: MakeSubject<Bus>): void {
  const { open, closeAll } = subjects(make);

  describe(`Bus port: ${name}`, () => {
    afterEach(closeAll);

    test("a message reaches every subscriber of its channel, in this and in another replica", async () => {
      const { port, peer } = await open();
      const [first, second, third] = [recorder(), recorder(), recorder()];
      await port.subscribe("a", first.listener);
      await port.subscribe("a", second.listener);
      await peer.subscribe("a", third.listener);
      const message = { job_id: "1", nested: { list: [1, "zwei", null, true] } };
      await port.publish("a", message);
      for (const { heard } of [first, second, third]) {
        await until(() => heard.length > 0, { what: "the message" });
        expect(heard).toEqual([message]);
      }
    });

    test("messages of one publisher arrive in order", async () => {
      const { port, peer } = await open();
      const { heard, listener } = recorder();
      await peer.subscribe("a", listener);
      const sent = Array.from({ length: 200 }, (_, seq) => ({ seq }));
      await Promise.all(sent.map((message) => port.publish("a", message)));
      await until(() => heard.length >= sent.length, { what: "all messages" });
      expect(heard).toEqual(sent);
    });

    test("only the channel's own messages arrive", async () => {
      const { port } = await open();
      const { heard, listener } = recorder();
      await port.subscribe("a", listener);
      await port.publish("b", { seq: 1 });
      await port.publish("a*", { seq: 2 });
      await port.publish("a", { seq: 3 });
      await until(() => heard.length > 0, { what: "the message" });
      expect(heard).toEqual([{ seq: 3 }]);
    });

    test("publishing to nobody is no error", async () => {
      const { port } = await open();
      await port.publish("nobody", { seq: 1 });
    });

    test("after unsubscribing nothing arrives any more, and others still hear", async () => {
      const { port } = await open();
      const [gone, stays] = [recorder(), recorder()];
      const unsubscribe = await port.subscribe("a", gone.listener);
      await port.subscribe("a", stays.listener);
      await unsubscribe();
      await unsubscribe();
      await port.publish("a", { seq: 1 });
      await until(() => stays.heard.length > 0, { what: "the message" });
      expect(gone.heard).toEqual([]);
    });

    test("a channel that everybody left can be subscribed to again", async () => {
      const { port } = await open();
      const { heard, listener } = recorder();
      const unsubscribe = await port.subscribe("a", () => {});
      await unsubscribe();
      await port.subscribe("a", listener);
      await port.publish("a", { seq: 1 });
      await until(() => heard.length > 0, { what: "the message" });
    });

    test("one function subscribed twice hears twice", async () => {
      const { port } = await open();
      const { heard, listener } = recorder();
      await port.subscribe("a", listener);
      const unsubscribe = await port.subscribe("a", listener);
      await port.publish("a", { seq: 1 });
      await until(() => heard.length === 2, { what: "both" });
      await unsubscribe();
      await port.publish("a", { seq: 2 });
      await until(() => heard.length === 3, { what: "the one that is left" });
    });

    test("a listener that throws disturbs neither the publisher nor the others", async () => {
      const { port } = await open();
      const { heard, listener } = recorder();
      await port.subscribe("a", () => {
        throw new Error("a listener's own fault");
      });
      await port.subscribe("a", listener);
      await port.publish("a", { seq: 1 });
      await port.publish("a", { seq: 2 });
      await until(() => heard.length === 2, { what: "both messages" });
    });

    test("listeners run after publish has returned, and share no object with it or each other", async () => {
      const { port } = await open();
      const [first, second] = [recorder(), recorder()];
      await port.subscribe("a", first.listener);
      await port.subscribe("a", second.listener);
      const message = { list: [1] };
      const publishing = port.publish("a", message);
      expect(first.heard).toEqual([]);
      message.list.push(2);
      await publishing;
      await until(() => first.heard.length + second.heard.length === 2, { what: "both" });
      expect([...first.heard, ...second.heard]).toEqual([{ list: [1] }, { list: [1] }]);
      expect(first.heard[0]).not.toBe(second.heard[0]);
    });
  });
}
