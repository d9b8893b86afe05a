"""As much of Kustomize as the shipped overlays use, so that they can be read where kubectl is not installed.

It knows resources, components, configMapGenerator with files and envs, namespaces, and JSON patches that
replace; any other key is refused. Where kubectl is there, a test holds the two against each other.
"""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.shipped import env_file

Manifest = dict[str, Any]
CLUSTER_WIDE = {"Namespace"}
KNOWN = {
    *("apiVersion", "kind", "namespace", "resources", "components"),
    *("configMapGenerator", "patches"),
}


def kustomized(folder: Path) -> list[Manifest]:
    """Every manifest of an overlay, generated names without their hash."""
    given: dict[str, Any] = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))
    assert set(given) <= KNOWN, set(given) - KNOWN
    found: list[Manifest] = []
    for name in [*given.get("resources", ()), *given.get("components", ())]:
        path = (folder / name).resolve()
        found += kustomized(path) if path.is_dir() else documents(path)
    found += [generated(folder, each) for each in given.get("configMapGenerator", ())]
    for patch in given.get("patches", ()):
        (target,) = [m for m in found if key(m) == (patch["target"]["kind"], patch["target"]["name"])]
        replace(target, yaml.safe_load(patch["patch"]))
    for manifest in found:
        if "namespace" in given and manifest["kind"] not in CLUSTER_WIDE:
            manifest["metadata"]["namespace"] = given["namespace"]
    return found


def documents(path: Path) -> Iterator[Manifest]:
    for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
        if document is not None:
            yield copy.deepcopy(document)  # a YAML alias is one object in two places


def key(manifest: Manifest) -> tuple[str, str]:
    return manifest["kind"], manifest["metadata"]["name"]


def generated(folder: Path, generator: dict[str, Any]) -> Manifest:
    data: dict[str, str] = {}
    for name in generator.get("envs", ()):
        data |= env_file(folder / name)
    for name in generator.get("files", ()):
        data[name] = (folder / name).read_text(encoding="utf-8")
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": generator["name"]}, "data": data}


def replace(manifest: Manifest, operations: list[dict[str, Any]]) -> None:
    for operation in operations:
        assert operation["op"] == "replace"
        *path, last = operation["path"].removeprefix("/").split("/")
        place: Any = manifest
        for step in path:
            place = place[int(step) if isinstance(place, list) else step]
        assert last in place
        place[last] = operation["value"]
