// The API: JSON calls, and the event stream. The token is kept in this tab only.
const TOKEN = "ofox-console-token";

export class Refused extends Error {
  constructor(status, error) {
    super(error?.message ?? `The console answered ${status}.`);
    this.status = status;
    this.error = error ?? {};
  }
}

export const setToken = (token) => sessionStorage.setItem(TOKEN, token);

function headers(more = {}) {
  const token = sessionStorage.getItem(TOKEN);
  return token ? { authorization: `Bearer ${token}`, ...more } : more;
}

export async function call(path, body) {
  const options = body === undefined
    ? { headers: headers() }
    : { method: "POST", headers: headers({ "content-type": "application/json" }), body: JSON.stringify(body) };
  const answer = await fetch(path, { ...options, cache: "no-store" });
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, told.error);
  return told;
}

// fetch and not EventSource, which cannot send the token. Resolves when the server ends the stream, as it does often.
async function stream(path, heard) {
  const answer = await fetch(path, { headers: headers(), cache: "no-store" });
  if (!answer.ok) throw new Refused(answer.status);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const kind = /^event: (.*)$/m.exec(part)?.[1];
      const data = /^data: (.*)$/m.exec(part)?.[1];
      if (kind && data) heard(kind, JSON.parse(data));
    }
  }
}

const wait = (ms) => new Promise((done) => setTimeout(done, ms));

// Keeps listening for ever. `after` gives the number of the last event that was heard.
export async function listen(after, { heard, up, down }) {
  for (let failures = 0; ; ) {
    try {
      await stream(`api/events?after=${after()}`, (kind, data) => {
        failures = 0;
        up();
        heard(kind, data);
      });
    } catch (error) {
      failures += 1;
      if (!down(error)) return;
      await wait(Math.min(8000, 500 * 2 ** failures));
    }
  }
}
