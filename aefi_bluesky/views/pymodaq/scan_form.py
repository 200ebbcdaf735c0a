"""The form of a spec: a parameter tree, and whether the bench can do it."""

# Qt's and PyMoDAQ's classes are only partly typed.
# pyright: basic, reportMissingImports=false

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pymodaq_gui.parameter import Parameter, ParameterTree
from qtpy import QtCore, QtWidgets

from aefi_bluesky.domain.spec.formats import ScanSpec, SpecKind
from aefi_bluesky.domain.spec.zone import Zone
from aefi_bluesky.views.pymodaq.client import Verdict
from aefi_bluesky.views.pymodaq.spec_tree import KIND, tree_of

TYPING_MS = 150
"""How long nothing must be typed before the bench is asked."""


class ScanForm(QtWidgets.QWidget):
    """A form of any kind of spec.

    Parameters
    ----------
    first
        Returns the spec that is shown first of a kind.
    """

    edited = QtCore.Signal()
    """Whatever was known of the values is not known any more."""

    changed = QtCore.Signal(dict)
    """The values, when nobody has typed for a while."""

    def __init__(self, first: Callable[[SpecKind], ScanSpec]) -> None:
        super().__init__()
        self._first = first
        self.tree = ParameterTree()
        self.verdict = QtWidgets.QLabel()
        self.verdict.setWordWrap(True)
        self.verdict.setTextFormat(QtCore.Qt.TextFormat.PlainText)
        layout = QtWidgets.QVBoxLayout(self)
        layout.addWidget(self.tree)
        layout.addWidget(self.verdict)
        self._typing = QtCore.QTimer(self)
        self._typing.setSingleShot(True)
        self._typing.setInterval(TYPING_MS)
        self._typing.timeout.connect(lambda: self.changed.emit(self.values()))
        # Another kind is shown later: the tree may not lose the row whose signal it is.
        self._other_kind = QtCore.QTimer(self)
        self._other_kind.setSingleShot(True)
        self._other_kind.timeout.connect(self._show_kind)
        self.settings: Any = None
        self.show_spec(first(SpecKind.FLY_MAP))

    def show_spec(self, spec: ScanSpec) -> None:
        """Fill the form with a spec."""
        self.settings = Parameter.create(
            name="scan", type="group", children=tree_of(spec)
        )
        self.tree.setParameters(self.settings, showTop=False)
        self.settings.sigTreeStateChanged.connect(self._value_changed)
        self._edited()

    def _edited(self) -> None:
        self.edited.emit()
        self._typing.start()

    def values(self) -> dict[str, Any]:
        """Return the values of the tree; see `spec_tree.spec_of`."""
        return _values(self.settings)

    def show_verdict(self, verdict: Verdict | None) -> None:
        """Show whether the bench can do what the form says; None: not known yet."""
        text = "" if verdict is None else verdict.text
        colour = "" if verdict is None or verdict.is_feasible else "color: #c0392b"
        if self.verdict.text() != text:
            self.verdict.setText(text)
            self.verdict.setStyleSheet(colour)

    def take_zone(self, zone: Zone) -> None:
        """Make a zone that of the map; nothing if the form is of no map."""
        if "zone" not in self.settings.names:
            return
        group = self.settings.child("zone")
        for name in ("x_min_mm", "x_max_mm", "y_min_mm", "y_max_mm"):
            group.child(name).setValue(getattr(zone, name))

    def _value_changed(self, _parameter: Any, changes: list[Any]) -> None:
        if any(each is self.settings.child(KIND) for each, _what, _data in changes):
            self._other_kind.start(0)
        self._edited()

    def _show_kind(self) -> None:
        spec = self._first(SpecKind(self.settings.child(KIND).value()))
        shared = {
            name: value
            for name, value in self.values().items()
            if name in ("zone", "n_avg", "excitation")
        }
        self.show_spec(spec)
        _fill(self.settings, shared)


def _values(parameter: Any) -> dict[str, Any]:
    return {
        child.name(): _values(child) if child.hasChildren() else child.value()
        for child in parameter.children()
    }


def _fill(parameter: Any, values: dict[str, Any]) -> None:
    for name, value in values.items():
        if name not in parameter.names:
            continue
        child = parameter.child(name)
        if isinstance(value, dict):
            _fill(child, value)
        else:
            child.setValue(value)
