/**
 * The pages of the issuer: each one a heading, what is wrong where something is, and one form of
 * labelled fields. A page is complete HTML; what is put into it is escaped.
 */

const STYLE = `
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { max-width: 32rem; margin: 4rem auto; padding: 0 1rem; }
label { display: block; font-weight: 600; }
input, textarea { box-sizing: border-box; width: 100%; padding: .5rem; margin: .25rem 0 1rem; font: inherit; }
button { padding: .5rem 1rem; font: inherit; }
`;

/** A page that asks for an e-mail address and, where `scope` is proposed, for the scopes of the token. */
export function showEmailPage(login: string, scope?: string): string {
  const scopes =
    scope === undefined
      ? ""
      : `<label for="scope">Scopes of the token</label>
<input id="scope" name="scope" required maxlength="500" autocomplete="off" value="${escapeHtml(scope)}">
`;
  return showPage(
    "Log in",
    `<p>For development. A one-time code is printed in the terminal of <code>npm start</code>.</p>
<form method="post" action="/email">
<input type="hidden" name="login" value="${escapeHtml(login)}">
<label for="email">E-mail</label>
<input id="email" name="email" type="email" required maxlength="200" autocomplete="username" autofocus>
${scopes}<button>Send code</button>
</form>`,
  );
}

/** A page that asks for the one-time code. */
export function showCodePage(login: string, fault = ""): string {
  const described = fault && ' aria-invalid="true" aria-describedby="fault"';
  return showPage(
    "Enter the code",
    `<p>The code is in the terminal of <code>npm start</code>.</p>
${fault && `<p id="fault" role="alert">${escapeHtml(fault)}</p>`}
<form method="post" action="/code">
<input type="hidden" name="login" value="${escapeHtml(login)}">
<label for="code">One-time code</label>
<input id="code" name="code" required inputmode="numeric" maxlength="20" autocomplete="one-time-code" autofocus${described}>
<button>Log in</button>
</form>`,
  );
}

/** A page with a token to copy, for use with curl and with the console page. */
export function showTokenPage(token: string): string {
  return showPage(
    "Your token",
    `<p>Send it as <code>Authorization: Bearer TOKEN</code>, or paste it as the key of the API's page. It expires in an hour.</p>
<label for="token">Token</label>
<textarea id="token" rows="10" readonly>${escapeHtml(token)}</textarea>
<p><a href="/">Log in as somebody else</a></p>`,
  );
}

/** A page that says why a login cannot go on. */
export function showFault(fault: string): string {
  return showPage(
    "This login cannot go on",
    `<p role="alert">${escapeHtml(fault)}</p>\n<p><a href="/">Log in again</a></p>`,
  );
}

function showPage(title: string, content: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${title} - local issuer</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>${title}</h1>
${content}
</main>
</body>
</html>
`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
