import assert from "node:assert/strict";
import { test } from "node:test";
import { formatAptSource, parseAptSources } from "./apt-sources.ts";

test("the one-line form: options, comments, sources of code and CDs", () => {
  const text = `
# deb http://commented.example/debian stable main
deb http://mirror.example/debian bookworm main contrib # a comment
deb [arch=amd64 signed-by=/usr/share/keyrings/key.gpg] http://mirror.example/security bookworm-security main
deb-src http://mirror.example/debian bookworm main
deb cdrom:[Debian]/ bookworm main
`;
  assert.deepEqual(parseAptSources(text, "list"), [
    {
      uri: "http://mirror.example/debian",
      suite: "bookworm",
      components: ["main", "contrib"],
      signedBy: undefined,
    },
    {
      uri: "http://mirror.example/security",
      suite: "bookworm-security",
      components: ["main"],
      signedBy: "/usr/share/keyrings/key.gpg",
    },
  ]);
});

test("the form of paragraphs: every suite of every address, comments inside, disabled ones out", () => {
  const text = `Types: deb deb-src
# http://snapshot.example/archive
URIs: http://mirror.example/ubuntu/
Suites: noble noble-updates
Components: main universe
Signed-By: /usr/share/keyrings/key.gpg

Types: deb
URIs: http://off.example/
Suites: noble
Components: main
Enabled: no

Types: deb-src
URIs: http://code.example/
Suites: noble
Components: main
`;
  const signedBy = "/usr/share/keyrings/key.gpg";
  const source = {
    uri: "http://mirror.example/ubuntu/",
    components: ["main", "universe"],
    signedBy,
  };
  assert.deepEqual(parseAptSources(text, "sources"), [
    { ...source, suite: "noble" },
    { ...source, suite: "noble-updates" },
  ]);
});

test("a key in the sources file itself is ignored in favour of the distribution's key files", () => {
  const text = `Types: deb
URIs: http://mirror.example/debian
Suites: trixie
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mDMEY865UxYJ
 -----END PGP PUBLIC KEY BLOCK-----
`;
  const [source] = parseAptSources(text, "sources");
  assert.equal(source?.signedBy, undefined);
  assert.equal(source?.suite, "trixie");
});

test("a source is written as the line that apt reads", () => {
  const source = { uri: "http://mirror.example/debian", suite: "sid", components: ["main"] };
  const line = formatAptSource({ ...source, signedBy: "/key.gpg", architecture: "arm64" });
  assert.equal(line, "deb [arch=arm64 signed-by=/key.gpg] http://mirror.example/debian sid main\n");
});
