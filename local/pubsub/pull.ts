import type { Cancellable } from "./calls.ts";
import { type Consumer, type Delivery, describeDelivery } from "./delivery.ts";
import type { Subscription } from "./subscription.ts";

/** Production, too, answers a pull without messages after a while. */
const MOST_WAIT_MS = 20_000;
/** With `return_immediately`: the time that what is ready needs to be delivered. */
const IMMEDIATE_MS = 20;
/** More are not brought at once, however many are asked for. */
const MOST_MESSAGES = 1_000;

/** One pull: the first messages that there are, at most as many as asked for, or none. */
export function pullOnce(
  subscription: Subscription,
  request: { maxMessages?: number; returnImmediately?: boolean },
  call: Cancellable,
): Promise<object[]> {
  const most = Math.min(request.maxMessages ?? 0, MOST_MESSAGES);
  const { promise, resolve, reject } = Promise.withResolvers<object[]>();
  let isOver = false;
  let held = 0;
  const consumer: Consumer = {
    leaseMs: (subscription.config.ackDeadlineSeconds ?? 0) * 1_000,
    hasRoom: () => !isOver && held < most,
    hold() {
      held += 1;
    },
    release() {},
    take: (deliveries) => finish(deliveries),
    end(refusal) {
      finish([]);
      reject(refusal);
    },
  };
  const finish = (deliveries: Delivery[]) => {
    isOver = true;
    clearTimeout(timer);
    subscription.detach(consumer);
    resolve(deliveries.map(describeDelivery));
  };
  const waitMs = request.returnImmediately ? IMMEDIATE_MS : MOST_WAIT_MS;
  const timer = setTimeout(() => finish([]), waitMs);
  call.on("cancelled", () => finish([]));
  subscription.attach(consumer);
  return promise;
}
