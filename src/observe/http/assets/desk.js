// Pause and kill: a dialog that asks for a reason, the token, and for a kill a second word. The
// token lives in the input alone and is wiped with every answer.

const desk = { verb: null, opener: null };
const TEXTS = {
  pause: { title: "Pause trading", send: "Pause trading",
    what: "No new entries. Exits and stops go on. Trading is armed again over the admin socket.",
    sure: "Hold back new entries now" },
  kill: { title: "Kill trading", send: "Kill trading",
    what: "Trading ends and stays ended over restarts, until an operator clears it.",
    sure: "End trading now" },
};

function openDesk(verb, opener) {
  const texts = TEXTS[verb];
  desk.verb = verb;
  desk.opener = opener;
  put(el("desk-title"), texts.title);
  put(el("desk-what"), texts.what);
  put(el("desk-send"), texts.send);
  put(el("desk-sure-text"), texts.sure);
  el("desk-modes").hidden = verb !== "kill";
  el("desk-form").reset();
  put(el("desk-error"), "");
  el("desk-send").disabled = false;
  el("desk").showModal();
  el("desk-reason").focus();
}

function leaveDesk() {
  el("desk").close();
}

el("desk").addEventListener("close", () => {
  el("desk-form").reset();
  if (desk.opener) desk.opener.focus();
  desk.verb = null;
});
el("desk-leave").addEventListener("click", leaveDesk);
el("pause").addEventListener("click", event => openDesk("pause", event.currentTarget));
el("kill").addEventListener("click", event => openDesk("kill", event.currentTarget));

function refuse(text, at) {
  put(el("desk-error"), text);
  if (at) at.focus();
}

async function command(verb, token, body) {
  const answer = await fetch("/api/v1/" + verb, {
    method: "POST", cache: "no-store", credentials: "omit", redirect: "error",
    headers: { "authorization": "Bearer " + token, "content-type": "application/json",
      "x-peregrine-request": "1" },
    body: JSON.stringify(body), signal: AbortSignal.timeout(8000),
  });
  const told = await answer.json().catch(() => ({}));
  return { status: answer.status, error: told.error || "" };
}

el("desk-form").addEventListener("submit", async event => {
  event.preventDefault();
  const verb = desk.verb, reason = el("desk-reason").value.trim(), token = el("desk-token").value;
  if (!reason) return refuse("A reason is needed: it stands in the journal.", el("desk-reason"));
  if (!token) return refuse("The token is needed.", el("desk-token"));
  if (!el("desk-sure").checked) return refuse("Tick the box to confirm.", el("desk-sure"));
  const body = { reason };
  if (verb === "kill") body.mode = new FormData(event.target).get("mode");
  el("desk-send").disabled = true;
  put(el("desk-error"), "");
  try {
    const { status, error } = await command(verb, token, body);
    if (status === 202) {
      put(el("told"), `${TEXTS[verb].title}: taken at ${clock(Date.now() * 1e6)} UTC, ` +
        `because of “${reason}”. The state above tells when it is in force.`);
      leaveDesk();
    } else {
      refuse(`Refused (${status}): ${error}`, el("desk-token"));
    }
  } catch (problem) {
    refuse(`Not known whether it arrived: ${problem.message}. Look at the state.`, el("desk-send"));
  } finally {
    el("desk-token").value = "";
    el("desk-sure").checked = false;
    el("desk-send").disabled = false;
  }
});
