"""`make up` and `make down`: secrets and sample data on the first day, then Docker Compose.

    python orchestration/compose.py up|down [--data]

Everything it makes lies in HAULIER_COMPOSE_HOME, .haulier/compose unless that is set. Exit code: Compose's own.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import secrets
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SAMPLE_DAYS = 5
_SOCKET = Path("/var/run/docker.sock")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("verb", choices=("up", "prepare", "down"))
    parser.add_argument(
        "--data", action="store_true", help="down: remove all that was written, secrets and volumes"
    )
    asked = parser.parse_args()
    home = Path(os.environ.get("HAULIER_COMPOSE_HOME") or ROOT / ".haulier" / "compose").absolute()
    if asked.verb == "down":
        return down(home, data=asked.data)
    prepare(home)
    return 0 if asked.verb == "prepare" else up(home)


def prepare(home: Path) -> None:
    """Write what is not there yet; nothing that is there is changed."""
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o700)
    _secrets(home / "secrets")
    definitions = Path(os.environ.get("HAULIER_DEFINITIONS") or home / "definitions").absolute()
    landing = Path(os.environ.get("HAULIER_LANDING") or home / "landing").absolute()
    if not definitions.exists():
        _sample(definitions, landing)
    landing.mkdir(parents=True, exist_ok=True)
    _write(home / "steps.env", _STEPS_ENVIRONMENT)
    _write(home / "airflow.env", "# AIRFLOW__SECTION__KEY=value lines of your own.\n")
    told = {
        "HAULIER_PROJECT": os.environ.get("HAULIER_PROJECT") or "haulier",
        "HAULIER_COMPOSE_HOME": str(home),
        "HAULIER_DEFINITIONS": str(definitions),
        "HAULIER_LANDING": str(landing),
        "DOCKER_GROUP": str(_SOCKET.stat().st_gid if _SOCKET.exists() else 0),
        **{
            name: os.environ[name]
            for name in (
                "TAG",
                "HAULIER_WEB_PORT",
                "HAULIER_POSTGRES_PORT",
                "HAULIER_S3_PORT",
                "HAULIER_ALERT_URL",
                "OPENLINEAGE_URL",
            )
            if os.environ.get(name)
        },
    }
    (home / "compose.env").write_text("".join(f"{k}={v}\n" for k, v in told.items()), encoding="utf-8")
    if home == ROOT / ".haulier" / "compose":
        # Where Compose looks by itself, so that a person needs no option.
        shutil.copyfile(home / "compose.env", ROOT / ".env")


def up(home: Path) -> int:
    """Start everything and wait until it is healthy; then say where to look."""
    code = compose(home, "up", "--detach", "--wait", "--wait-timeout", "300", "--quiet-pull")
    if code:
        return code
    environment = dict(line.split("=", 1) for line in (home / "compose.env").read_text().splitlines())
    web = environment.get("HAULIER_WEB_PORT", "8080")
    database = environment.get("HAULIER_POSTGRES_PORT", "5433")
    secret = home / "secrets" / "airflow" / "admin_password"
    password = home / "secrets" / "steps" / "pg_password"
    landing, definitions = (
        _near(Path(environment[name])) for name in ("HAULIER_LANDING", "HAULIER_DEFINITIONS")
    )
    sys.stdout.write(
        f"""
Haulier is up.

  Airflow      http://127.0.0.1:{web}   user admin, password: cat {_near(secret)}
  PostgreSQL   PGPASSWORD=$(cat {_near(password)}) psql -h 127.0.0.1 -p {database} -U haulier haulier
  files        {landing}/SITE/DAY/…  (definitions: {definitions})
  the ledger   docker compose run --rm haulier status

The DAGs run by themselves. To stop: make down
"""
    )
    return 0


def down(home: Path, *, data: bool) -> int:
    """Stop; with ``data`` remove volumes, secrets and sample files, too."""
    if not (home / "compose.env").exists():
        sys.stdout.write("nothing was started from here\n")
        return 0
    code = compose(home, "down", *(["--volumes"] if data else []), "--timeout", "30")
    if data and not code:
        shutil.rmtree(home)
        (ROOT / ".env").unlink(missing_ok=True)
    return code


def compose(home: Path, *arguments: str) -> int:
    files = ("--env-file", str(home / "compose.env"), "--file", str(ROOT / "docker-compose.yml"))
    command = ["docker", "compose", *files, *arguments]
    return subprocess.run(command, check=False).returncode


def _secrets(folder: Path) -> None:
    """Each as a file of its own, in a folder per reader. The folder above lets nobody else of this machine in;
    inside a container the numeric users of the images must be able to read them."""
    if folder.exists():
        return
    making = folder.with_suffix(".new")
    shutil.rmtree(making, ignore_errors=True)
    target, metadata = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
    access, secret = secrets.token_hex(10), secrets.token_urlsafe(30)
    identity = {
        "name": "haulier",
        "credentials": [{"accessKey": access, "secretKey": secret}],
        "actions": ["Admin", "Read", "List", "Tagging", "Write"],
    }
    files = {
        "steps/pg_password": target,
        "steps/s3_access_key": access,
        "steps/s3_secret_key": secret,
        "postgres/password": target,
        "s3/s3.json": json.dumps({"identities": [identity]}),
        "airflow/metadata_password": metadata,
        "airflow/sql_alchemy_conn": f"postgresql+psycopg2://airflow:{metadata}@metadata/airflow",
        "airflow/fernet_key": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "airflow/jwt_secret": secrets.token_urlsafe(48),
        "airflow/secret_key": secrets.token_urlsafe(48),
        "airflow/admin_password": secrets.token_urlsafe(12),
    }
    for name, content in files.items():
        path = making / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        path.chmod(0o444)
    _certificate(making / "postgres")
    shutil.copyfile(making / "postgres" / "tls.crt", making / "steps" / "ca.crt")
    making.rename(folder)


def _certificate(folder: Path) -> None:
    """PostgreSQL's key and its own certificate, which the steps trust and no other."""
    made = subprocess.run(
        [
            *("docker", "run", "--rm", "--entrypoint", "openssl", "postgres:17"),
            *(
                "req",
                "-new",
                "-x509",
                "-days",
                "3650",
                "-nodes",
                "-newkey",
                "rsa:3072",
                "-subj",
                "/CN=postgres",
            ),
            *(
                "-addext",
                "subjectAltName=DNS:postgres,DNS:localhost,IP:127.0.0.1",
                "-keyout",
                "-",
                "-out",
                "-",
            ),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise SystemExit(f"no certificate could be made with the image postgres:17:\n{made.stderr}")
    key, _, certificate = made.stdout.partition("-----BEGIN CERTIFICATE-----")
    for name, content in (("tls.key", key), ("tls.crt", f"-----BEGIN CERTIFICATE-----{certificate}")):
        path = folder / name
        path.write_text(content, encoding="ascii")
        path.chmod(0o444)


def _sample(definitions: Path, landing: Path) -> None:
    """The clinical example, as if its trial had begun a few days ago, and what its sites have sent since."""
    start = (datetime.now(UTC) - timedelta(days=SAMPLE_DAYS)).date()
    examples = ROOT / "examples" / "clinical"
    for name in ("pipelines", "contracts", "functions"):
        shutil.copytree(examples / name, definitions / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (definitions / "pipelines").glob("*.yaml"):
        lines = path.read_text(encoding="utf-8").splitlines()
        changed = [f"start: {start}" if line.startswith("start: ") else line for line in lines]
        path.write_text("\n".join([*changed, ""]), encoding="utf-8")
    generator = [sys.executable, "-m", "generator", str(landing), "--start", str(start)]
    subprocess.run(generator, cwd=examples, check=True)


def _write(path: Path, text: str) -> None:
    if not path.exists():
        path.write_text(text, encoding="utf-8")


def _near(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


#: Every step's environment: `docker run --env-file` reads it, too. Nothing here is secret.
_STEPS_ENVIRONMENT = """\
HAULIER_EXCHANGE=s3://haulier/exchange
HAULIER_ACTOR=airflow
PGHOST=postgres
PGPORT=5432
PGUSER=haulier
PGDATABASE=haulier
PGPASSWORD_FILE=/run/secrets/steps/pg_password
PGSSLMODE=verify-full
PGSSLROOTCERT=/run/secrets/steps/ca.crt
AWS_ENDPOINT_URL=http://s3:8333
AWS_REGION=us-east-1
AWS_ACCESS_KEY_ID_FILE=/run/secrets/steps/s3_access_key
AWS_SECRET_ACCESS_KEY_FILE=/run/secrets/steps/s3_secret_key
"""

if __name__ == "__main__":
    sys.exit(main())
