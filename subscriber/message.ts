import type { Span } from "@opentelemetry/api";
import type { Collection } from "../common/collection.ts";
import { InvalidWriteError, type MessageContent, parseWrite, type Write } from "../common/write.ts";

/** Why a message of the dead-letter topic is dead. */
export const DELIVERY_EXHAUSTED =
  "Pub/Sub delivered the message as often as it may, and it was never settled.";

/** A message to settle. */
export type Message = MessageContent & {
  messageId: string;
  /** Why it is dead unless it is settled: set where it comes from the dead-letter topic. */
  deliveryExhausted?: string;
  /** When it was received, in milliseconds since 1970. */
  receivedMs?: number;
  /** Its process span, if it is sampled. */
  span?: Span;
};

/** A message in a batch, parsed. One without a write has a fault. */
export type Entry = {
  message: Message;
  write: Write | undefined;
  /** Why it is dead unless it is settled already. */
  fault: string | undefined;
};

/** Parses the write in a message. What is not a write of a known collection becomes a fault. */
export function readMessage(message: Message, collections: readonly Collection[]): Entry {
  try {
    return { message, write: parseWrite(message, collections), fault: message.deliveryExhausted };
  } catch (error) {
    if (!(error instanceof InvalidWriteError)) throw error;
    return { message, write: undefined, fault: error.message };
  }
}
