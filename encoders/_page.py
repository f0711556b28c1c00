"""Where the documentation of a class is, for the link in its representation in notebooks."""

from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

DOCUMENTED = ("encoders", "learners")
REFERENCE = "reference/{package}.html"


def page_of(cls: type) -> str:
    """The address of the section about a class, or "" where there are no pages.

    It is below the documentation's address that the installed distribution names; of a checkout, it is the page that
    ``make docs`` has built.
    """
    package = cls.__module__.partition(".")[0]
    if package not in DOCUMENTED:
        return ""
    page = f"{REFERENCE.format(package=package)}#{package}.{cls.__name__}"
    try:
        links = dict(link.split(", ", 1) for link in metadata("mod97").get_all("Project-URL") or ())
    except (PackageNotFoundError, ValueError):
        links = {}
    if address := links.get("Documentation"):
        return f"{address.rstrip('/')}/{page}"
    built = Path(__file__).resolve().parents[1] / "docs/_build/html"
    file, _, anchor = page.partition("#")
    return f"{(built / file).as_uri()}#{anchor}" if (built / file).exists() else ""
