/** Who is signed in: `{operator, expiresAt}`. Leaves the page, and throws, when this person may not be here. */
export async function signedIn() {
  const headers = { Accept: "application/json", "X-Requested-With": "XMLHttpRequest" };
  const answer = await fetch("/api/access-sso", { method: "POST", headers });
  if (answer.ok) return answer.json();
  const problem = await answer.json().catch(() => ({}));
  if (answer.status === 401) location.reload(); // Access wants a login, and only a page can be sent to it
  else if (answer.status === 403 && problem.code !== "ORIGIN_REJECTED") location.assign(problem.fallback ?? "/");
  throw new Error(problem.code ?? `status ${answer.status}`);
}
