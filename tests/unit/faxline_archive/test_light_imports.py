"""What takes long to load is loaded when it is needed, and not before."""

import subprocess
import sys
import zipfile
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from faxline_archive.signing_key import public_pem

HEAVY = "{'sqlalchemy', 'alembic', 'fpdf', 'uvicorn', 'starlette'}"


def python(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def test_a_proof_is_checked_without_a_database(tmp_path: Path) -> None:
    proof, key = tmp_path / "proof.zip", tmp_path / "archive.pem.pub"
    key.write_bytes(public_pem(Ed25519PrivateKey.generate().public_key()))
    with zipfile.ZipFile(proof, "w") as made:
        made.writestr("manifest.txt", "faxline-proof/default\nfax a\nat 2026-01-01T00:00:00Z\n\n")
    code = (
        "import sys, faxline.cli.running; from pathlib import Path; "
        "from faxline.reading.archive import verify_proof; "
        f"verdict = verify_proof(Path({str(proof)!r}), Path({str(key)!r})); "
        f"print(verdict.good, {HEAVY} & set(sys.modules) or 'none')"
    )
    assert python(code) == "False none\n"


def test_a_sandbox_is_configured_without_a_web_server() -> None:
    code = (
        "import sys; from faxline_sandbox import Account, SandboxConfig; SandboxConfig({'t': Account()}); "
        f"print({HEAVY} & set(sys.modules) or 'none'); from faxline_sandbox import serve, MAGIC_NUMBERS; "
        "print(serve.__name__, len(MAGIC_NUMBERS) > 1, 'uvicorn' in sys.modules)"
    )
    assert python(code) == "none\nserve True True\n"
