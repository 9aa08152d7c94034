"""The stack as plain processes on embedded servers: for the demo, the tests and the benchmarks."""
