"""The demo's services watch each other's audit logs from the first start on."""

import json
from pathlib import Path

from deploy.demo.run import Ports, make_keys, programs_of
from service_kit.identity.keys import load_signing_keys, parse_public_jwks


def test_each_service_pins_the_key_that_the_other_one_signs_with(tmp_path: Path) -> None:
    """R-030: addresses and public keys are those of the other service, and stay on the next start."""
    make_keys(tmp_path)
    first = {file.name: file.read_bytes() for file in tmp_path.glob("*audit*")}
    make_keys(tmp_path)
    assert {file.name: file.read_bytes() for file in tmp_path.glob("*audit*")} == first
    programs = {program.name: program for program in programs_of(Ports(100), tmp_path)}
    for own, other, port in (
        ("admin_service", "tenant_service", 9192),
        ("tenant_service", "admin_service", 9191),
    ):
        environment = programs[own].environment
        [signs] = load_signing_keys(Path(programs[other].environment["AUDIT_SIGNING_KEY_FILE"]))
        pinned = Path(environment["AUDIT_PEER_KEYS_FILE"]).read_bytes()
        assert environment["AUDIT_PEER_URL"] == f"http://127.0.0.1:{port}"
        assert set(parse_public_jwks(pinned)) == {signs.kid}
        assert '"d"' not in json.dumps(json.loads(pinned))
