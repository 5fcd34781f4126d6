#!/usr/bin/python3
"""The Kubernetes manifests, the CI workflow and the Dockerfile say what they are meant to say.

kubectl renders every kustomization where it is installed; without it the files are read as they are.
"""

import re
import shutil

from deploy_test import ROOT, run, skip

try:
    import yaml
except ImportError:
    skip("python3-yaml is not installed")

KUBERNETES = ROOT / "deploy/kubernetes"


def documents(folder):
    """Every resource of a kustomization folder, rendered where kubectl is installed."""
    if shutil.which("kubectl"):
        text = run("kubectl", "kustomize", folder)
        return list(yaml.safe_load_all(text))
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    found = []
    for name in kustomization["resources"]:
        path = folder / name
        found += documents(path) if path.is_dir() else yaml.safe_load_all(path.read_text())
    return found


def pod_specs(resource):
    if resource["kind"] == "DaemonSet":
        yield resource["spec"]["template"]["spec"]
    if resource["kind"] == "CronJob":
        yield resource["spec"]["jobTemplate"]["spec"]["template"]["spec"]


def check_pod(spec, where):
    assert spec["securityContext"]["runAsNonRoot"] is True, where
    for container in spec["containers"] + spec.get("initContainers", []):
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False, where
        assert security["readOnlyRootFilesystem"] is True, where
        assert security["capabilities"] == {"drop": ["ALL"]}, where


def check_daemon_set(resource):
    """Probes and ports agree with the daemon's settings in the same file."""
    container = resource["spec"]["template"]["spec"]["containers"][0]
    settings = {entry["name"]: entry["value"] for entry in container["env"]}
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert settings["QTIPD_HTTP_LISTEN"].endswith(f":{ports['metrics']}")
    assert container["startupProbe"]["exec"]["command"][-2:] == [settings["QTIPD_LISTEN"], "health"]
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "metrics"}
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "metrics"}
    assert settings["QTIPD_DATA_DIR"] in [mount["mountPath"] for mount in container["volumeMounts"]]


def check_kubernetes():
    kinds = {}
    for file in sorted(KUBERNETES.glob("*/kustomization.yaml")):
        resources = documents(file.parent)
        kinds[file.parent.name] = sorted(resource["kind"] for resource in resources)
        for resource in resources:
            for spec in pod_specs(resource):
                check_pod(spec, f"{file.parent.name} {resource['kind']}")
            if resource["kind"] == "DaemonSet":
                check_daemon_set(resource)
    assert kinds["base"] == kinds["gpu"] == ["DaemonSet", "Namespace", "Service"], kinds
    assert "CronJob" in kinds["ci"] and kinds["prometheus-operator"] == ["ServiceMonitor"], kinds


def check_every_yaml_file():
    files = [path for path in (ROOT / "deploy").rglob("*") if path.suffix in (".yml", ".yaml")]
    for path in files:
        assert list(yaml.safe_load_all(path.read_text())), path
    workflow = yaml.safe_load((ROOT / "deploy/ci/github-actions.yml").read_text())
    steps = workflow["jobs"]["benchmark"]["steps"]
    assert any(step.get("uses", "").startswith("actions/upload-artifact@") for step in steps)
    assert any("deploy/ci/run-suite" in step.get("run", "") for step in steps)


def check_dockerfile():
    """Stages exist before they are used, scripts exist, and every image runs as somebody."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    stages = {}
    for line in text.splitlines():
        if start := re.match(r"FROM \S+ AS (\S+)", line):
            stage = stages.setdefault(start.group(1), [])
        elif stages:
            stage.append(line)
            if source := re.search(r"--from=(\S+)", line):
                assert source.group(1) in stages, line
        for script in re.findall(r"\bscript/[a-z-]+(?:\.sh)?", line):
            assert (ROOT / script).is_file(), line
    assert list(stages)[-1] == "cpu" and "cuda" in stages, stages.keys()
    for name in ("cpu", "cuda"):
        body = "\n".join(stages[name])
        user = re.search(r"^USER (\d+):\d+$", body, re.M)
        assert user and int(user.group(1)) > 0, name
        assert re.search(r'^HEALTHCHECK .*"qtipctl".*"health"', body, re.M), name
        assert 'ENTRYPOINT ["/opt/qtipd/bin/qtipd"]' in body, name


if __name__ == "__main__":
    check_kubernetes()
    check_every_yaml_file()
    check_dockerfile()
    print("rendered by kubectl" if shutil.which("kubectl") else "kubectl is not installed: read as they are")
