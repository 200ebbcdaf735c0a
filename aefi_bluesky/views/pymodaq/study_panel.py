"""Studies and their scans, as a table of two levels."""

# pyright: basic, reportMissingImports=false

from __future__ import annotations

from collections.abc import Sequence

from qtpy import QtCore, QtWidgets

from aefi_bluesky.domain.spec.formats import kind_of
from aefi_bluesky.domain.study.events import ScanId
from aefi_bluesky.domain.study.planned_scan import (
    PlannedScan,
    PlannedScanState,
    ScanRole,
)
from aefi_bluesky.domain.study.study import Study, StudyState

_COLUMNS = ("study, scan", "role", "kind", "state", "cause", "run")
_WIDE = (150, 80, 80, 90, 220, 80)
_SCAN = QtCore.Qt.ItemDataRole.UserRole

_RETRIED = (PlannedScanState.FAILED, PlannedScanState.CANCELLED)


class StudyPanel(QtWidgets.QWidget):
    """Chooses a study, creates one, and plans a scan of it again."""

    created = QtCore.Signal(str, str, str)
    """Identifier, object and operator of a study that is wanted."""

    retried = QtCore.Signal(str, str)
    """Study and scan."""

    run_opened = QtCore.Signal(str)
    """Uid of a run that is to be looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.chooser = QtWidgets.QComboBox()
        self.role = QtWidgets.QComboBox()
        self.role.addItems([role.value for role in ScanRole])
        self.reference = QtWidgets.QComboBox()
        self.new = QtWidgets.QPushButton("New study…")
        self.retry = QtWidgets.QPushButton("Retry")
        self.retry.setToolTip("Plans the chosen scan again, which did not complete")
        self.table = QtWidgets.QTreeWidget()
        self.table.setHeaderLabels(_COLUMNS)
        for column, width in enumerate(_WIDE):
            self.table.setColumnWidth(column, width)
        self._studies: tuple[Study, ...] = ()
        self._wished = ""
        self._lay_out()
        self.chooser.currentTextChanged.connect(lambda _: self._offer_references())
        self.role.currentTextChanged.connect(lambda _: self._offer_references())
        self.new.clicked.connect(self._ask_for_study)
        self.retry.clicked.connect(self._retry)
        self.table.itemSelectionChanged.connect(self._selected)
        self.table.itemDoubleClicked.connect(self._double_clicked)
        self._selected()

    def _lay_out(self) -> None:
        form = QtWidgets.QFormLayout()
        form.addRow("Study", self.chooser)
        form.addRow("Role", self.role)
        form.addRow("Reference", self.reference)
        buttons = QtWidgets.QHBoxLayout()
        buttons.addWidget(self.new)
        buttons.addWidget(self.retry)
        layout = QtWidgets.QVBoxLayout(self)
        layout.addLayout(form)
        layout.addLayout(buttons)
        layout.addWidget(self.table, 1)

    # -- what is chosen -----------------------------------------------------------

    @property
    def study(self) -> Study | None:
        """The study that the next scan is of."""
        name = self.chooser.currentText()
        return next((each for each in self._studies if each.id == name), None)

    @property
    def chosen_role(self) -> ScanRole:
        """What the next scan is for."""
        return ScanRole(self.role.currentText())

    @property
    def chosen_reference(self) -> ScanId | None:
        """The scan that the next one is compared with; None for none."""
        found = self.reference.currentText()
        return ScanId(found) if found else None

    @property
    def takes_scans(self) -> bool:
        """Whether the chosen study can get one more scan, in the chosen role."""
        study = self.study
        if study is None or study.state not in _OPEN:
            return False
        needs = self.chosen_role is ScanRole.OBJECT
        return not needs or self.chosen_reference is not None

    def wish(self, name: str) -> None:
        """Choose a study as soon as it is there."""
        self._wished = name
        self._fulfil()

    def _fulfil(self) -> None:
        if self._wished and self.chooser.findText(self._wished) >= 0:
            self.chooser.setCurrentText(self._wished)
            self._wished = ""

    # -- what is shown -------------------------------------------------------------

    def show_studies(self, studies: tuple[Study, ...]) -> None:
        """Show studies; those that are open can be chosen."""
        if studies == self._studies:
            return
        selected = self._selected_scan()
        self._studies = studies
        names = [study.id for study in studies if study.state in _OPEN]
        _offer(self.chooser, names)
        self._fulfil()
        self._offer_references()
        self.table.clear()
        for study in studies:
            self._add(study, selected)
        self._selected()

    def _add(self, study: Study, selected: tuple[str, str] | None) -> None:
        about = f"{study.measured_object.reference}, {study.operator}"
        top = QtWidgets.QTreeWidgetItem([study.id, "", "", str(study.state), about, ""])
        self.table.addTopLevelItem(top)
        top.setExpanded(study.state in _OPEN)
        for scan in study.scans:
            row = QtWidgets.QTreeWidgetItem(_words(scan))
            row.setData(0, _SCAN, (study.id, scan.id))
            row.setToolTip(4, scan.cause)
            top.addChild(row)
            row.setSelected(selected == (study.id, scan.id))

    def _offer_references(self) -> None:
        study, role = self.study, self.chosen_role
        compared = role in (ScanRole.OBJECT, ScanRole.REPETITION)
        scans = () if study is None or not compared else study.scans
        names = [scan.id for scan in scans if scan.state is PlannedScanState.COMPLETED]
        offered = names if role is ScanRole.OBJECT else ["", *names]
        _offer(self.reference, offered)
        if self.reference.currentIndex() < 0 and offered:
            self.reference.setCurrentIndex(0)
        self.reference.setEnabled(compared)

    # -- what a person does ----------------------------------------------------------

    def _ask_for_study(self) -> None:
        dialog = NewStudyDialog(self)
        if dialog.exec():
            self.created.emit(*dialog.answers)

    def _selected_scan(self) -> tuple[str, str] | None:
        rows = self.table.selectedItems()
        return rows[0].data(0, _SCAN) if rows else None

    def _scan(self, selected: tuple[str, str] | None) -> PlannedScan | None:
        if selected is None:
            return None
        study_id, scan_id = selected
        study = next((each for each in self._studies if each.id == study_id), None)
        return None if study is None else study.scan(ScanId(scan_id))

    def _selected(self) -> None:
        scan = self._scan(self._selected_scan())
        self.retry.setEnabled(scan is not None and scan.state in _RETRIED)

    def _retry(self) -> None:
        selected = self._selected_scan()
        if selected is not None:
            self.retried.emit(*selected)

    def _double_clicked(self, row: QtWidgets.QTreeWidgetItem, _column: int) -> None:
        scan = self._scan(row.data(0, _SCAN))
        if scan is not None and scan.run_uid:
            self.run_opened.emit(scan.run_uid)


class NewStudyDialog(QtWidgets.QDialog):
    """Asks for what a study must have."""

    def __init__(self, parent: QtWidgets.QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("New study")
        self.fields = {
            name: QtWidgets.QLineEdit() for name in ("Identifier", "Object", "Operator")
        }
        form = QtWidgets.QFormLayout(self)
        for name, field in self.fields.items():
            form.addRow(name, field)
            field.textChanged.connect(self._typed)
        kinds = QtWidgets.QDialogButtonBox.StandardButton
        self.buttons = QtWidgets.QDialogButtonBox(kinds.Ok | kinds.Cancel)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        form.addRow(self.buttons)
        self._typed()

    @property
    def answers(self) -> tuple[str, str, str]:
        """Identifier, object and operator."""
        study, measured, operator = (
            field.text().strip() for field in self.fields.values()
        )
        return study, measured, operator

    def _typed(self) -> None:
        ok = self.buttons.button(QtWidgets.QDialogButtonBox.StandardButton.Ok)
        ok.setEnabled(all(self.answers))


_OPEN = (StudyState.CONFIGURED, StudyState.IN_PROGRESS)


def _words(scan: PlannedScan) -> list[str]:
    run = (scan.run_uid or "")[:8]
    kind = kind_of(scan.spec).value
    return [scan.id, scan.role.value, kind, str(scan.state), scan.cause, run]


def _offer(chooser: QtWidgets.QComboBox, names: Sequence[str]) -> None:
    """Offer other names; one that is gone is not replaced by another in silence."""
    if [chooser.itemText(at) for at in range(chooser.count())] == list(names):
        return
    was_empty, chosen = chooser.count() == 0, chooser.currentText()
    chooser.clear()
    chooser.addItems(names)
    if not was_empty:
        chooser.setCurrentIndex(chooser.findText(chosen))
