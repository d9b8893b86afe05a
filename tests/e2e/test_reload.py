"""Routes that change under a real process: check the file, send SIGHUP, and it serves by the new one."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from deploy.demo.issuer import SigningKey
from deploy.demo.people import ADA
from service_kit.identity.keys import new_signing_key
from tests.fakes.recording_upstream import recording_upstream
from tests.fixtures.ports import free_port
from tests.fixtures.standalone import ROOT, Standalone, access_team, shell_environment

pytestmark = [pytest.mark.stack, pytest.mark.timeout(60)]

HOST, AUD = "admin.example.com", "a" * 64


def route(name: str, url: str) -> str:
    return f'[[routes]]\nprefix = "/{name}"\ntarget = ["{url}"]\n'


async def checked(environment: dict[str, str]) -> int | None:
    """The exit status of `auth-proxy check`."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "auth_proxy", "check"),
        env=environment,
        cwd=ROOT,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    return await process.wait()


async def test_check_then_sighup(tmp_path: Path) -> None:
    """R-007: a broken file is found by `check` (2) and survived by the process; a good one serves at once."""
    new_signing_key(tmp_path / "identity.pem")
    config = tmp_path / "auth_proxy.toml"
    async with access_team(SigningKey.generate()) as issuer, recording_upstream() as upstream:
        config.write_text(route("app", upstream.url), encoding="utf-8")
        port, ops_port = free_port(), free_port()
        environment = shell_environment(
            tmp_path,
            APP_ENV="development",
            ADMIN_HOST=HOST,
            CF_ACCESS_TEAM_DOMAIN=issuer.team_domain,
            CF_ACCESS_AUD=AUD,
            AUTH_PROXY_CONFIG=str(config),
            AUTH_PROXY_ROSTER="open:support",
            AUTH_PROXY_LISTEN=f"127.0.0.1:{port}",
            AUTH_PROXY_OPS_LISTEN=f"127.0.0.1:{ops_port}",
            INTERNAL_SIGNING_KEY_FILE=str(tmp_path / "identity.pem"),
        )
        token = issuer.mint(ADA, audience=AUD)
        log = tmp_path / "log"
        async with Standalone.running(
            "\nauth-proxy run", environment, log, port=port, ops_port=ops_port
        ) as sidecar:

            async def status(path: str) -> int:
                return (await sidecar.ask(path, host=HOST, token=token)).status

            assert (await status("/app"), await status("/new")) == (200, 404)
            config.write_text("[[routes", encoding="utf-8")
            assert await checked(environment) == 2
            sidecar.process.send_signal(signal.SIGHUP)
            await sidecar.until_log_says("reload_refused")
            assert (await status("/app"), await status("/new")) == (200, 404)

            config.write_text(route("new", upstream.url), encoding="utf-8")
            assert await checked(environment) == 0
            sidecar.process.send_signal(signal.SIGHUP)
            await sidecar.until_log_says("routes_reloaded")
            assert (await status("/app"), await status("/new")) == (404, 200)
