"""What a study, a scan, a plan and a flight are; standard library and numpy only.

`study`
    Everything measured about one object, and the rules for it.
`spec`
    What is measured, in the user's units.
`bench`
    What a bench is, and what was measured of it.
`feasibility`
    Whether a bench can carry a spec out, and the nearest change that it can.
`flight`, `step`
    What a spec compiles to, flown and at rest, and how long it takes.
`results`
    What a scan gave, and how well that is known.
`ports`
    What the domain needs from the outside.
`checks`, `plain_values`, `errors`
    Shared by all.
"""
