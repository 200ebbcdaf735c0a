"""Where results go: the Tiled server, the writer of documents, the run's file.

Each module is one idea and is imported by its own name, so that a process that
only starts the server doesn't pay for the imports of the writer:

`tiled_server`
    The Tiled server as a process of its own.
`tiled_client`
    A connection to it, with errors in our words.
`document_writer`
    Bluesky documents to Tiled from a thread of ours, with a journal.
`run_file`
    One SWMR HDF5 file a run, for the streams too fast for events.
`run_closing`
    The end of runs whose process died.
`consolidator`
    What lets the writer register that file without keeping a row in memory.
`read_back`
    Whether a run reads back as it was written.
"""
