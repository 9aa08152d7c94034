// What is chosen stands in the page's address, so that a reload, a bookmark and a link show the same.

/** @param {string} name @returns {string} what the address says; empty: nothing */
export const asked = (name) => new URLSearchParams(location.search).get(name) ?? "";

/** Put a choice into the address. @param {string} name @param {string} value empty takes it out */
export function remember(name, value) {
  const choices = new URLSearchParams(location.search);
  if (value) choices.set(name, value);
  else choices.delete(name);
  const written = choices.toString().replaceAll("%3A", ":");
  history.replaceState(null, "", (written ? `?${written}` : location.pathname) + location.hash);
}
