/** Google's own address; tests give that of a stand-in. */
const SECRET_MANAGER = "https://secretmanager.googleapis.com";
/** For each try; a process whose secret cannot be had does not start, and is started again. */
const TIMEOUT_MS = 3_000;

/**
 * The text that a secret's version (`projects/…/secrets/…/versions/…`) holds, less the line end
 * that `echo` leaves. Who asks is who the process runs as: on Google Cloud its service account,
 * else the application default credentials. The error says the status, never the answer.
 */
export async function accessSecret(
  version: string,
  secretManager = SECRET_MANAGER,
): Promise<string> {
  // Loaded here because only a process on Google Cloud has a secret to read.
  const { GoogleAuth } = await import("google-auth-library");
  const auth = new GoogleAuth({ scopes: "https://www.googleapis.com/auth/cloud-platform" });
  const answer = await auth
    .request<{ payload: { data: string } }>({
      url: `${secretManager}/v1/${version}:access`,
      timeout: TIMEOUT_MS,
      retry: true,
    })
    .catch((error: { status?: number; code?: string }) => {
      // Its own message may quote what was sent.
      throw new Error(`Secret Manager answered ${error.status ?? error.code ?? "nothing"}`);
    });
  return Buffer.from(answer.data.payload.data, "base64")
    .toString("utf8")
    .replace(/\r?\n$/, "");
}
