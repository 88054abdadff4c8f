import {
  askLogDelay,
  askLogFields,
  askMetrics,
  askPerson,
  askRequestLog,
  askSplit,
  askVersions,
  askWorkerPool,
  askWrite,
} from "./asks.ts";
import type { Ask } from "./cloud.ts";
import { askLoad, askRestart, askTraffic } from "./disturbing-asks.ts";

/** A belief about Google Cloud, and the question that turns it into evidence. */
export type Claim = {
  id: string;
  question: string;
  /** Where the documents say that it was not verified: the file, and the sentence in its words. */
  said: readonly (readonly [file: string, sentence: string])[];
  ask: Ask;
};

/**
 * Everything that the documents call not verified on Google Cloud. A test holds that the documents say
 * nothing else, and each of these (test/docs/verify-cloud-docs.test.ts).
 */
export const CLAIMS: readonly Claim[] = [
  {
    id: "deployed",
    question: "Do both services run, and is the API ready?",
    said: [
      ["README.md", "Nothing here has run on Google Cloud yet."],
      ["README.md", "None of this has run on Google Cloud yet"],
      ["docs/deploy.md", "None of this has run on a Google Cloud project yet."],
      ["docs/rollout.md", "None of this has run on Google Cloud."],
      ["docs/scale.md", "Nothing here has run on Google Cloud."],
      ["docs/proof.md", "Nothing here has run on Google Cloud."],
    ],
    ask: askVersions,
  },
  {
    id: "write",
    question:
      "Is a write published, delivered with a token that the subscriber takes, and applied?",
    said: [],
    ask: askWrite,
  },
  {
    id: "log-fields",
    question: "Do the README's filters find the lines of a write and of a request?",
    said: [],
    ask: askLogFields,
  },
  {
    id: "log-delay",
    question: "How long does Cloud Logging take to show a line?",
    said: [["docs/rollout.md", "how long Cloud Logging takes to show a line"]],
    ask: askLogDelay,
  },
  {
    id: "request-log",
    question: "Does the request log have the fields by which a version is judged?",
    said: [["docs/rollout.md", "the exact format of the request log's entries"]],
    ask: askRequestLog,
  },
  {
    id: "split-by",
    question: "Does a service with one version keep --split-by=ip?",
    said: [
      ["docs/rollout.md", "that App Engine keeps `--split-by=ip` for a service with one version"],
    ],
    ask: askSplit,
  },
  {
    id: "metrics",
    question: "Are there metrics under the names that the alerts ask for?",
    said: [],
    ask: askMetrics,
  },
  {
    id: "traffic",
    question: "Do both versions answer soon after the traffic is split?",
    said: [["docs/rollout.md", "how long a change of traffic takes to reach all of App Engine"]],
    ask: askTraffic,
  },
  {
    id: "restart",
    question: "Is every write applied that is accepted during a restart of MySQL?",
    said: [],
    ask: askRestart,
  },
  {
    id: "load",
    question: "Does the audit find all of 10,000 writes with an instance ended among them?",
    said: [],
    ask: askLoad,
  },
  {
    id: "worker-pool",
    question: "Does a worker pool settle, and log as the rollout and the alerts read it?",
    said: [["docs/deploy.md", "No pool has run yet."]],
    ask: askWorkerPool,
  },
  {
    id: "restore",
    question: "Is everything settled again after a point-in-time recovery of MySQL?",
    said: [["docs/operations.md", "The drill has not been run on Google Cloud."]],
    ask: askPerson(
      "go through the drill of docs/operations.md, and its audit finds nothing missing",
    ),
  },
  {
    id: "cloud-armor",
    question: "Does Cloud Armor limit the whole fleet?",
    said: [["docs/deploy.md", "Nothing of this has been run."]],
    ask: askPerson("follow docs/deploy.md, and send more than the limit in a minute"),
  },
  {
    id: "identity-platform",
    question: "Does the API take a token of Google's Identity Platform?",
    said: [
      [
        "docs/identity.md",
        "Nothing of this has been run against Google's Identity Platform, nor on App Engine.",
      ],
    ],
    ask: askPerson("log in, send one write with the token, and look for 202"),
  },
  {
    id: "compile-cache",
    question: "Is the bundle at the same path at build and at run?",
    said: [
      [
        "docs/decisions/2026-11-21-bundle.md",
        "on App Engine both should be `/workspace`, which we have not verified there yet.",
      ],
    ],
    ask: askPerson(
      "compare the start of an instance in the request log with and without the cache",
    ),
  },
];
