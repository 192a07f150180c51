"""The manifests as kustomize builds them: what a guard in a cluster must keep to. `checks_*.py` ask the real validators."""

import re
from pathlib import Path

import pytest

from guardd.config import load_settings
from guardd.daemon.wiring import policy_from
from guardd.errors import ConfigurationError
from tests.deploy.kubernetes.built import (
    KUBERNETES,
    PLACES,
    containers,
    documents,
    of_kind,
    pod,
    without_first_line,
)
from tests.deploy.tools import DEPLOY, TREE, good, tool

LABELS = {"app.kubernetes.io/name": "guardd"}


@pytest.mark.parametrize("place", PLACES)
def test_there_is_one_guard_and_never_two_at_once(place: str) -> None:
    (deployment,) = of_kind(place, "Deployment")
    assert deployment["spec"]["replicas"] == 1
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    for claim in of_kind(place, "PersistentVolumeClaim"):
        assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"]


@pytest.mark.parametrize("place", PLACES)
def test_every_selector_means_the_guards_pod(place: str) -> None:
    labels = pod(place)["metadata"]["labels"]
    (deployment,), (service,), (budget,) = (
        of_kind(place, kind) for kind in ("Deployment", "Service", "PodDisruptionBudget")
    )
    selectors = [deployment["spec"]["selector"]["matchLabels"], service["spec"]["selector"]]
    selectors += [budget["spec"]["selector"]["matchLabels"]]
    selectors += [policy["spec"]["podSelector"]["matchLabels"] for policy in of_kind(place, "NetworkPolicy")]
    selectors += [monitor["spec"]["selector"]["matchLabels"] for monitor in of_kind(place, "PodMonitor")]
    assert selectors == [LABELS] * len(selectors)
    assert LABELS.items() <= labels.items()


@pytest.mark.parametrize("place", PLACES)
def test_a_namespace_that_enforces_restricted_pods_takes_this_one(place: str) -> None:
    """The rules of Pod Security Standards, "restricted", that concern such a pod."""
    (namespace,) = of_kind(place, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    spec = pod(place)["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in containers(place):
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context["readOnlyRootFilesystem"] is True
    assert {next(iter(set(volume) - {"name"})) for volume in spec["volumes"]} <= {
        "configMap", "secret", "persistentVolumeClaim", "emptyDir",
    }  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_the_pod_has_no_word_with_the_cluster(place: str) -> None:
    spec = pod(place)["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False


def test_a_service_link_would_keep_guardd_from_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Why `enableServiceLinks` is false: the variables that a Service named guardd puts into every pod beside it."""
    monkeypatch.setenv("GUARDD_SERVICE_HOST", "10.0.0.7")
    with pytest.raises(ConfigurationError, match="GUARDD_SERVICE_HOST"):
        load_settings(KUBERNETES / "base/guardd.yaml")


@pytest.mark.parametrize("place", PLACES)
def test_I26_no_secret_comes_by_the_environment(place: str) -> None:
    for container in containers(place):
        for variable in container.get("env", []):
            assert set(variable.get("valueFrom", {})) <= {"configMapKeyRef"}
        assert "envFrom" not in container
    (volume,) = [each for each in pod(place)["spec"]["volumes"] if "secret" in each]
    assert volume["secret"]["defaultMode"] == 0o440


def test_no_secret_is_in_the_base() -> None:
    assert of_kind("base", "Secret") == []
    assert of_kind("overlays/monitoring", "Secret") == []


@pytest.mark.parametrize("place", PLACES)
def test_no_probe_that_restarts_asks_about_the_venue(place: str) -> None:
    (guard,) = [container for container in containers(place) if container["name"] == "guardd"]
    assert guard["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert guard["startupProbe"]["httpGet"]["path"] == "/livez"
    assert guard["readinessProbe"]["httpGet"]["path"] == "/readyz"
    patience_s = guard["startupProbe"]["periodSeconds"] * guard["startupProbe"]["failureThreshold"]
    (deployment,) = of_kind(place, "Deployment")
    assert 1_800 <= patience_s < deployment["spec"]["progressDeadlineSeconds"]


def test_the_guard_reaches_names_and_the_public_443_only() -> None:
    (policy,) = of_kind("base", "NetworkPolicy")
    assert policy["spec"]["ingress"] == []
    assert {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]} == {53, 443}
    web = next(rule for rule in policy["spec"]["egress"] if rule["ports"][0]["port"] == 443)
    assert "169.254.0.0/16" in web["to"][0]["ipBlock"]["except"]


def test_the_demo_reaches_nobody() -> None:
    (policy,) = of_kind("overlays/demo", "NetworkPolicy")
    assert policy["spec"]["egress"] == []
    assert policy["spec"]["ingress"] == []


@pytest.mark.parametrize("place", ["base", "overlays/demo"])
def test_settings_and_policy_of_a_place_can_be_used(place: str, tmp_path: Path) -> None:
    (config,) = [each for each in of_kind(place, "ConfigMap") if each["metadata"]["name"] == "guardd-config"]
    for name, text in config["data"].items():
        (tmp_path / name).write_text(text)
    settings = load_settings(tmp_path / "guardd.yaml")
    assert policy_from(settings.policy).rules
    (guard,) = [container for container in containers(place) if container["name"] == "guardd"]
    mounts = {mount["mountPath"] for mount in guard["volumeMounts"]}
    assert {str(settings.data_dir), str(settings.secrets_dir), "/etc/guardd"} == mounts
    assert guard["ports"][0]["containerPort"] == settings.http.port


def test_the_policies_are_those_of_config() -> None:
    for place, original in (("base", "policy.yaml"), ("overlays/demo", "demo-policy.yaml")):
        copy, source = KUBERNETES / place / "policy.yaml", TREE / "config" / original
        assert without_first_line(copy) == without_first_line(source)


def test_the_base_only_watches() -> None:
    (config,) = of_kind("base", "ConfigMap")
    assert "mode: observe" in config["data"]["guardd.yaml"].splitlines()


def test_prometheus_calls_the_job_by_the_name_that_the_rules_ask_for() -> None:
    (monitor,) = of_kind("overlays/monitoring", "PodMonitor")
    job = pod("overlays/monitoring")["metadata"]["labels"][monitor["spec"]["jobLabel"]]
    (rules,) = of_kind("overlays/monitoring", "PrometheusRule")
    assert f'job="{job}"' in str(rules["spec"])


def test_the_readmes_overlay_of_ones_own_names_the_image_and_brings_settings(tmp_path: Path) -> None:
    digest = "sha256:" + "0" * 64
    readme = (DEPLOY / "README.md").read_text()
    own = readme.partition("```yaml\n# kustomization.yaml\n")[2].partition("```")[0].replace("sha256:…", digest)
    assert digest in own
    place = tmp_path / "own"
    place.mkdir()
    # kustomize takes no absolute path to a base: a relative one from where the test stands.
    relative = Path(*[".."] * (len(place.resolve().parts) - 1)) / KUBERNETES.relative_to("/") / "overlays/monitoring"
    own = re.sub(r"- github\.com/OWNER\S+", f"- {relative}", own)
    (place / "kustomization.yaml").write_text(own)
    (place / "guardd.yaml").write_text("mode: enforce\n")
    (place / "policy.yaml").write_text("version: 1\n")
    built = documents(good(tool("kubectl"), "kustomize", place))
    (deployment,) = [each for each in built if each["kind"] == "Deployment"]
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == f"registry.example/guardd@{digest}"
    (config,) = [each for each in built if each["metadata"]["name"].startswith("guardd-config")]
    assert config["metadata"] == {"name": "guardd-config", "namespace": "guardd", "labels": LABELS}
    assert config["data"] == {"guardd.yaml": "mode: enforce\n", "policy.yaml": "version: 1\n"}
