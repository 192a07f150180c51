"""The linter of Dockerfiles."""

from pathlib import Path

from tests.deploy.tools import DEPLOY, ran, tool

DOCKERFILE = DEPLOY / "container/Dockerfile"


def test_the_linter_has_nothing_to_say() -> None:
    done = ran(tool("hadolint"), "--failure-threshold", "style", DOCKERFILE)
    assert (done.returncode, done.stdout) == (0, "")


def test_a_mistake_would_be_seen(tmp_path: Path) -> None:
    wrong = tmp_path / "Dockerfile"
    wrong.write_text(
        DOCKERFILE.read_text().replace("WORKDIR /src", "RUN cd /src").replace("--only-binary=:all: ", "", 1)
    )
    done = ran(tool("hadolint"), "--failure-threshold", "style", wrong)
    assert done.returncode != 0
    assert "DL3003" in done.stdout
