"""The window: docks, one timer, and nothing that measures.

The same stand-alone, at the prompt and in PyMoDAQ's Dashboard; only who builds the
client differs.
"""

# pyright: basic, reportMissingImports=false

from __future__ import annotations

import json
import logging
from concurrent.futures import Future
from functools import partial
from typing import Any

from pymodaq_gui.utils import Dock, DockArea
from qtpy import QtCore, QtGui

from aefi_bluesky.domain.errors import AefiError
from aefi_bluesky.domain.spec.formats import ScanSpec, from_plain, to_plain
from aefi_bluesky.domain.spec.zone import Zone
from aefi_bluesky.domain.study.events import ScanId, StudyId
from aefi_bluesky.domain.study.planned_scan import PlannedScanState
from aefi_bluesky.views.presenter import SHOWN, Presenter
from aefi_bluesky.views.pymodaq.client import ClientState, ScanClient, ServedBench
from aefi_bluesky.views.pymodaq.closing import ClosingDialog
from aefi_bluesky.views.pymodaq.first_specs import first_spec
from aefi_bluesky.views.pymodaq.run_bar import RunBar
from aefi_bluesky.views.pymodaq.scan_form import ScanForm
from aefi_bluesky.views.pymodaq.shown_docks import ShownDocks
from aefi_bluesky.views.pymodaq.study_panel import StudyPanel

logger = logging.getLogger(__name__)

REFRESH_MS = 100

STUDIES_MS = 1000
"""How often the studies are read: another program may change them too."""


class PyMoDAQView(QtCore.QObject):
    """Plans, carries out and shows scans in docks.

    Parameters
    ----------
    dockarea
        Gets the docks.
    client
        Carries out.
    presenter
        Has what is shown.
    refresh_ms
        How often is looked at both, in ms.
    """

    def __init__(
        self,
        dockarea: DockArea,
        client: ScanClient,
        presenter: Presenter,
        refresh_ms: int = REFRESH_MS,
    ) -> None:
        super().__init__()
        self.dockarea, self.client = dockarea, client
        self.form = ScanForm(partial(first_spec, bench=client.bench))
        self.bar, self.studies = RunBar(), StudyPanel()
        self.shown = ShownDocks(dockarea, presenter)
        self.map = self.shown.map
        self._recalled: ServedBench | None = None
        self._ended: Future[None] | None = None
        self._add_docks()
        self._connect()
        self._timer = QtCore.QTimer(self)
        self._timer.setInterval(refresh_ms)
        self._timer.timeout.connect(self.refresh)
        self._timer.start()
        self._stale = QtCore.QTimer(self)
        self._stale.setInterval(STUDIES_MS)
        self._stale.timeout.connect(client.refresh)
        self._stale.start()
        self.refresh()

    def _add_docks(self) -> None:
        self.docks = {"Scan": Dock("Scan"), "Studies": Dock("Studies")}
        for widget in (self.form, self.bar):
            self.docks["Scan"].addWidget(widget)
        self.docks["Studies"].addWidget(self.studies)
        self.dockarea.addDock(self.docks["Scan"], "left")
        self.dockarea.addDock(self.docks["Studies"], "bottom", self.docks["Scan"])
        self.docks |= self.shown.docks

    def _connect(self) -> None:
        client, buttons = self.client, self.bar.buttons
        for name, act in {
            "open": client.open,
            "run": self._run,
            "next": self._run_next,
            "pause": client.pause,
            "resume": client.resume,
            "stop": client.stop,
            "abort": client.abort,
        }.items():
            buttons[name].clicked.connect(lambda _checked=False, act=act: act())
        self.form.edited.connect(self._doubt)
        self.form.changed.connect(client.check)
        self.studies.created.connect(self._create_study)
        self.studies.retried.connect(
            lambda study, scan: client.retry(StudyId(study), ScanId(scan))
        )
        self.studies.run_opened.connect(self._open_run)
        self.map.place_chosen.connect(client.move_to)
        self.map.region_chosen.connect(self._take_region)

    # -- what is shown -----------------------------------------------------------

    def refresh(self) -> None:
        """Look at the client and the presenter, and show what changed."""
        status = self.client.status
        served = self.client.served
        if served is not None and served is not self._recalled:
            self._recalled = served
            self._recall(served)
        self.studies.show_studies(status.studies)
        self.form.show_verdict(status.verdict)
        self.shown.refresh()
        study = self.studies.study
        self.bar.show_status(
            status,
            self.client.progress(),
            self.shown.time_left_s,
            takes_scans=self.studies.takes_scans,
            has_pending=study is not None
            and any(s.state is PlannedScanState.PENDING for s in study.scans),
        )

    # -- what a person does ------------------------------------------------------

    def _doubt(self) -> None:
        """Forget what was known of the form; until it is known again, nothing runs."""
        self.client.doubt()
        self.bar.buttons["run"].setEnabled(False)

    def _run(self) -> None:
        verdict, study = self.client.status.verdict, self.studies.study
        if verdict is None or verdict.spec is None or study is None:
            return
        self._keep(verdict.spec)
        role, reference = self.studies.chosen_role, self.studies.chosen_reference
        self.client.run(study.id, verdict.spec, role, reference)

    def _create_study(self, study: str, measured_object: str, operator: str) -> None:
        self.studies.wish(study)
        self.client.create_study(study, measured_object, operator)

    def _run_next(self) -> None:
        if (study := self.studies.study) is not None:
            self.client.run_next(study.id)

    def _take_region(
        self, x_min: float, x_max: float, y_min: float, y_max: float
    ) -> None:
        self.form.take_zone(Zone(*(round(e, 3) for e in (x_min, x_max, y_min, y_max))))

    def _open_run(self, uid: str) -> None:
        served = self.client.served
        url = None if served is None else served.run_url(uid)
        if url is not None:
            QtGui.QDesktopServices.openUrl(QtCore.QUrl(url))

    # -- what is kept from one window to the next --------------------------------

    def _keep(self, spec: ScanSpec) -> None:
        if (served := self.client.served) is None:
            return
        kept = {
            "spec": to_plain(spec),
            "study": self.studies.chooser.currentText(),
            "shown": self.map.chooser.currentText(),
        }
        try:
            served.settings.write_text(json.dumps(kept, indent=1))
        except OSError as err:
            logger.warning("what was chosen could not be kept: %s", err)

    def _recall(self, served: ServedBench) -> None:
        kept: dict[str, Any] = {}
        if served.settings.exists():
            try:
                kept = json.loads(served.settings.read_text())
                self.form.show_spec(from_plain(kept["spec"]))
            except (OSError, ValueError, KeyError, TypeError, AefiError) as err:
                logger.warning("%s was left out: %s", served.settings, err)
        self.studies.wish(str(kept.get("study", "")))
        if kept.get("shown") in SHOWN:
            self.map.chooser.setCurrentText(kept["shown"])
        self.client.check(self.form.values())

    # -- the end -----------------------------------------------------------------

    def close(self) -> None:
        """End the session and return when that is over; Qt's events are served."""
        if self._ended is None and self.client.status.state is not ClientState.CLOSED:
            self._ended = self.client.close()
        if self._ended is not None and not self._ended.done():
            ClosingDialog(self.dockarea, self._ended).wait()
        self._timer.stop()
        self._stale.stop()
        self.client.shut_down()
