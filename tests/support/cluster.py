"""A Kubernetes cluster whose kubelet runs on this machine's Docker engine, and what a test needs in it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.engine import ROOT, docker

NAMESPACE = f"haulier-test-{os.getpid()}"
EXAMPLE = ROOT / "orchestration" / "kubernetes" / "haulier.yaml"


def kubectl(*arguments: str, said: object = None, check: bool = True) -> str:
    done = subprocess.run(
        ["kubectl", *arguments],
        input=json.dumps(said) if said is not None else None,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not check or done.returncode == 0, done.stderr
    return done.stdout


def required() -> None:
    """A test of pods stays away, with its reason, where there is no cluster."""
    if not os.environ.get("KUBECONFIG") or not shutil.which("kubectl"):
        pytest.skip("no Kubernetes cluster is named by KUBECONFIG: no pod runs")
    if not kubectl("get", "nodes", "--output", "name", check=False):
        pytest.skip("the Kubernetes cluster that KUBECONFIG names does not answer: no pod runs")
    if not any(
        docker("images", "--quiet", image, check=False).stdout for image in ("local/pause", "haulier/extract")
    ):
        pytest.skip("the Kubernetes cluster that KUBECONFIG names runs no pods on this machine's engine")


def gateway() -> str:
    """Where a pod finds what this machine publishes."""
    found = docker("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}").stdout
    return found.strip()


def prepared(folders: Mapping[str, Path], secrets: Mapping[str, str]) -> None:
    """The example's objects in a namespace of the test's own: these folders behind its claims, these files in its secret."""
    for found in yaml.safe_load_all(EXAMPLE.read_text(encoding="utf-8")):
        metadata, name = found["metadata"], found["metadata"]["name"]
        if found["kind"] == "Namespace":
            metadata["name"] = NAMESPACE
        else:
            metadata["namespace"] = NAMESPACE
        if found["kind"] == "Secret":
            assert set(found["stringData"]) == set(secrets)
            found["stringData"] = dict(secrets)
        if found["kind"] == "PersistentVolumeClaim":
            found["spec"] |= {"storageClassName": "", "volumeName": f"{NAMESPACE}-{name}"}
            metadata["annotations"] = {"pv.kubernetes.io/bind-completed": "yes"}
        kubectl("apply", "--filename", "-", said=found)
        if found["kind"] == "PersistentVolumeClaim":
            _bound(name, folders[name])


def _bound(name: str, folder: Path) -> None:
    """Give a claim its volume, as a cluster's volume controller does, which the one of the tests has not."""
    at = f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims/{name}"
    claim = json.loads(kubectl("get", "--raw", at))
    claimed = claim["spec"]
    spec = {
        "accessModes": claimed["accessModes"],
        "capacity": claimed["resources"]["requests"],
        "storageClassName": "",
        "hostPath": {"path": str(folder)},
        "claimRef": {"namespace": NAMESPACE, "name": name, "uid": claim["metadata"]["uid"]},
    }
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": claimed["volumeName"]},
        "spec": spec,
    }
    kubectl("apply", "--filename", "-", said=volume)
    claim["status"] = {"phase": "Bound", "accessModes": spec["accessModes"], "capacity": spec["capacity"]}
    kubectl("replace", "--raw", f"{at}/status", "--filename", "-", said=claim)


def removed() -> None:
    """Take away what `prepared` made. No controller of this cluster would: finalizers go by hand, the empty namespace stays."""
    kubectl("delete", "pods,secrets", "--all", "--namespace", NAMESPACE, "--wait=false", check=False)
    for name in ("definitions", "landing"):
        for kind, called in (("persistentvolumeclaim", name), ("persistentvolume", f"{NAMESPACE}-{name}")):
            at = (kind, called, "--namespace", NAMESPACE)
            kubectl("delete", *at, "--wait=false", check=False)
            kubectl(
                "patch", *at, "--type=merge", "--patch", '{"metadata": {"finalizers": null}}', check=False
            )


def pods() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(
        kubectl("get", "pods", "--namespace", NAMESPACE, "--output", "json")
    )["items"]
    return found


@dataclass(kw_only=True)
class Ended:
    """How the steps' containers ended, as the engine saw it: (pod, exit code) by `docker events`."""

    process: subprocess.Popen[str]

    @classmethod
    def watch(cls) -> Ended:
        filters = (
            "event=die",
            f"label=io.kubernetes.pod.namespace={NAMESPACE}",
            "label=io.kubernetes.container.name=base",
        )
        command = ["docker", "events", "--format", "{{json .Actor.Attributes}}"]
        for one in filters:
            command += ["--filter", one]
        return cls(process=subprocess.Popen(command, stdout=subprocess.PIPE, text=True))

    def codes(self) -> list[int]:
        """Ends the watching."""
        self.process.terminate()
        said, _ = self.process.communicate()
        return [int(json.loads(line)["exitCode"]) for line in said.splitlines()]
