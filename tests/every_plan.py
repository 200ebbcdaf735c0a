"""Every plan of the package with small arguments, as generators on a bench."""

from __future__ import annotations

from aefi_bluesky import plans
from aefi_bluesky.domain.spec.fly_spec import FlyScanSpec, Zone
from aefi_bluesky.testing.builders import a_spec

ZONE = {
    "x_min_mm": 620.0,
    "x_max_mm": 630.0,
    "n_x": 3,
    "y_min_mm": 600.0,
    "y_max_mm": 612.0,
    "n_y": 4,
}
LINE = {"slow_mm": 620.0, "fast_min_mm": 600.0, "fast_max_mm": 640.0}
PLACE = {"x_mm": 625.0, "y_mm": 605.0}


def _spec(**changes) -> FlyScanSpec:
    return a_spec(zone=Zone(620.0, 630.0, 600.0, 612.0), n_x=3, n_y=4, **changes)


def _in_run(bench):
    import bluesky.preprocessors as bpp

    @bpp.stage_decorator([bench.flyer])
    @bpp.run_decorator(md={})
    def inner():
        yield from plans.fly_in_run(bench.flyer, bench.flyer.plan(_spec()))

    return inner()


def _prepared_lines(bench):
    import bluesky.plan_stubs as bps
    import bluesky.preprocessors as bpp

    @bpp.stage_decorator([bench.flyer])
    def inner():
        yield from bps.prepare(bench.flyer, bench.flyer.plan(_spec()), wait=True)
        yield from bpp.run_wrapper(plans.fly_lines(bench.flyer), md={})

    return inner()


def _study(bench):
    """Two scans of a study: one that is flown, one at rest."""
    from aefi_bluesky.application.in_memory import InMemoryStudyRepository
    from aefi_bluesky.application.study_service import StudyService
    from aefi_bluesky.domain.study.events import ScanId, StudyId
    from aefi_bluesky.domain.study.study import ScanRole
    from aefi_bluesky.session.study_runs import RunEngineScanExecutor
    from aefi_bluesky.testing.builders import a_step_spec, an_object

    studies = InMemoryStudyRepository()
    executor = RunEngineScanExecutor(bench.RE, bench.run_maker, bench.port)
    service = StudyService(
        studies,
        executor,
        bench.description,
        at_rest=executor,
    )
    study = StudyId("study")
    service.create_study(study, an_object(), "me")
    service.configure_study(study)
    service.add_scan(study, ScanId("flown"), _spec(), ScanRole.PRE_SCAN)
    service.add_scan(study, ScanId("at rest"), a_step_spec(), ScanRole.PRE_SCAN)
    return plans.study_plan(service, bench.run_maker)(str(study))


def _at_rest(bench):
    return bench.x, bench.y, bench.sensor, bench.excitation


PLANS = {
    "fly_map": lambda b: plans.fly_map(b.flyer, **ZONE),
    "differential_map": lambda b: plans.differential_map(b.flyer, **ZONE),
    "fly_line": lambda b: plans.fly_line(b.flyer, **LINE, n_frames=9),
    "fly_in_run": _in_run,
    "fly_lines": _prepared_lines,
    "calibrate_lag": lambda b: plans.calibrate_lag(
        b.flyer, b.calibration, **LINE, n_frames=9, there_and_back=1
    ),
    "characterise_bench": lambda b: plans.characterise_bench(
        b.meter, b.excitation, b.calibration, n_readings=20, polling_s=0.1
    ),
    "step_map": lambda b: plans.step_map(*_at_rest(b), **ZONE, differential=True),
    "measure_point": lambda b: plans.measure_point(*_at_rest(b), **PLACE),
    "time_series": lambda b: plans.time_series(*_at_rest(b), **PLACE, count=5),
    "frequency_sequence": lambda b: plans.frequency_sequence(
        *_at_rest(b), **PLACE, frequencies_hz=[500.0, 1000.0]
    ),
    "study_plan": _study,
}
"""By name; each makes a generator on a bench of `flyer_bench`."""
