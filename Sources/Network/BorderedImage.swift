import KernelInterface

/// Floats of a bordered image of 16 lanes.
func bordered(_ channels: Int, _ width: Int) -> Int { channels * (width + 2) * (width + 2) * laneCount }
