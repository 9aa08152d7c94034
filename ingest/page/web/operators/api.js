// The operators' API, called with the token of whoever signed in. The token is kept for this tab only, and sent to nobody
// but ingest.

const TOKEN = "api-token";
const NAME = "api-name";
const UNAUTHORIZED = 401;
/** Somebody else changed the configuration since it was read. */
export const CHANGED = 412;

/** @typedef {{parameter: string, message: string}} Fault */
/** @typedef {{data: any, metadata: any, etag: string}} Answer */

/** Why a call failed, in ingest's words; status 0: it did not answer. */
export class Problem extends Error {
  /** @param {number} status @param {string} detail @param {Fault[]} faults */
  constructor(status, detail, faults = []) {
    super(detail);
    this.status = status;
    this.faults = faults;
  }
}

export class Api {
  /** @param {(problem: Problem | null) => void} onChange called when somebody signed in or out; with what ended it, if anything did */
  constructor(onChange) {
    this.onChange = onChange;
    this.signed_in = stored(TOKEN) !== null;
  }

  /** Who the history names, as the operator says. */
  get name() {
    return stored(NAME) ?? "";
  }

  /** Raises Problem. @param {string} token @param {string} name */
  async signIn(token, name) {
    if (!/^[\x21-\x7e]*$/.test(token)) throw new Problem(UNAUTHORIZED, "the token has a character that no token has");
    await request(token, "GET", "/strategies");
    store(TOKEN, token);
    store(NAME, name);
    this.signed_in = true;
    this.onChange(null);
  }

  /** @param {Problem | null} problem */
  signOut(problem = null) {
    sessionStorage.removeItem(TOKEN);
    this.signed_in = false;
    this.onChange(problem);
  }

  /** Raises Problem. @param {string} path @returns {Promise<Answer>} */
  get = (path) => this.#call("GET", path);

  /** Raises Problem. @param {string} path @param {any} body @param {string} etag of what was seen @returns {Promise<Answer>} */
  post = (path, body, etag = "") => this.#call("POST", path, body, etag);

  /** @param {string} method @param {string} path @param {any} [body] @param {string} [etag] */
  async #call(method, path, body, etag) {
    try {
      return await request(stored(TOKEN) ?? "", method, path, body, etag);
    } catch (problem) {
      if (problem instanceof Problem && problem.status === UNAUTHORIZED) this.signOut(problem);
      throw problem;
    }
  }
}

/** @param {string} token @param {string} method @param {string} path @param {any} [body] @param {string} [etag] @returns {Promise<Answer>} */
async function request(token, method, path, body, etag) {
  /** @type {Record<string, string>} */
  const headers = {};
  // In place of Authorization it would take that of a login to a proxy in front.
  if (token) headers["X-Petrosa-Internal-Token"] = token;
  if (body) headers["Content-Type"] = "application/json";
  if (etag) headers["If-Match"] = etag;
  let answer;
  try {
    answer = await fetch(`/api/v1${path}`, { method, headers, body: body && JSON.stringify(body), cache: "no-store" });
  } catch {
    throw new Problem(0, "ingest does not answer");
  }
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Problem(answer.status, told.detail ?? `${answer.status} ${answer.statusText}`, told.errors);
  return { data: told.data, metadata: told.metadata, etag: answer.headers.get("ETag") ?? "" };
}

/** @param {string} name */
function stored(name) {
  return sessionStorage.getItem(name);
}

/** @param {string} name @param {string} value */
function store(name, value) {
  sessionStorage.setItem(name, value);
}
