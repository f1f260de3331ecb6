"""Run folder -> figures for papers: SVG, PNG and the data behind each as CSV."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from headstart import storage
from headstart.errors import MissingExtraError, RunError
from headstart.report import charts, content, heatmaps, matrices
from headstart.report.content import Findings
from headstart.report.figures import Chart, Panel
from headstart.report.plates import plate
from headstart.runs.folder import RunFolder
from headstart.runs.history import is_run

MARKER = ".headstart-figures"
"""The file in a folder of figures that names those which headstart wrote there, one a line: only they are replaced."""


def write_figures(folder: RunFolder, directory: Path) -> tuple[Path, ...]:
    """Write every figure of a finished study as SVG and PNG, with its data as CSV; return the paths.

    Nothing is written before everything is drawn. Other files in the directory are left alone.

    Raises:
        RunError: the study is not finished, a file is missing or damaged, or the directory is a file, a run folder, or
            holds files of the same names that headstart did not write.
        MissingExtraError: matplotlib is not installed.
    """
    check_place(directory)
    findings = content.gather(folder)
    try:
        files = dict(_files(folder, findings))
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "study") from error
    _claim(directory, files)
    for name, data in files.items():
        storage.write_bytes(directory / name, data)
    return tuple(directory / name for name in files)


def check_place(directory: Path) -> None:
    """Raise RunError where figures may not be written: the directory is a file or a run folder."""
    if directory.exists() and not directory.is_dir():
        raise RunError(f"{directory} is a file. --figures needs a folder: choose another name.")
    if is_run(directory):
        raise RunError(
            f"{directory} is a run folder, whose files stay as they are. Choose another folder for --figures."
        )


def _claim(directory: Path, names: Collection[str]) -> None:
    """Note which files are headstart's, before they are written; raise RunError where one is somebody else's."""
    marker = directory / MARKER
    ours = set(marker.read_text("utf-8", errors="replace").splitlines()) if marker.is_file() else set()
    foreign = sorted(name for name in names if name not in ours and (directory / name).exists())
    if foreign:
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        raise RunError(
            f"{directory / foreign[0]}{more} would be overwritten, which headstart did not write. "
            "Choose another folder for --figures."
        )
    storage.write_text(marker, "".join(f"{name}\n" for name in sorted(ours.union(names))))


def _files(folder: RunFolder, findings: Findings) -> Iterator[tuple[str, bytes]]:
    for chart in all_charts(folder, findings):
        for panel in chart.panels:
            yield from _drawn(panel)
        yield chart.download.name, chart.download.text.encode()


def _drawn(panel: Panel) -> Iterator[tuple[str, bytes]]:
    made = plate(panel)
    yield f"{panel.name}.svg", made.svg
    yield f"{panel.name}.png", made.png


def all_charts(folder: RunFolder, findings: Findings) -> Iterator[Chart]:
    """Yield the ranking, the page's figures in its order, the map, then the confusion matrices."""
    ranked = content.ranking(findings.summary)
    classes = findings.summary.dataset.classes
    yield charts.ranking(ranked)
    yield from charts.gather(findings, ranked).all()
    yield from filter(None, (charts.image_map(folder.map(), classes),))
    downloads = {matrix.part: matrix.download for matrix in matrices.gather(findings)}
    for part in matrices.parts(findings):
        panels = tuple(heatmaps.matrix_panel(part, classes, kind) for kind in heatmaps.KINDS)
        yield Chart(panels, downloads[part.name])
