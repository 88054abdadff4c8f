/** One source of packages: a `deb` line. */
export type AptSource = {
  uri: string;
  suite: string;
  components: string[];
  signedBy?: string;
};

/**
 * Reads a sources file of apt, in the one-line form (`*.list`) or in the form of paragraphs
 * (`*.sources`), and returns the sources of binary packages.
 */
export function parseAptSources(text: string, form: "list" | "sources"): AptSource[] {
  const sources = form === "list" ? parseLines(text) : parseParagraphs(text);
  return sources.filter(({ uri }) => !uri.startsWith("cdrom:"));
}

/** The `deb` line that apt reads, for one architecture only. */
export function formatAptSource(source: AptSource & { architecture: string }): string {
  const { uri, suite, components, signedBy, architecture } = source;
  const key = signedBy === undefined ? "" : ` signed-by=${signedBy}`;
  return `deb [arch=${architecture}${key}] ${uri} ${suite} ${components.join(" ")}\n`;
}

function parseLines(text: string): AptSource[] {
  return text.split("\n").flatMap((line) => {
    const match = /^deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+([^#]+)/.exec(line.trim());
    if (!match) return [];
    const [, options = "", uri = "", suite = "", components = ""] = match;
    const signedBy = /(?:^|\s)signed-by=(\S+)/i.exec(options)?.[1];
    return [{ uri, suite, components: splitWords(components), signedBy: keyFile(signedBy) }];
  });
}

function parseParagraphs(text: string): AptSource[] {
  const uncommented = text.replaceAll(/^#.*\n?/gm, "");
  return uncommented.split(/\n[ \t]*\n/).flatMap((paragraph) => {
    const fields = parseFields(paragraph);
    const types = splitWords(fields.get("types") ?? "");
    if (!types.includes("deb") || fields.get("enabled")?.toLowerCase() === "no") return [];
    const components = splitWords(fields.get("components") ?? "");
    const signedBy = keyFile(fields.get("signed-by"));
    return splitWords(fields.get("uris") ?? "").flatMap((uri) =>
      splitWords(fields.get("suites") ?? "").map((suite) => ({ uri, suite, components, signedBy })),
    );
  });
}

function parseFields(paragraph: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const [, name = "", value = ""] of paragraph.matchAll(
    /^([\w-]+):((?:.*)(?:\n[ \t].*)*)/gm,
  )) {
    fields.set(name.toLowerCase(), value.trim());
  }
  return fields;
}

/** A key may also be in the sources file itself; then the distribution's own key files are used. */
function keyFile(signedBy: string | undefined): string | undefined {
  return signedBy?.startsWith("/") && !signedBy.includes("\n") ? signedBy : undefined;
}

function splitWords(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== "");
}
