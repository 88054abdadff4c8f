import type { Span } from "@opentelemetry/api";
import type { Collection } from "../common/collection.ts";
import { UNKNOWN_SCHEMA } from "../common/dead-letters.ts";
import { type MessageContent, parseWrite, type Write } from "../common/write.ts";
import { InvalidWriteError, UnknownSchemaError } from "../common/write-errors.ts";

/** Why a message of the dead-letter topic is dead. */
export const DELIVERY_EXHAUSTED =
  "Pub/Sub used up the delivery attempts before the message was settled.";

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

/**
 * What a message holds: its data and its attributes, of which Pub/Sub takes 100 with a kilobyte each. A
 * character of an attribute counts twice, since V8 may need two bytes for it.
 */
export function getMessageBytes({ data, attributes }: Message): number {
  let characters = 0;
  for (const name in attributes) characters += name.length + (attributes[name] as string).length;
  return data.length + 2 * characters;
}

/** A message in a batch, parsed. One without a write has a fault, or is of an unknown schema. */
export type Entry = {
  message: Message;
  write: Write | undefined;
  /** Why it is dead unless it is settled already. */
  fault: string | undefined;
  /** Why only a newer version may know what it is. */
  unknownSchema?: string;
};

/**
 * Parses the write in a message. What is no write becomes a fault. What a newer version wrote is given
 * back, until Pub/Sub gives it up: then it is a fault too, whose reason begins with its code.
 */
export function readMessage(message: Message, collections: readonly Collection[]): Entry {
  const { deliveryExhausted } = message;
  try {
    const write = parseWrite(message, collections);
    // The sweep would publish the same one again: dead, it would never be settled.
    return { message, write, fault: write.kind === "expire" ? undefined : deliveryExhausted };
  } catch (error) {
    if (!(error instanceof InvalidWriteError)) throw error;
    const entry = { message, write: undefined };
    if (!(error instanceof UnknownSchemaError)) return { ...entry, fault: error.message };
    if (deliveryExhausted === undefined)
      return { ...entry, fault: undefined, unknownSchema: error.message };
    return { ...entry, fault: UNKNOWN_SCHEMA + error.message };
  }
}
