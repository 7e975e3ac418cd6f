"""Folders of accounts, as a person and as Kubernetes writes them."""

from pathlib import Path


def folder(root: Path, name: str, **files: str) -> Path:
    """Write an account; `settings` stands for settings.json."""
    made = root / name
    made.mkdir(exist_ok=True)
    for file, text in files.items():
        (made / (f"{file}.json" if file == "settings" else file)).write_text(text)
    return made


class Mounted:
    """A Secret as Kubernetes mounts it: links by way of `..data`, which is replaced at once."""

    def __init__(self, root: Path) -> None:
        self.root, self._n = root, 0

    def write(self, **accounts: str) -> None:
        self._n += 1
        version = self.root / f"..2026_{self._n}"
        version.mkdir()
        for name, token in accounts.items():
            (version / name).mkdir()
            (version / name / "token").write_text(token)
        (self.root / "..new").symlink_to(version.name)
        (self.root / "..new").replace(self.root / "..data")
        for name in accounts:
            if not (self.root / name).is_symlink():
                (self.root / name).symlink_to(f"..data/{name}")
        for link in self.root.iterdir():
            if not link.name.startswith(".") and link.name not in accounts:
                link.unlink()
