"""The bill of materials: CycloneDX JSON of what the daemon runs with, the same bytes for the same lock."""

import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, requires
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.contrib.hash.factories import HashTypeFactory
from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from faxline_supply.licences import UNKNOWN, licence_of
from faxline_supply.locks import ROOT, Locked, python_lock


def sbom() -> str:
    """The bill of materials of `requirements/worker.lock`.

    Each package has its licence and the hashes of all its files, of which one is installed.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    packages = python_lock("worker")
    root = Component(name=project["name"], version=project["version"], type=ComponentType.APPLICATION)
    root.purl = PackageURL("pypi", name=project["name"], version=project["version"])
    root.bom_ref.value = str(root.purl)
    components = {package.name: _component(package) for package in packages}
    bom = Bom(components=components.values())
    bom.metadata.component = root
    wanted = [*project["dependencies"], *project["optional-dependencies"]["worker"]]
    bom.register_dependency(root, [components[name] for name in _names(wanted) if name in components])
    for name, component in components.items():
        needed = [components[other] for other in _names(_requires(name)) if other in components]
        bom.register_dependency(component, needed)
    seed = "\n".join(f"{package.name}=={package.version} {package.hashes}" for package in sorted(packages))
    bom.serial_number = uuid5(NAMESPACE_URL, f"{root.purl} {seed}")
    bom.metadata.timestamp = None  # type: ignore[assignment] # the schema lets it out; a time would differ each time
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def _component(package: Locked) -> Component:
    licence = licence_of(package.name)
    purl = PackageURL("pypi", name=package.name, version=package.version)
    return Component(
        name=package.name,
        version=package.version,
        type=ComponentType.LIBRARY,
        purl=purl,
        bom_ref=str(purl),
        hashes=[HashTypeFactory().from_composite_str(text) for text in package.hashes],
        licenses=[] if licence == UNKNOWN else [LicenseFactory().make_from_string(licence)],
        properties=[Property(name="faxline:marker", value=package.marker)] if package.marker else [],
    )


def _requires(name: str) -> list[str]:
    try:
        return requires(name) or []
    except PackageNotFoundError:  # one of another platform
        return []


def _names(requirements: Iterable[str]) -> Iterator[str]:
    """What requirements name, those of an extra left out."""
    for text in requirements:
        requirement = Requirement(text)
        if "extra" not in str(requirement.marker or ""):
            yield canonicalize_name(requirement.name)
