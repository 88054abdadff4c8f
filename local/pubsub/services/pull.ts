import { type Consumer, type Delivery, describeDelivery } from "../subscriptions/delivery.ts";
import type { Subscription } from "../subscriptions/subscription.ts";
import type { Cancellable } from "./calls.ts";

/** Production also answers a pull without messages after a while. */
const MAX_WAIT_MS = 20_000;
/** With `return_immediately`: the time in which ready messages are delivered. */
const IMMEDIATE_MS = 20;
/** The most that one pull returns, however many it asks for. */
const MAX_MESSAGES = 1_000;

/** One pull: waits for messages; returns at most as many as asked for, or none. */
export function pullOnce(
  subscription: Subscription,
  request: { maxMessages?: number; returnImmediately?: boolean },
  call: Cancellable,
): Promise<object[]> {
  const max = Math.min(request.maxMessages ?? 0, MAX_MESSAGES);
  const { promise, resolve, reject } = Promise.withResolvers<object[]>();
  let isOver = false;
  let held = 0;
  const consumer: Consumer = {
    leaseMs: (subscription.config.ackDeadlineSeconds ?? 0) * 1_000,
    hasRoom: () => !isOver && held < max,
    hold() {
      held += 1;
    },
    release() {},
    take: (deliveries) => finish(deliveries),
    end(error) {
      finish([]);
      reject(error);
    },
  };
  const finish = (deliveries: Delivery[]) => {
    isOver = true;
    clearTimeout(timer);
    subscription.detach(consumer);
    resolve(deliveries.map(describeDelivery));
  };
  const waitMs = request.returnImmediately ? IMMEDIATE_MS : MAX_WAIT_MS;
  const timer = setTimeout(() => finish([]), waitMs);
  call.on("cancelled", () => finish([]));
  subscription.attach(consumer);
  return promise;
}
