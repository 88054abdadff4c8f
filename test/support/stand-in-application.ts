export type StandInService = {
  shardBy: string;
  versions: { id: string; share: number; createTime: string }[];
};
export type StandInState = {
  clock: number;
  /** The address of a version of the API that has none of its own below. */
  url: string;
  /** By the commit of the version. */
  urls: Record<string, string>;
  services: Record<string, StandInService>;
};
/** A request that a version answered. */
export type LoggedRequest = { time: number; status: number; isWrite: boolean };

/** The number of log lines of each kind. */
type LogFigures = {
  requests?: number;
  errors?: number;
  slow?: number;
  settled?: number;
  late?: number;
  dead?: number;
  /** Omits the requests that the version really answered. */
  isBlind?: boolean;
};
export type Fault = {
  /** The number of the call that fails, or of the first of all that fail, or a part of its command. */
  at?: number;
  from?: number;
  matching?: string;
  kind:
    | "fail"
    | "fail-after"
    | "ignore"
    | "garbage"
    | "kill-before"
    | "kill-after"
    | "kill-between"
    | "signal";
  signal?: NodeJS.Signals;
};
export type Plan = {
  faults?: Fault[];
  /** A worker pool settles the writes. */
  pool?: { dead?: number };
  always?: LogFigures;
  /** The log lines while a version is at that step. */
  figures?: (LogFigures & { service: "default" | "subscriber"; percent: number })[];
};

/** An App Engine application: its state, what its calls shall do, and every call that was made. */
export type Application = {
  state: StandInState;
  plan: Plan;
  /** The versions that ran before the test; the plan's figures are about the others. */
  good: readonly string[];
  requests: LoggedRequest[];
  calls: string[][];
  /** Called after a change of traffic. */
  onTraffic?: () => void;
};
/** The command fails; gcloud prints the message. */
export class CommandError extends Error {}

/** Fails the command with that message. */
export function fail(reason: string): never {
  throw new CommandError(reason);
}
