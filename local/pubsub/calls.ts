import {
  type handleUnaryCall,
  type ServerUnaryCall,
  type sendUnaryData,
  status,
} from "@grpc/grpc-js";
import type { Faults } from "./faults.ts";
import { Refusal, unavailable } from "./refusal.ts";

export type Cancellable = { on(event: "cancelled", listener: () => void): unknown };

/** Answers one kind of call; throws a Refusal, or what is a bug. */
export type Answer<Request = never> = (
  request: Request,
  call: Cancellable,
) => object | Promise<object>;

/** What the faults of calls fall on: messages on their way, not what makes topics and the like. */
const MESSAGE_CALLS = new Set(["publish", "pull", "acknowledge", "modifyAckDeadline"]);

/** Makes gRPC's handlers of answers, and lets the faults of calls happen around them. */
export function handleCalls(
  answers: Record<string, Answer>,
  faults: Faults,
): Record<string, handleUnaryCall<unknown, object>> {
  const handlers = Object.entries(answers).map(([name, answer]) => {
    const handler = async (call: ServerUnaryCall<unknown, object>, done: sendUnaryData<object>) => {
      try {
        const mayFail = MESSAGE_CALLS.has(name);
        const isHung = mayFail && faults.hits("hang");
        if (isHung && isBefore(faults, "hang")) return;
        const isUnavailable = mayFail && faults.hits("unavailable");
        const refusal = unavailable("The call was refused on purpose.");
        if (isUnavailable && isBefore(faults, "unavailable")) throw refusal;
        const response = await answer(call.request as never, call);
        if (isHung) return;
        if (isUnavailable) throw refusal;
        done(null, response);
      } catch (error) {
        done(error instanceof Refusal ? error : toInternal(error));
      }
    };
    return [name, handler];
  });
  return Object.fromEntries(handlers);
}

/** Whether the fault keeps the call from being done, or only its answer from coming. */
function isBefore(faults: Faults, fault: "hang" | "unavailable"): boolean {
  return faults.amount(fault, 1) < 0.5;
}

/** A bug of ours, or a disk that is full; it is told, as there is no one else to tell. */
function toInternal(error: unknown): Refusal {
  console.error(error);
  return new Refusal(status.INTERNAL, (error as Error).message);
}

/** A page of a list; the token is the place in it. */
export function paginate<Item>(
  items: readonly Item[],
  { pageSize, pageToken }: { pageSize?: number; pageToken?: string },
): { page: Item[]; nextPageToken: string } {
  const first = Number(pageToken || 0);
  const end = first + (pageSize || items.length);
  return { page: items.slice(first, end), nextPageToken: end < items.length ? String(end) : "" };
}
