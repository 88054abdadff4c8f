import { parseArgs } from "node:util";
import { audit } from "./audit.ts";
import { FOLDERS, INSTALL_SCRIPTS, judgeLicences, judgeScripts, readLocked } from "./lockfiles.ts";

const HELP = `npm run audit:packages -- [options]

What stands in the three lockfiles: the licences, held to a list of those allowed; the packages
with install scripts, held to a list of those known; and what npm's registry knows against them.

  --packages   name each package beside its licence
  --help       this text

Exit status 1 where one is not as it should be; 3 where all is, but the registry's audit endpoint
cannot be reached, so that nothing is known of advisories.
`;

const UNKNOWN = 3;
const { values } = parseArgs({
  options: {
    packages: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
if (values.help) console.log(HELP);
else process.exitCode = await main(values.packages);

async function main(showsPackages: boolean): Promise<number> {
  const faults: string[] = [];
  let isUnknown = false;
  for (const folder of FOLDERS) {
    const packages = readLocked(folder);
    console.log(`${folder}/package-lock.json: ${packages.length} packages`);
    const byLicence = Map.groupBy(packages, ({ licence }) => licence);
    for (const [licence, own] of [...byLicence].sort(([, a], [, b]) => b.length - a.length)) {
      console.log(`  ${licence}: ${own.length}`);
      if (!showsPackages) continue;
      for (const { name, version } of own) console.log(`    ${name}@${version}`);
    }
    for (const [name, { runs, why }] of Object.entries(INSTALL_SCRIPTS[folder]))
      console.log(`  the install script of ${name} ${runs ? "runs" : "does not run"}: it ${why}`);
    faults.push(...judgeLicences(packages), ...judgeScripts(folder, packages));
    const known = await audit(folder);
    if ("unreachable" in known) {
      isUnknown = true;
      console.log(`  NOT AUDITED: the audit endpoint cannot be reached: ${known.unreachable}`);
    } else {
      console.log(`  advisories: ${known.advisories.length}`);
      faults.push(...known.advisories);
    }
  }
  for (const fault of faults) console.error(`dependencies: ${fault}`);
  if (faults.length > 0) return 1;
  return isUnknown ? UNKNOWN : 0;
}
