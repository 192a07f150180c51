"""The image is built for real, on a base made from Debian's packages, and run as Kubernetes would: as nobody, on a read-only
root, without a capability. The demo's exchange runs beside it in the same network namespace, as the overlay `demo` has it.
"""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.deploy.kubernetes.built import containers, of_kind
from tests.deploy.tools import DEPLOY, TREE, good, missing, ran, root, tool

pytestmark = pytest.mark.timeout(1_800)
BASE: Final = "localhost/guardd-test-base"
NAME: Final = "localhost/guardd-test"
USER: Final = 10001
READY_S: Final = 60.0
STOP_S: Final = 30.0
BUILD_S: Final = 900.0
MEMORY_BYTES_MAX: Final = 256 * 1024 * 1024
"""What the Deployment asks for; its limit is twice that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What was built: its files laid out, and its configuration."""

    files: Path
    config: dict[str, Any]
    megabytes: float
    base_megabytes: float


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    root()
    for name in ("buildah", "mmdebstrap", "runc", "nsenter"):
        tool(name)
    home = tmp_path_factory.mktemp("image")
    store = ["--root", str(home / "store"), "--runroot", str(home / "run"), "--storage-driver", "vfs"]

    def buildah(*words: str | Path) -> str:
        return good(tool("buildah"), *store, *words, environ={"BUILDAH_ISOLATION": "chroot"}, seconds=BUILD_S).strip()

    made = _base(home / "base")
    container = buildah("from", "scratch")
    buildah("add", "-q", container, made, "/")
    buildah("commit", "-q", container, BASE)
    buildah("rm", container)
    shutil.rmtree(made)
    # How this machine's pip finds its registry is no part of the image: it is there while it is built.
    lent = ["/etc/ssl/certs", *(["/etc/pip.conf"] if Path("/etc/pip.conf").exists() else [])]
    buildah(
        "bud", "-q", *[f"--volume={path}:{path}:ro" for path in lent], f"--build-arg=BASE_IMAGE={BASE}",
        "--ignorefile", DEPLOY / "container/Dockerfile.dockerignore", "-f", DEPLOY / "container/Dockerfile", "-t", NAME, TREE,
    )  # fmt: skip
    described = json.loads(buildah("inspect", "--type", "image", NAME))
    container = buildah("from", NAME)
    sizes = {each["names"][0].partition(":")[0]: each["size"] for each in json.loads(buildah("images", "--json"))}
    try:
        yield Image(
            files=Path(buildah("mount", container)),
            config=described["OCIv1"]["config"],
            megabytes=_megabytes(sizes[NAME]),
            base_megabytes=_megabytes(sizes[BASE]),
        )
    finally:
        buildah("umount", container)
        buildah("rm", container)
        shutil.rmtree(home, ignore_errors=True)


def _base(place: Path) -> Path:
    """Debian's packages that the image needs: Python, and the authorities' certificates.

    DEPLOY_BASE in the environment is the directory of such a base that was made before.
    """
    if earlier := os.environ.get("DEPLOY_BASE"):
        good("cp", "-a", earlier, place)  # keeps devices what they are
        return place
    targets = good("apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME)", "Created-By: Packages")
    mirrors = [line.split() for line in targets.splitlines()]
    bookworm = [uri for uri, codename in mirrors if codename == "bookworm"]
    if not bookworm:
        missing("apt knows no mirror of Debian 12, from which the base would be made")
    unread = [f"--dpkgopt=path-exclude=/usr/share/{kind}/*" for kind in ("doc", "man", "locale")]
    packages = "--include=python3,python3-venv,ca-certificates"
    good(
        tool("mmdebstrap"), "--quiet", "--mode=root", "--variant=essential", packages, *unread, "bookworm", place, bookworm[0],
        seconds=BUILD_S,
    )  # fmt: skip
    return place


def _megabytes(said: str) -> float:
    number, unit = said.split()
    return float(number) * {"KB": 0.001, "MB": 1.0, "GB": 1000.0}[unit]


def bundle(
    image: Image,
    home: Path,
    *,
    args: list[str],
    mounts: dict[Path, tuple[str, bool]],
    env: list[str],
    beside: int | None,
) -> Path:
    """What an OCI runtime runs. `mounts`: place on this machine to place inside, and whether it may be written."""
    namespaces: list[dict[str, str]] = [{"type": kind} for kind in ("pid", "mount", "ipc", "uts")]
    namespaces.append({"type": "network"} if beside is None else {"type": "network", "path": f"/proc/{beside}/ns/net"})
    bound = [
        {"destination": inside, "type": "bind", "source": str(outside), "options": ["rbind", "rw" if written else "ro"]}
        for outside, (inside, written) in mounts.items()
    ]
    spec = {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": False, "user": {"uid": USER, "gid": USER}, "args": args, "env": [*image.config["Env"], *env],
            "cwd": image.config["WorkingDir"], "noNewPrivileges": True, "capabilities": {},
        },
        "root": {"path": str(image.files), "readonly": True},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
            *bound,
        ],
        "linux": {"namespaces": namespaces},
    }  # fmt: skip
    home.mkdir(parents=True, exist_ok=True)
    (home / "config.json").write_text(json.dumps(spec))
    return home


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A container by its name at the runtime, and its process as this machine counts."""

    state: Path
    name: str
    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def pid(self) -> int | None:
        done = ran(tool("runc"), "--root", self.state, "state", self.name)
        return int(json.loads(done.stdout)["pid"]) or None if done.returncode == 0 else None

    def end(self, signal: str = "TERM") -> int:
        """Returns its exit code."""
        ran(tool("runc"), "--root", self.state, "kill", self.name, signal)
        return self.process.wait(STOP_S)


@contextmanager
def running(place: Path, state: Path, name: str) -> Iterator[Running]:
    log = place / "said"
    with log.open("wb") as said:
        command = [tool("runc"), "--root", str(state), "run", "-b", str(place), name]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
    made = Running(state=state, name=name, process=process, log=log)
    try:
        wait(lambda: made.pid is not None or process.poll() is not None, log)
        yield made
    finally:
        if process.poll() is None:
            made.end("KILL")


def wait(what: Any, log: Path) -> None:
    until = time.monotonic() + READY_S
    while not what():
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.2)


def ask(pid: int | None, path: str, body: object = None, *, port: int) -> str | None:
    """A request inside the network namespace of that process."""
    words = [] if body is None else ["-X", "POST", "-d", json.dumps(body)]
    done = ran(
        tool("nsenter"), f"--target={pid}", "--net", "curl", "-fsS", "-m", "5", *words, f"http://127.0.0.1:{port}{path}"
    )
    return done.stdout if done.returncode == 0 else None


def once(image: Image, home: Path, *command: str) -> subprocess.CompletedProcess[str]:
    place = bundle(image, home / "once", args=list(command), mounts={}, env=[], beside=None)
    return ran(tool("runc"), "--root", home / "state", "run", "-b", place, f"guardd-once-{time.monotonic_ns()}")


def test_it_runs_as_nobody_by_number_and_says_its_version(image: Image, tmp_path: Path) -> None:
    assert image.config["User"] == f"{USER}:{USER}"
    assert image.config["Entrypoint"] == ["guardd"]
    done = once(image, tmp_path, "guardd", "--version")
    assert done.stdout.startswith("guardd "), done.stderr
    print(f"image {image.megabytes:.0f} MB, of which the base {image.base_megabytes:.0f} MB")


def test_it_holds_no_tool_that_installs_and_no_test(image: Image) -> None:
    packages = image.files / "opt/guardd/lib/python3.11/site-packages"
    names = {each.name for each in packages.iterdir()}
    assert "guardd" in names
    assert not names & {"pip", "setuptools", "wheel", "tests", "pytest"}
    assert list((packages / "guardd").rglob("*.pyc")), (
        "compiled when it was built: a read-only root can't keep it later"
    )


def test_nothing_in_it_may_be_written(image: Image, tmp_path: Path) -> None:
    done = once(image, tmp_path, "sh", "-c", "touch /x || touch /opt/guardd/x || touch /var/lib/guardd/x")
    assert done.returncode != 0
    assert "Read-only file system" in done.stderr


def test_nothing_of_how_it_was_built_stays_in_it(image: Image) -> None:
    assert not (image.files / "etc/pip.conf").is_file() or not (image.files / "etc/pip.conf").read_text()
    assert not (image.files / "src").exists()
    assert not (image.files / "build").exists()


def test_the_demo_runs_guards_and_ends_with_its_stops_resting(image: Image, tmp_path: Path) -> None:
    place, state = "overlays/demo", tmp_path / "state"
    made = {container["name"]: container for container in containers(place)}
    entry = image.config["Entrypoint"]
    folders = _mounts(place, tmp_path)
    simulator = bundle(
        image, tmp_path / "simulator", args=[*entry, *made["simulator"]["args"]], mounts={}, env=[], beside=None
    )
    with running(simulator, state, f"guardd-sim-{tmp_path.name}") as exchange:
        good(tool("nsenter"), f"--target={exchange.pid}", "--net", "ip", "link", "set", "lo", "up")
        wait(lambda: ask(exchange.pid, "/_simulator/summary", port=8642), exchange.log)
        ask(
            exchange.pid,
            "/_simulator/orders",
            {"uid": "main", "symbol": "BTCUSDT", "side": "buy", "size": "100"},
            port=8642,
        )
        word = of_kind(place, "ConfigMap")
        confirm = next(each["data"]["confirm"] for each in word if each["metadata"]["name"] == "guardd-arming")
        guard = bundle(
            image, tmp_path / "guard", args=[*entry, *made["guardd"]["args"]], mounts=folders,
            env=[f"GUARDD_CONFIRM={confirm}"], beside=exchange.pid,
        )  # fmt: skip
        with running(guard, state, f"guardd-run-{tmp_path.name}") as guarding:
            wait(lambda: ask(exchange.pid, made["guardd"]["livenessProbe"]["httpGet"]["path"], port=9517), guarding.log)
            wait(
                lambda: ask(exchange.pid, made["guardd"]["readinessProbe"]["httpGet"]["path"], port=9517), guarding.log
            )
            wait(lambda: _stops(exchange.pid), guarding.log)
            resting = _stops(exchange.pid)
            resident = _resident_bytes(guarding.pid)
            print(f"the guard holds {resident / 1_048_576:.0f} MB")
            assert resident < MEMORY_BYTES_MAX
            began = time.monotonic()
            assert guarding.end() == 0, guarding.log.read_text()
            print(f"ended within {time.monotonic() - began:.1f} s of SIGTERM")
        assert _stops(exchange.pid) == resting


def _mounts(place: str, home: Path) -> dict[Path, tuple[str, bool]]:
    """The ConfigMap, the Secret and the volume of the place, with the rights that a kubelet gives them."""
    config, secrets, data = home / "config", home / "secrets", home / "data"
    (settings,) = [each for each in of_kind(place, "ConfigMap") if each["metadata"]["name"] == "guardd-config"]
    (secret,) = of_kind(place, "Secret")
    for folder in (config, secrets, data):
        folder.mkdir()
    for name, text in settings["data"].items():
        (config / name).write_text(text)
    for name, encoded in secret["data"].items():
        (secrets / name).write_text(ran("base64", "-d", given=encoded).stdout)
        (secrets / name).chmod(0o440)
        shutil.chown(secrets / name, 0, USER)
    shutil.chown(data, USER, USER)
    return {config: ("/etc/guardd", False), secrets: ("/run/secrets/guardd", False), data: ("/var/lib/guardd", True)}


def _stops(pid: int | None) -> list[str]:
    state = json.loads(ask(pid, "/_simulator/state", port=8642) or "{}")
    plans = state["accounts"]["main"]["plans"] if state else []
    return sorted(plan["plan_id"] for plan in plans if plan["client_id"].startswith("gd1"))


def _resident_bytes(pid: int | None) -> int:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024
