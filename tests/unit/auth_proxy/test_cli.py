"""The command `auth-proxy`: exit statuses, all problems at once, and no secret on the screen."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from auth_proxy.cli import main
from deploy.demo.issuer import AccessIssuer, SigningKey
from deploy.demo.people import ADA
from service_kit.clock import SystemClock
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
    status = main(["check", "--json"], environ)
    out, err = capsys.readouterr()
    shown = json.loads(out)["settings"]

    assert (status, err) == (0, "")
    assert shown["CF_ACCESS_TEAM_DOMAIN"] == "https://team.cloudflareaccess.com"
    assert (shown["CF_ACCESS_AUD"], shown["AUTH_PROXY_ROSTER"]) == ("aud-1,aud-2", "feed")
    assert (shown["CF_ACCESS_LEEWAY_SECONDS"], shown["AUTH_PROXY_UPSTREAM"]) == (60, None)
    assert shown["AUTH_PROXY_LISTEN"] == "127.0.0.1:8080"
    assert "PRIVATE" not in out
    assert Path(environ["INTERNAL_SIGNING_KEY_FILE"]).read_text().splitlines()[1] not in out


def test_check_prints_lines_for_a_person(capsys: pytest.CaptureFixture[str], environ: dict[str, str]) -> None:
    """Without --json the same as text, one heading for each part."""
    status = main(["check"], environ)
    out = capsys.readouterr().out.splitlines()

    assert (status, out[0]) == (0, "The configuration is valid.")
    assert {"Settings", "Hosts", "Roster", "Signing keys"} <= set(out)


def test_check_reads_the_roster_file(
    capsys: pytest.CaptureFixture[str], environ: dict[str, str], tmp_path: Path
) -> None:
    """R-060: a roster file that would stop the start stops the check, in one line."""
    alone = {**environ, "ADMIN_SERVICE_URL": "", "TENANT_SERVICE_URL": "", "AUTH_PROXY_UPSTREAM": "http://x"}
    status = main(["check"], {**alone, "AUTH_PROXY_ROSTER": f"file:{tmp_path / 'none'}"})

    assert status == 2
    assert capsys.readouterr().err == f"auth-proxy: {tmp_path / 'none'}: cannot be read\n"


def test_check_reads_the_key(
    capsys: pytest.CaptureFixture[str], environ: dict[str, str], tmp_path: Path
) -> None:
    """A key file that cannot be used is found before the start, and not quoted."""
    bad = tmp_path / "bad.pem"
    bad.write_text("SECRET")
    status = main(["check"], {**environ, "INTERNAL_SIGNING_KEY_FILE": str(bad)})
    out, err = capsys.readouterr()

    assert status == 2
    assert str(bad) in err
    assert "SECRET" not in out + err


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


def test_a_rotation_that_comes_too_soon_is_status_1(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Nothing is misconfigured; it is only not the time. --force is the other way."""
    assert main(["keys", "new", str(tmp_path / "20200101T000000Z.pem")], {}) == 0
    assert main(["keys", "rotate", str(tmp_path)], {}) == 0
    capsys.readouterr()

    assert main(["keys", "rotate", str(tmp_path)], {}) == 1
    out, err = capsys.readouterr()
    assert (out, err.splitlines()[0][:12]) == ("", "auth-proxy: ")


@pytest.mark.parametrize("value", ["soon", "0", "3601", "nan"])
def test_a_lead_time_that_is_none_is_status_2(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, value: str
) -> None:
    """The variable is named; its value is not repeated."""
    assert main(["keys", "list", str(tmp_path)], {"INTERNAL_SIGNING_LEAD_SECONDS": value}) == 2
    assert capsys.readouterr().err == "auth-proxy: INTERNAL_SIGNING_LEAD_SECONDS: must be 1 to 3600\n"


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log of this process stays as the other tests have it."""
    monkeypatch.setattr("auth_proxy.cli.configure_logging", lambda *_names, **_options: None)


@pytest.mark.usefixtures("quiet")
def test_doctor_reports_settings_that_cannot_be_read(
    capsys: pytest.CaptureFixture[str], environ: dict[str, str]
) -> None:
    """R-173: status 2 as everywhere, and still a report: a machine reads one form."""
    status = main(["doctor", "--json"], {**environ, "CF_ACCESS_AUD": ""})
    document = json.loads(capsys.readouterr().out)

    assert status == 2
    assert document["summary"] == {"ok": 0, "warn": 0, "fail": 1}
    assert document["findings"][0]["seen"] == "CF_ACCESS_AUD: is required"


@pytest.mark.usefixtures("quiet")
def test_explain_reads_token_keys_and_headers(
    capsys: pytest.CaptureFixture[str], environ: dict[str, str], tmp_path: Path, access_key: SigningKey
) -> None:
    """All from files, nothing is fetched: a grant is 0, a refusal 1, and neither shows the token."""
    issuer = AccessIssuer("https://team.cloudflareaccess.com", SystemClock(), keys=(access_key,))
    token, jwks = tmp_path / "token", tmp_path / "jwks.json"
    token.write_text(issuer.mint(ADA, audience="aud-1"))
    jwks.write_text(json.dumps(issuer.certs_document()))
    alone = {"ADMIN_SERVICE_URL": "", "TENANT_SERVICE_URL": "", "AUTH_PROXY_UPSTREAM": "http://x"}
    settings = {**environ, **alone, "AUTH_PROXY_ROSTER": "open:support"}
    asking = ["explain", "--token-file", str(token), "--jwks", str(jwks), "--method", "POST", "/x"]

    assert main(asking, settings) == 1
    assert "origin_rejected" in capsys.readouterr().out
    assert main([*asking, "--header", "Origin: https://admin.example.com"], settings) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"GRANTED\nperson    {ADA.email}")
    assert "eyJ" not in out


@pytest.mark.usefixtures("quiet")
def test_a_token_may_come_from_standard_input(
    capsys: pytest.CaptureFixture[str], environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`-` reads it, with the line break that an editor or `echo` leaves; more than 64 KiB is no token."""
    alone = {"ADMIN_SERVICE_URL": "", "TENANT_SERVICE_URL": "", "AUTH_PROXY_UPSTREAM": "http://x"}
    settings = {**environ, **alone, "AUTH_PROXY_ROSTER": "open:support"}
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"not-a-token\n" + b" " * 100_000)))

    assert main(["explain", "--token-file", "-", "/x"], settings) == 1
    assert "token_malformed" in capsys.readouterr().out


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--header", "nonsense"], "--header: must be 'Name: value'"),
        (["--token-file", "/dev/null"], "the token is empty"),
        (["--token-file", "/none"], "/none: No such file or directory"),
        (["--jwks", "/dev/null"], "--jwks: not a key set (malformed)"),
    ],
)
def test_what_explain_cannot_use_is_status_2(
    capsys: pytest.CaptureFixture[str], environ: dict[str, str], arguments: list[str], said: str
) -> None:
    """One line that names the argument."""
    assert main(["explain", *arguments, "/"], environ) == 2
    assert capsys.readouterr().err == f"auth-proxy: {said}\n"


@pytest.mark.parametrize("command", ["doctor", "explain"])
def test_the_help_says_what_is_shown_of_a_token(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Who runs it learns before that the address and the sub are printed, and that the token is not."""
    with pytest.raises(SystemExit):
        main([command, "--help"])
    told = " ".join(capsys.readouterr().out.split())

    assert "The e-mail address, the sub and the other claims of the token are shown" in told
    assert "the token itself, its signature and every key are not" in told


@pytest.mark.parametrize("arguments", [[], ["keys"], ["keys", "new"], ["explain"], ["unknown"]])
def test_a_command_that_is_none_is_status_2(arguments: list[str]) -> None:
    """The status of argparse itself: the same as ours."""
    with pytest.raises(SystemExit) as ended:
        main(arguments, {})

    assert ended.value.code == 2


def test_a_taken_port_is_one_line(environ: dict[str, str]) -> None:
    """`auth-proxy run` on a port of somebody else: status 2, one clear line, no trace.

    It takes the room for its connections first: the soft limit of open files becomes the hard one.
    """
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
            ["/bin/sh", "-c", f"ulimit -Sn 200 && exec '{sys.executable}' -m auth_proxy run"],
            env={**settings, "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    assert ran.returncode == 2
    assert "descriptor_limit_raised" in ran.stderr  # before it listens
    assert (
        ran.stderr.splitlines()[-1] == f"auth-proxy: ops: cannot listen on {listen}: Address already in use"
    )
    assert "Traceback" not in ran.stderr


def test_a_shell_that_plays_supervisor_is_refused(
    capsys: pytest.CaptureFixture[str], environ: dict[str, str]
) -> None:
    """What a supervisor hands on is no setting: set by hand, it stops the start with its name."""
    status = main(["run"], {**environ, "AUTH_PROXY_INHERITED": "{}"})

    assert status == 2
    assert capsys.readouterr().err.startswith("auth-proxy: AUTH_PROXY_INHERITED: is no setting")
