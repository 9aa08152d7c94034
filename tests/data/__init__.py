"""Where the recordings are that tests read."""

from pathlib import Path

#: Comes with the project: a simulated market, six symbols, spot and futures; `make_recording` writes it.
RECORDING = Path(__file__).with_name("recording.jsonl.gz")
#: Real ones, in the folder that the fixture `recordings` gives, if there is one.
SPOT, USDM = "binance-spot-20240808.jsonl.gz", "binance-usdm-20240808.jsonl.gz"
