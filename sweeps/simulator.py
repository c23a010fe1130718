"""A small simulator, as a model of one's own: three bodies that heat each other, stepped in time until nothing changes.

``model: {function: simulator:heat}`` calls `heat`; run as a program, it reads designs as JSON
lines and writes what it finds, for ``model: {command: [python3, simulator.py], batch: 20}``.
"""

import json
import sys

AMBIENT_C = 30.0
STEP_S = 0.5
LONGEST_S = 2000.0


def heat(design):
    """Return the temperature of the DRAM and the time that it takes to get there."""
    dram_w = 0.25 * design["chat.decode_w"]
    die_w = design["chat.decode_w"] - dram_w
    packages = design["memory_devices"]
    if design["tdp_w"] > 400:
        return {"error": f"the heat sink is made for 400 W, not for {design['tdp_w']:.0f} W"}
    # Heat in J/K and paths in W/K: die and packages to the board, the board to the air.
    die_j_k, dram_j_k, board_j_k = 0.15 * design["die_mm2"], 8.0 * packages, 250.0
    die_path, dram_path, air_path = 0.02 * design["die_mm2"], 0.35 * packages, 3.2
    die = dram = board = AMBIENT_C
    seconds = 0.0
    reached = []
    while seconds < LONGEST_S:
        to_board = die_path * (die - board) + dram_path * (dram - board)
        die += STEP_S * (die_w - die_path * (die - board)) / die_j_k
        dram += STEP_S * (dram_w - dram_path * (dram - board)) / dram_j_k
        board += STEP_S * (to_board - air_path * (board - AMBIENT_C)) / board_j_k
        seconds += STEP_S
        reached.append(dram)
    settled = next(place for place, value in enumerate(reached) if abs(value - dram) < 1.0)
    return {"dram_c": dram, "settling_s": settled * STEP_S}


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(heat(json.loads(line))))
