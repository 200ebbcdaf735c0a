"""Where results go; each module is imported by its own name.

`tiled`
    The Tiled server as a process of its own, and how it is reached.
`runs`
    A run from its documents to Tiled, and what is kept of it until it is there.
`local`
    What is kept on this machine beside Tiled: locks, studies, calibrations.

A process that only starts the server doesn't pay for the imports of the writer.
"""
