"""The command `auth-proxy`: exit statuses, all problems at once, and no secret on the screen."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from auth_proxy.cli import main
from service_kit.identity.keys import load_signing_keys, new_signing_key

BOTH = "LOCAL_DEV_ADMIN_EMAIL / ALLOW_DEV_ADMIN_AUTH"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A configuration that is whole."""
    key = tmp_path / "identity.pem"
    new_signing_key(key)
    return {
        "ADMIN_HOST": "admin.example.com",
        "CF_ACCESS_TEAM": "team",
        "CF_ACCESS_AUD": "aud-1,aud-2",
        "ADMIN_SERVICE_URL": "http+unix:///run/admin.sock",
        "TENANT_SERVICE_URL": "http://127.0.0.1:8082",
        "INTERNAL_SIGNING_KEY_FILE": str(key),
    }


@pytest.mark.parametrize("command", ["run", "check"])
def test_a_wrong_configuration_is_status_2_and_one_line_per_problem(
    command: str, capsys: pytest.CaptureFixture[str], environ: dict[str, str]
) -> None:
    """R-050, R-173: start-up fails with everything that is wrong, by variable name."""
    wrong = {
        **environ,
        "CF_ACCESS_AUD": "",
        "LOCAL_DEV_ADMIN_EMAIL": "secret@example.com",
        "ADMIN_HOST": "https://x",
    }
    status = main([command], wrong)
    out, err = capsys.readouterr()

    assert (status, out) == (2, "")
    assert err.splitlines() == [
        "auth-proxy: CF_ACCESS_AUD: is required",
        "auth-proxy: ADMIN_HOST: must list host names, with a port if not 443",
        f"auth-proxy: {BOTH}: Misconfigured: set outside APP_ENV=development",
    ]


def test_check_prints_the_effective_configuration_and_no_secret(
    capsys: pytest.CaptureFixture[str], environ: dict[str, str]
) -> None:
    """Every variable with the value that counts; of the key only the path of its file."""
    status = main(["check"], environ)
    out, err = capsys.readouterr()
    shown = json.loads(out)

    assert (status, err) == (0, "")
    assert shown["CF_ACCESS_TEAM_DOMAIN"] == "https://team.cloudflareaccess.com"
    assert (shown["CF_ACCESS_AUD"], shown["AUTH_PROXY_ROSTER"]) == ("aud-1,aud-2", "feed")
    assert (shown["CF_ACCESS_LEEWAY_SECONDS"], shown["AUTH_PROXY_UPSTREAM"]) == (60, None)
    assert shown["AUTH_PROXY_LISTEN"] == "127.0.0.1:8080"
    assert "PRIVATE" not in out
    assert Path(environ["INTERNAL_SIGNING_KEY_FILE"]).read_text().splitlines()[1] not in out


def test_check_reads_the_key(
    capsys: pytest.CaptureFixture[str], environ: dict[str, str], tmp_path: Path
) -> None:
    """A key file that cannot be used is found before the start, and not quoted."""
    bad = tmp_path / "bad.pem"
    bad.write_text("SECRET")
    status = main(["check"], {**environ, "INTERNAL_SIGNING_KEY_FILE": str(bad)})
    err = capsys.readouterr().err

    assert status == 2
    assert str(bad) in err
    assert "SECRET" not in err


def test_keys_are_made_listed_and_never_overwritten(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """`keys new` writes a file, or one more into a folder; `keys list` names the kids, newest last."""
    path = tmp_path / "keys"
    path.mkdir()
    assert main(["keys", "new", str(path / "a.pem")]) == 0
    assert main(["keys", "new", str(path)]) == 0
    assert main(["keys", "list", str(path)]) == 0
    made = capsys.readouterr().out.splitlines()
    kids = {key.kid for key in load_signing_keys(path)}

    assert len(kids) == 2
    assert {line.split("  ")[0] for line in made[2:]} == kids
    assert main(["keys", "new", str(path / "a.pem")]) == 2
    assert {key.kid for key in load_signing_keys(path)} == kids


@pytest.mark.parametrize("arguments", [[], ["keys"], ["keys", "new"], ["unknown"]])
def test_a_command_that_is_none_is_status_2(arguments: list[str]) -> None:
    """The status of argparse itself: the same as ours."""
    with pytest.raises(SystemExit) as ended:
        main(arguments, {})

    assert ended.value.code == 2


def test_a_taken_port_is_one_line(environ: dict[str, str]) -> None:
    """`python -m auth_proxy run` on a port of somebody else: status 2, one clear line, no trace."""
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        settings = {
            **environ,
            "AUTH_PROXY_OPS_LISTEN": listen,
            "CF_ACCESS_TEAM_DOMAIN": "https://127.0.0.1:1",
        }
        settings.pop("CF_ACCESS_TEAM")
        ran = subprocess.run(
            [sys.executable, "-m", "auth_proxy", "run"],
            env={**settings, "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    assert ran.returncode == 2
    assert (
        ran.stderr.splitlines()[-1] == f"auth-proxy: ops: cannot listen on {listen}: Address already in use"
    )
    assert "Traceback" not in ran.stderr
