// Keeps every answer in the browser's own storage until the server has said that it is on the disk.
//
// An answer has a `path` and a `revision` that grows with every change. of.prefix: what keys of the storage begin with.
// of.address: where answers go. of.same, of.joined: whether two answers say the same, and what becomes of two of one
// revision. told.status, told.joined: called with what is to be shown.

const RETRY_MS = 1500;

export function makeKeeper(of, answers, told) {
  const { prefix, address, same, joined } = of;
  const waiting = new Map(); // path → the newest answer that the server has not acknowledged
  let sending = false, unstored = false;

  function store(answer) {
    try {
      localStorage.setItem(prefix + answer.path, JSON.stringify(answer));
      unstored = false;
    } catch {
      unstored = true; // full or forbidden: it still goes to the server, and the page says so
    }
  }

  function tell(state, text) {
    told.status(state, unstored ? `${text} · this browser keeps nothing` : text);
  }

  function keep(answer) {
    answers[answer.path] = answer;
    waiting.set(answer.path, answer);
    store(answer);
    tell("waiting", "saving …"); // "saved" stands there only when nothing waits
    send();
  }

  // What an earlier page could not deliver.
  function recover() {
    for (const key of Object.keys(localStorage).filter((key) => key.startsWith(prefix))) {
      const left = JSON.parse(localStorage.getItem(key)), stands = answers[left.path];
      if (stands && stands.revision >= left.revision) {
        if (same(stands, left)) localStorage.removeItem(key);
        else keep(joined(left, stands));
      } else keep(left);
    }
  }

  async function send() {
    if (sending) return;
    sending = true;
    while (waiting.size) {
      const [path, answer] = waiting.entries().next().value;
      try {
        if (!(await delivered(path, answer))) break;
      } catch {
        tell("waiting", `server gone · ${counted(waiting.size)} kept in this browser`);
        await new Promise((resume) => setTimeout(resume, RETRY_MS));
      }
    }
    sending = false;
    if (!waiting.size) tell("", "saved");
  }

  async function delivered(path, answer) {
    const reply = await fetch(address, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(answer),
    });
    if (reply.ok) {
      if (waiting.get(path) === answer) {
        waiting.delete(path);
        localStorage.removeItem(prefix + path);
      }
      return true;
    }
    if (reply.status === 409) {
      keep(joined(answers[path], await reply.json()));
      told.joined(path);
      return true;
    }
    if (reply.status >= 500) {
      tell("refused", `not saved: ${await reply.text()}`);
      await new Promise((resume) => setTimeout(resume, RETRY_MS));
      return true; // full disks are emptied: try again
    }
    tell("refused", reply.status === 403
      ? `not saved, kept here: open the new address that the server has printed`
      : `not saved: ${await reply.text()}`);
    setTimeout(send, 2 * RETRY_MS); // the new address, opened in another window, lets this one in as well
    return false;
  }

  recover();
  if (!waiting.size) tell("", "saved");
  return { keep };
}

const counted = (n) => (n === 1 ? "1 picture" : `${n} pictures`);
