import { parseJson } from "./json.ts";

/** Tests use a stand-in's address instead. */
const SECRET_MANAGER = "https://secretmanager.googleapis.com";
/** For each attempt. A process that cannot read its secret does not start. */
const TIMEOUT_MS = 3_000;

/**
 * Reads a secret version (`projects/…/secrets/…/versions/…`) as text, without the line end that
 * `echo` adds, using the application default credentials. An error names the status and never
 * quotes the response.
 */
export async function accessSecret(
  version: string,
  secretManager = SECRET_MANAGER,
): Promise<string> {
  // Imported here because only processes on Google Cloud have secrets to read.
  const { GoogleAuth } = await import("google-auth-library");
  const auth = new GoogleAuth({ scopes: "https://www.googleapis.com/auth/cloud-platform" });
  const { payload } = await auth
    .request<string>({
      url: `${secretManager}/v1/${version}:access`,
      responseType: "text",
      timeout: TIMEOUT_MS,
      retry: true,
    })
    .then(({ data }) => parseJson(data) as { payload: { data: string } })
    .catch((error: { status?: number; code?: string }) => {
      // Its own message may quote the request, or the response.
      throw new Error(`Secret Manager answered ${error.status ?? error.code ?? "nothing usable"}`);
    });
  return Buffer.from(payload.data, "base64")
    .toString("utf8")
    .replace(/\r?\n$/, "");
}
