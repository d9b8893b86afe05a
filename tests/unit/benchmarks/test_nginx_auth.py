"""The shipped configuration of nginx, as the benchmark changes it."""

import re
import shutil
from pathlib import Path

import pytest

from benchmarks.contenders.contender import find
from benchmarks.contenders.nginx_auth import SHIPPED, configuration
from benchmarks.given import Given
from benchmarks.run import main
from deploy.demo.issuer import AccessIssuer
from service_kit.clock import SystemClock


@pytest.fixture
def given(tmp_path: Path) -> Given:
    issuer, file = AccessIssuer("https://team.example.com", SystemClock()), tmp_path / "file"
    return Given(tmp_path, 1003, issuer, file, file, file, file)


def test_only_ports_and_kept_connections_differ(given: Given, tmp_path: Path) -> None:
    """What is measured is what is shipped."""
    ours = configuration(given, tmp_path, 1001, 1002, caches=False).splitlines()
    shipped = SHIPPED.read_text(encoding="utf-8").splitlines()

    changed = {new.strip() for old, new in zip(shipped, ours, strict=True) if old != new and "#" not in new}

    assert changed == {
        "server 127.0.0.1:1002;",
        "server 127.0.0.1:1003;",
        "keepalive 256; keepalive_requests 1000000000; keepalive_timeout 3600s;",
        "listen 127.0.0.1:1001 default_server;",
        "listen 127.0.0.1:1001;",
    }


def test_the_cache_lies_before_the_question_alone(given: Given, tmp_path: Path) -> None:
    """Answers of the sidecar are kept for 5 s, by the token; answers of the frontend never."""
    text = configuration(given, tmp_path, 1001, 1002, caches=True)
    (asking,) = re.findall(r"location = /-/sallyport \{.*?\n    \}", text, re.DOTALL)

    assert text.count("proxy_cache answers;") == asking.count("proxy_cache answers;") == 1
    assert "$http_cf_access_jwt_assertion" in asking
    assert "proxy_cache_valid 200 204 5s;" in asking


@pytest.mark.stack
@pytest.mark.skipif(not (shutil.which("wrk") and find("nginx")), reason="needs wrk and nginx")
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("patient_contenders")
def test_nginx_asks_and_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    """Both, with the cache and without, answer good tokens and refuse bad ones before they are measured."""
    assert main(["--quick", "--rows", "get", "--peers", "nginx-auth,nginx-auth-cached"]) == 0

    told = capsys.readouterr().out
    assert "skipped" not in told
    assert "nginx auth_request, 5 s cache" in told
    assert "answers were refused" not in told
