"""Every operation of a connection, cancelled or cut off at each of its checkpoints.

``points`` hits a checkpoint exactly, ``peers`` are strict clients, ``stages`` are the transports, ``operations`` is the
table of what is tried. The tests are loops over these: a new operation is one entry in the table.
"""
