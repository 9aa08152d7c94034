"""The protocol in virtual time: real lanes, sender, relay, sources and Lua scripts, under one seeded scheduler.

./run sim --seeds 2000      # new seeds, each another run with other faults
./run sim --seed 1234       # one of them again, with its trace
"""
