"""Random faults for hours: `./run soak`. The rig and the faults are those of `tests.faults`."""
