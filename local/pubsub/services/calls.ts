import {
  type handleUnaryCall,
  type ServerUnaryCall,
  type sendUnaryData,
  status,
} from "@grpc/grpc-js";
import { StatusError, unavailable } from "../errors.ts";
import type { Faults } from "../faults.ts";

export type Cancellable = { on(event: "cancelled", listener: () => void): unknown };

/** Handles one kind of call; throws a StatusError, or another error where there is a bug. */
export type Answer<Request = never> = (
  request: Request,
  call: Cancellable,
) => object | Promise<object>;

/** The calls that faults apply to: those for messages, not those for topics and the like. */
const MESSAGE_CALLS = new Set(["publish", "pull", "acknowledge", "modifyAckDeadline"]);

/** Wraps answers as gRPC handlers that inject the faults of calls. */
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
        const error = unavailable("The call was refused on purpose.");
        if (isUnavailable && isBefore(faults, "unavailable")) throw error;
        const response = await answer(call.request as never, call);
        if (isHung) return;
        if (isUnavailable) throw error;
        done(null, response);
      } catch (error) {
        done(error instanceof StatusError ? error : toInternal(error));
      }
    };
    return [name, handler];
  });
  return Object.fromEntries(handlers);
}

/** Whether the fault happens before the call is done, or only prevents its answer. */
function isBefore(faults: Faults, fault: "hang" | "unavailable"): boolean {
  return faults.amount(fault, 1) < 0.5;
}

/** A bug of this server, or a full disk: logged, and answered INTERNAL. */
function toInternal(error: unknown): StatusError {
  console.error(error);
  return new StatusError(status.INTERNAL, (error as Error).message);
}

/** A page of a list; the token is the offset. */
export function paginate<Item>(
  items: readonly Item[],
  { pageSize, pageToken }: { pageSize?: number; pageToken?: string },
): { page: Item[]; nextPageToken: string } {
  const first = Number(pageToken || 0);
  const end = first + (pageSize || items.length);
  return { page: items.slice(first, end), nextPageToken: end < items.length ? String(end) : "" };
}
