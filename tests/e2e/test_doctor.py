"""`auth-proxy doctor` on the real processes of the product."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.stack import running_stack

pytestmark = pytest.mark.timeout(120)


@pytest.mark.stack
async def test_the_real_services_are_understood(tmp_path: Path) -> None:
    """The demo's own processes, asked by doctor: both services know the key, and the sidecar runs."""
    async with running_stack(tmp_path) as stack:
        environ = stack.programs["auth_proxy"].environment
        ran = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "auth_proxy", "doctor", "--json"],
            env={**environ, "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
    verdicts = {item["name"]: item["verdict"] for item in json.loads(ran.stdout)["findings"]}

    assert ran.returncode == 0, ran.stdout
    assert {name for name, verdict in verdicts.items() if verdict != "ok"} == {"team"}
    assert {"admin_service", "tenant_service", "roster", "running sidecar", "published keys"} <= set(verdicts)
