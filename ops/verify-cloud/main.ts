import { createApi } from "../../deploy/rollout/api.ts";
import { ENVIRONMENTS, findEnvironment } from "../../iac/environments.ts";
import { readSettings } from "../../iac/settings.ts";
import { parseOptions, readInteger, UsageError } from "../command-line.ts";
import { runGcloud } from "../gcloud.ts";
import { type Program, runMain, type Terminal } from "../terminal.ts";
import { CLAIMS, type Claim } from "./claims.ts";
import { Cloud, type Finding, unknown } from "./cloud.ts";

const HELP = `npm run ops -- verify-cloud ENVIRONMENT [options]

Asks a deployed environment everything that the documents call not verified on Google Cloud, prints
held, differs or unknown for each, and a report to paste into an issue. Sends one write, which it
deletes. Requires gcloud, logged in; where the API requires a key, CONSTANCIA_API_KEY has one with the
scopes *:read and *:write (npm run ops -- keys ENVIRONMENT rollout prints one).

  --disturb        also ask what disturbs the service: split its traffic with the version before,
                   restart MySQL with writes under way, and send 10,000 writes, which stay, with an
                   instance of the subscriber ended among them; not in production
  --only ID,ID     ask only these: ${CLAIMS.map(({ id }) => id).join(", ")}
  --url URL        the API's address (default: that of App Engine)
  --pause SECONDS  the pause between two reads of a log or a receipt (default: 15)
  --help           show this text

Exit status: 0 nothing differs, 1 something differs or an error, 2 wrong usage.
`;

if (import.meta.main) await runMain(createVerifyCloud());

/** `npm run ops -- verify-cloud`; `monitoring` is the address of Cloud Monitoring. */
export function createVerifyCloud(monitoring = "https://monitoring.googleapis.com"): Program {
  return { main: (args, terminal) => main(args, terminal, monitoring), help: HELP };
}

async function main(args: string[], terminal: Terminal, monitoring: string): Promise<number> {
  const { values, positionals } = parseOptions({
    args,
    allowPositionals: true,
    options: {
      disturb: { type: "boolean", default: false },
      only: { type: "string" },
      url: { type: "string" },
      pause: { type: "string", default: "15" },
    },
  });
  const [environment, ...others] = positionals;
  const settings = readSettings(findEnvironment(environment));
  if (!environment || others.length > 0)
    throw new UsageError(`Give one environment: ${Object.keys(ENVIRONMENTS).join(" or ")}.`);
  if (values.disturb && environment === "production")
    throw new UsageError("--disturb is not for production.");
  const pauseMs = 1_000 * readInteger("pause", values.pause, { min: 0, max: 600 });
  const claims = chooseClaims(values.only);
  const { projectId } = settings.environment;
  const url = values.url ?? (await readUrl(projectId));
  const key = process.env.CONSTANCIA_API_KEY;
  const api = createApi({ url, key, stop: new AbortController().signal });
  const { disturb: mayDisturb } = values;
  const cloud = new Cloud({ environment, settings, api, mayDisturb, pauseMs, monitoring });
  const findings: [Claim, Finding][] = [];
  for (const claim of claims) {
    const finding = await claim.ask(cloud).catch((error: Error) => unknown(error.message));
    terminal.print(`${finding.verdict.padEnd(8)} ${claim.id}: ${finding.evidence}\n`);
    findings.push([claim, finding]);
  }
  terminal.print(`\n${formatReport(environment, projectId, findings)}`);
  return findings.some(([, { verdict }]) => verdict === "differs") ? 1 : 0;
}

function chooseClaims(only: string | undefined): readonly Claim[] {
  if (only === undefined) return CLAIMS;
  return only.split(",").map((id) => {
    const claim = CLAIMS.find((one) => one.id === id);
    if (!claim) throw new UsageError(`--only has "${id}", which is none of the questions.`);
    return claim;
  });
}

async function readUrl(project: string): Promise<string> {
  const args = ["app", "describe", `--project=${project}`, "--format=value(defaultHostname)"];
  return `https://${(await runGcloud(args)).trim()}`;
}

/** A table in Markdown. */
function formatReport(
  environment: string,
  project: string,
  findings: readonly [Claim, Finding][],
): string {
  const toCell = (text: string) => text.replaceAll("|", "\\|").replaceAll("\n", " ");
  const rows = findings.map(
    ([{ question, said }, { verdict, evidence }]) =>
      `| ${toCell(question)} | ${verdict} | ${toCell(evidence)} | ${said.map(([file]) => file).join(", ")} |`,
  );
  return `### verify-cloud ${environment} (${project}), ${new Date().toISOString()}

| question | verdict | evidence | said in |
|---|---|---|---|
${rows.join("\n")}
`;
}
