"""The licences of the locked packages, as SPDX expressions, and which of them we take.

A package's own metadata is believed, in this order: its License-Expression, its classifiers, its License.
What says it in no way that a machine reads stands in `BY_HAND`, after a look.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, metadata

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from faxline_supply.locks import NPM_LOCKS, PYTHON_LOCKS, Locked, npm_lock, python_lock

ALLOWED: Mapping[str, str] = {
    "0BSD": "permissive",
    "Apache-2.0": "permissive",
    "BSD-2-Clause": "permissive",
    "BSD-3-Clause": "permissive",
    "CC0-1.0": "permissive",
    "ISC": "permissive",
    "MIT": "permissive",
    "MIT-0": "permissive",
    "PSF-2.0": "permissive",
    "Unlicense": "permissive",
    "Zlib": "permissive",
    "OFL-1.1": "for fonts: used and passed on freely, not sold by themselves",
    "MPL-2.0": "changes to its own files are to be published; we change none",
    "LGPL-3.0-or-later": "changes to it are to be published, its user may replace it; imported as it is",
}
"""What may be used and passed on beside code under any other terms, and on which condition."""

BY_HAND: Mapping[str, str] = {
    "async-timeout": "Apache-2.0",  # only for Python before 3.11.3, so not installed everywhere
    "colorama": "BSD-3-Clause",  # only for Windows
    "pypdfium2": "(BSD-3-Clause OR Apache-2.0) AND BSD-3-Clause",  # its own, and that of the PDFium in it
}

_CLASSIFIERS: Mapping[str, str] = {
    "Apache Software License": "Apache-2.0",
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
_TEXTS: Mapping[str, str] = {
    "Apache": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "BSD 2-Clause License": "BSD-2-Clause",
    "3-Clause BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "MIT license": "MIT",
}

UNKNOWN = "unknown"


def licence_of(name: str) -> str:
    """The licence of an installed package as an SPDX expression, or `unknown`."""
    if name in BY_HAND:
        return BY_HAND[name]
    try:
        told = metadata(name)
    except PackageNotFoundError:
        return UNKNOWN
    text = (told.get_all("License") or [""])[0]
    classes = [
        line.split(" :: ")[-1] for line in told.get_all("Classifier") or () if line.startswith("License ::")
    ]
    for candidate in (
        *(told.get_all("License-Expression") or ()),
        *map(_CLASSIFIERS.get, classes),
        _TEXTS.get(text),
        text,
    ):
        if (expression := spdx(candidate or "")) != UNKNOWN:
            return expression
    return UNKNOWN


def spdx(text: str) -> str:
    """The canonical form of an SPDX expression; `unknown` where it is none."""
    try:
        return canonicalize_license_expression(text)
    except InvalidLicenseExpression:
        return UNKNOWN


def allowed(expression: str) -> bool:
    """Whether a licence may be taken: of `OR` one part must be in `ALLOWED`, of `AND` each."""
    text = expression.strip()
    for word, taken in ((" AND ", all), (" OR ", any)):
        parts = _split(text, word)
        if len(parts) > 1:
            return taken(map(allowed, parts))
    if text.startswith("(") and text.endswith(")"):
        return allowed(text[1:-1])
    return text in ALLOWED


def npm_licences() -> dict[str, Counter[str]]:
    """How many packages of each npm lock have which licence, as the lock itself says."""
    return {
        folder: Counter(spdx(str(package.get("license"))) for package in npm_lock(folder).values())
        for folder in NPM_LOCKS
    }


def page() -> str:
    """docs/licences.md."""
    locks = {name: python_lock(name) for name in PYTHON_LOCKS}
    runs = {package.name for package in locks["worker"]}
    every = {package.name: package for lock in locks.values() for package in lock}
    rest = [package for name, package in every.items() if name not in runs]
    lines = [
        "# Licences of what Faxline uses",
        "",
        "`make licences` writes this page from the locks and the metadata of the installed packages. A test",
        "fails when a package has another licence than these, or none that is known. Faxline itself is under",
        "the MIT licence; each of these may be used beside it, on the condition that is named.",
        "",
        "| licence | condition |",
        "|---|---|",
        *(f"| {name} | {condition} |" for name, condition in sorted(ALLOWED.items())),
        "",
        "## What the daemon runs with",
        "",
        *_table(locks["worker"]),
        "",
        "The wheel of pypdfium2 carries PDFium and the libraries in it (FreeType, libjpeg-turbo, libpng,",
        "zlib, ICU and others), each under a permissive licence of its own, whose texts lie in its folder",
        "`licenses`. Its wheels for musl (Alpine; not our image) also hold parts of GCC's runtime: GPL with",
        "the runtime exception.",
        "",
        "## What builds, checks and traces it",
        "",
        "The packages of the extra `otel` and of those who work on Faxline; the image has none of them.",
        "",
        *_table(rest),
        "",
        "## npm",
        "",
        "An example of a producer, a test, and the drawing of one picture; nothing of it is passed on. The",
        "word is the lock's own; some of the picture's packages say none there.",
        "",
        "| lock | licences |",
        "|---|---|",
        *(
            f"| `{folder}` | {', '.join(f'{name} {count}' for name, count in sorted(counted.items()))} |"
            for folder, counted in npm_licences().items()
        ),
    ]
    return "\n".join(lines) + "\n"


def _table(packages: Iterable[Locked]) -> list[str]:
    rows = [
        f"| {package.name} | {package.version} | {licence_of(package.name)} |" for package in sorted(packages)
    ]
    return ["| package | version | licence |", "|---|---|---|", *rows]


def _split(text: str, word: str) -> list[str]:
    """The parts of a text between a word, which counts outside of parentheses alone."""
    parts, depth, start = [], 0, 0
    for place, character in enumerate(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth == 0 and text.startswith(word, place):
            parts.append(text[start:place])
            start = place + len(word)
    return [*parts, text[start:]]
