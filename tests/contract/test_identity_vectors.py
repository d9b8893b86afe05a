"""The published vectors, and every verifier that the documentation offers, judged by each other."""

import asyncio
import importlib.util
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import jwt
import pytest

from docs import identity_vectors
from service_kit.identity.keys import parse_public_jwks
from service_kit.identity.replay import MemoryReplayGuard
from service_kit.identity.verifying import (
    IdentityReason,
    IdentityRejectedError,
    IdentityVerifier,
    VerifierPolicy,
)
from tests.fakes.clock import FrozenClock
from tests.fixtures.identities import StaticKeys

DOCS = Path(__file__).resolve().parents[2] / "docs"
VECTORS = DOCS / "identity-vectors.json"
FILE: dict[str, Any] = json.loads(VECTORS.read_text(encoding="utf-8"))
CASES: list[dict[str, Any]] = FILE["cases"]
POLICY = FILE["policy"]
Case = Mapping[str, Any]
Verdicts = list[list[str]]

RUN_MJS = """
import { readFileSync } from "node:fs";
const [verifier, vectors] = process.argv.slice(-2);
const { readKeys, verify } = await import(verifier);
const { jwks, policy, cases } = JSON.parse(readFileSync(vectors, "utf-8"));
const keys = readKeys(jwks);
console.log(JSON.stringify(cases.map(({ token, method, target, now, uses, header }) => {
  const seen = new Map(), delegate = header === "delegation" ? policy.delegate : undefined;
  return Array.from({ length: uses }, () => {
    try { verify(token, method, target, { keys, seen, now, delegate }); return "ok"; }
    catch (error) { return error.reason ?? String(error); }
  });
})));
"""

RUN_GO = """
package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"os"
	"vectors/identity"
)

type file struct {
	Jwks   struct{ Keys []struct{ Kid, X string } }
	Policy struct{ Delegate string }
	Cases  []struct {
		Token, Method, Target, Header string
		Now                           int64
		Uses                          int
	}
}

func main() {
	var vectors file
	content, _ := os.ReadFile(os.Args[1])
	if err := json.Unmarshal(content, &vectors); err != nil {
		panic(err)
	}
	keys := map[string]ed25519.PublicKey{}
	for _, key := range vectors.Jwks.Keys {
		keys[key.Kid], _ = base64.RawURLEncoding.DecodeString(key.X)
	}
	var all [][]string
	for _, one := range vectors.Cases {
		verifier := identity.Verifier{Keys: keys}
		if one.Header == "delegation" {
			verifier.Delegate = vectors.Policy.Delegate
		}
		var verdicts []string
		for i := 0; i < one.Uses; i++ {
			verdict := "ok"
			if _, err := verifier.Verify(one.Token, one.Method, one.Target, one.Now); err != nil {
				verdict = err.Error()
			}
			verdicts = append(verdicts, verdict)
		}
		all = append(all, verdicts)
	}
	_ = json.NewEncoder(os.Stdout).Encode(all)
}
"""


@dataclass(frozen=True)
class Called:
    """A verifier, for one case, with an empty memory."""

    verify: Callable[[], object]
    refused: type[Exception]

    def verdicts(self, uses: int) -> list[str]:
        return [self._verdict() for _ in range(uses)]

    def _verdict(self) -> str:
        try:
            self.verify()
        except self.refused as refusal:
            return str(refusal)
        return identity_vectors.OK


def expected(case: Case) -> list[str]:
    return [identity_vectors.OK] * (case["uses"] - 1) + [case["expect"]]


def assert_all_as_expected(verdicts: Verdicts) -> None:
    wrong = {
        case["name"]: (got, expected(case))
        for case, got in zip(CASES, verdicts, strict=True)
        if got != expected(case)
    }
    assert wrong == {}


def our_verifier(case: Case) -> Called:
    clock = FrozenClock(datetime.fromtimestamp(case["now"], UTC))
    keys = StaticKeys(parse_public_jwks(json.dumps(FILE["jwks"]).encode()))
    policy = VerifierPolicy(POLICY["issuer"], POLICY["audience"], POLICY["delegate"])
    verifier = IdentityVerifier(policy, keys, MemoryReplayGuard(clock), clock)

    def verify() -> object:
        if case["header"] == "delegation":
            return asyncio.run(verifier.verify_delegation(case["token"], method=case["method"]))
        return asyncio.run(verifier.verify(case["token"], method=case["method"], target=case["target"]))

    return Called(verify, IdentityRejectedError)


def documented(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("documented_verifier", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tool(name: str) -> str:
    """The installed program. Skips the test without one; fails it when SALLYPORT_REQUIRE_ALL is set."""
    found = shutil.which(name)
    if found is None:
        if os.environ.get("SALLYPORT_REQUIRE_ALL"):
            pytest.fail(f"{name} is not installed, and SALLYPORT_REQUIRE_ALL is set")
        pytest.skip(f"{name} is not installed")
    return found


def run(*command: str | Path, cwd: Path, **env: str) -> Verdicts:
    result = subprocess.run(
        command, cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True, timeout=50, check=False
    )
    assert result.returncode == 0, result.stderr
    verdicts: Verdicts = json.loads(result.stdout)
    return verdicts


def test_the_published_file_is_what_the_code_writes() -> None:
    """Nobody edited the vectors by hand, and every run gives the same bytes."""
    assert VECTORS.read_text(encoding="utf-8") == identity_vectors.document()


def test_the_file_says_that_its_keys_are_for_tests() -> None:
    """Whoever opens it reads first that nobody may believe these keys; no private half stands in it."""
    assert "FOR TESTS ONLY" in next(iter(FILE.values()))
    assert all("d" not in key for key in FILE["jwks"]["keys"])


def test_every_reason_and_the_way_in_have_a_vector() -> None:
    """R-005: every reason to refuse a token is in the file; two are about headers, not tokens."""
    of_headers = {IdentityReason.MISSING, IdentityReason.DUPLICATED}

    assert {case["expect"] for case in CASES} == {*IdentityReason, identity_vectors.OK} - of_headers
    assert len({case["name"] for case in CASES}) == len(CASES) > 45


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_our_services_judge_each_vector_as_published(case: Case) -> None:
    """R-005: the services' own verifier says what the file says, by the same reason."""
    assert our_verifier(case).verdicts(case["uses"]) == expected(case)


def test_the_documented_python_verifier_agrees() -> None:
    """R-005: docs/verifiers/verify.py judges every vector as published."""
    module = documented(DOCS / "verifiers" / "verify.py")
    keys = {key.key_id: key for key in jwt.PyJWKSet.from_dict(FILE["jwks"]).keys}

    def judged(case: Case) -> list[str]:
        seen: dict[str, int] = {}
        delegate = POLICY["delegate"] if case["header"] == "delegation" else None

        def verify() -> object:
            return module.verify(
                case["token"], case["method"], case["target"],
                keys=keys, seen=seen, now=case["now"], delegate=delegate,
            )  # fmt: skip

        return Called(verify, jwt.InvalidTokenError).verdicts(case["uses"])

    assert_all_as_expected([judged(case) for case in CASES])


def test_the_documented_node_verifier_agrees(tmp_path: Path) -> None:
    """R-005: docs/verifiers/verify.mjs judges every vector as published."""
    (tmp_path / "run.mjs").write_text(RUN_MJS, encoding="utf-8")
    verifier = (DOCS / "verifiers" / "verify.mjs").as_uri()

    assert_all_as_expected(run(tool("node"), "run.mjs", verifier, VECTORS, cwd=tmp_path))


def test_the_documented_go_verifier_agrees(tmp_path: Path) -> None:
    """R-005: docs/verifiers/verify.go builds without any module and judges every vector as published."""
    go = tool("go")
    (tmp_path / "identity").mkdir()
    shutil.copy(DOCS / "verifiers" / "verify.go", tmp_path / "identity")
    (tmp_path / "go.mod").write_text("module vectors\n\ngo 1.19\n", encoding="utf-8")
    (tmp_path / "main.go").write_text(RUN_GO, encoding="utf-8")
    env = {
        "GOCACHE": str(tmp_path / "cache"),
        "GOFLAGS": "-mod=mod",
        "GOPROXY": "off",
        "GOTOOLCHAIN": "local",
    }

    assert_all_as_expected(run(go, "run", ".", VECTORS, cwd=tmp_path, CGO_ENABLED="0", **env))


@pytest.mark.parametrize("name", ["verify.py", "verify.mjs", "verify.go"])
def test_each_documented_verifier_is_named_in_the_document(name: str) -> None:
    """docs/internal-identity.md leads to every verifier and to the vectors."""
    page = (DOCS / "internal-identity.md").read_text(encoding="utf-8")

    assert f"(verifiers/{name})" in page
    assert "(identity-vectors.json)" in page
