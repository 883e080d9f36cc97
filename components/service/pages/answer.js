// What the service is asked, and what it answers. The token lives in this tab alone.

const KEY = "streetveil-token";

export function token() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    sessionStorage.setItem(KEY, given);
    history.replaceState(null, "", location.pathname); // it does not stay in the address
  }
  return sessionStorage.getItem(KEY);
}

export function useToken(given) {
  sessionStorage.setItem(KEY, given.trim());
}

export class Problem extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

export async function health() {
  return (await asked("/health")).json();
}

export async function blurred(file, regions) {
  const body = new FormData();
  body.append("picture", file);
  body.append("regions", JSON.stringify(regions));
  const answer = await asked("/blur/?keep=1", { method: "POST", body, headers: { Accept: "multipart/form-data" } });
  const parts = await answer.formData();
  return { image: parts.get("image"), metadata: JSON.parse(await text(parts.get("metadata"))) };
}

export async function reported(image, kind, mark) {
  const body = JSON.stringify({ image, kind, class: mark.class, box: mark.box });
  return (await asked("/reports", { method: "POST", body, headers: { "Content-Type": "application/json" } })).json();
}

async function text(part) {
  return typeof part === "string" ? part : part.text();
}

async function asked(path, how = {}) {
  const held = token();
  const headers = { ...how.headers, ...(held && { Authorization: `Bearer ${held}` }) };
  let answer;
  try {
    answer = await fetch(path, { ...how, headers });
  } catch {
    throw new Problem(0, "the service does not answer; is it running?");
  }
  if (!answer.ok) {
    const told = await answer.json().catch(() => ({ detail: answer.statusText }));
    throw new Problem(answer.status, told.detail);
  }
  return answer;
}
