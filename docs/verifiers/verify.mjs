// Verifies an internal identity with Node 18 or newer and nothing else; see docs/internal-identity.md.
import { createHash, createPublicKey, verify as isSigned } from "node:crypto";

const ISSUER = "auth_proxy", AUDIENCE = "frontend", SKEW = 5, LIFETIME = 30, MOST_BYTES = 4096;
const SAFE = new Set(["GET", "HEAD", "OPTIONS"]);
const ROLES = new Set([undefined, "super_admin", "support", "read_only", "security"]);
const REQUIRED = ["iss", "aud", "sub", "email", "name", "jti", "iat", "exp"];
const NUMBERS = ["iat", "exp", "rv"];
const KNOWN = new Set([...REQUIRED, "opid", "role", "rv", "scope", "htm", "htp", "azp"]);
const STRING = /"(?:[^"\\]|\\.)*"(\s*:)?/g;

export const readKeys = (jwks) => new Map(jwks.keys
  .filter((jwk) => jwk.kty === "OKP" && jwk.crv === "Ed25519" && jwk.kid)
  .map((jwk) => [jwk.kid, createPublicKey({ key: jwk, format: "jwk" })]));

function require(holds, reason) {
  if (!holds) throw Object.assign(new Error(`identity refused: ${reason}`), { reason });
}

// JSON.parse keeps the last of two members with one name and rounds numbers; what is left without the strings
// shows a flat object of whole numbers, and the strings before a colon are its names.
function members(data, reason) {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
    const value = JSON.parse(text);
    const names = [...text.matchAll(STRING)].filter((match) => match[1]);
    if (/^\s*\{[\d,\s]*\}\s*$/.test(text.replace(STRING, "")) && names.length === Object.keys(value).length) return value;
  } catch { /* refused below */ }
  return require(false, reason);
}

// `target` is the path and query as received, `keys` comes from readKeys, `seen` is a Map that remembers used tokens,
// `now` is in seconds. For a delegation, `delegate` is the service that may send it.
export function verify(token, method, target, { keys, seen, now, delegate }) {
  const parts = token.split(".");
  require(token.length <= MOST_BYTES && parts.length === 3, "malformed");
  const [header, payload, signature] = parts.map((part) => Buffer.from(part, "base64url"));
  require([header, payload, signature].every((data, i) => data.toString("base64url") === parts[i]), "malformed");
  const { alg, typ, kid, ...more } = members(header, "malformed");
  require(alg === "EdDSA" && typ === "sally+jwt" && typeof kid === "string" && !Object.keys(more).length, "malformed");
  require(keys.has(kid), "key_unknown");
  require(isSigned(null, Buffer.from(`${parts[0]}.${parts[1]}`), keys.get(kid), signature), "signature");
  const claims = members(payload, "claims");
  const whole = (name) => Number.isSafeInteger(claims[name]);
  require(REQUIRED.every((name) => Object.hasOwn(claims, name)), "claims");
  require(Object.keys(claims).every((name) => KNOWN.has(name)
    && (NUMBERS.includes(name) ? whole(name) : typeof claims[name] === "string")), "claims");
  require(claims.sub && claims.jti.length >= 16 && ROLES.has(claims.role), "claims");
  require(claims.iss === ISSUER, "issuer");
  require(claims.aud === AUDIENCE, "audience");
  require(("opid" in claims) === ("role" in claims) && !("opid" in claims && "scope" in claims), "claims");
  require(claims.exp > claims.iat && claims.exp - claims.iat <= LIFETIME, "lifetime");
  require(now < claims.exp + SKEW, "expired");
  require(claims.iat <= now + SKEW, "not_yet_valid");
  require(claims.azp === delegate, "delegation");
  if (SAFE.has(method) && (delegate !== undefined || !("htm" in claims || "htp" in claims))) return claims; // reusable
  const digest = createHash("sha256").update(target).digest("base64url");
  if (delegate === undefined) require(claims.htm === method && claims.htp === digest, "binding");
  else require("htm" in claims && !SAFE.has(claims.htm), "binding");
  for (const [jti, until] of seen) if (until < now) seen.delete(jti);
  require(!seen.has(claims.jti), "replayed");
  seen.set(claims.jti, claims.exp + SKEW);
  return claims;
}
