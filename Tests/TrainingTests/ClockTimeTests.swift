import Tensors
import Testing

@testable import Training

@Suite struct ClockTimeTests {
  @Test(
    "times are numbers with units, from days to seconds",
    arguments: [("1h30m", 5400), ("90m", 5400), ("45s", 45), ("2d", 172_800), ("1d2h3m4s", 93_784), ("0h1s", 1)])
  func durations(text: String, seconds: Int) throws {
    #expect(try ClockTime.duration(text, subject: "--max-time") == .seconds(seconds))
  }

  @Test(
    "what is no time is refused, with an example",
    arguments: [
      "", "90", "0s", "1m1h", "-1h", "1.5h", "1h 30m", "1w", "h", "99999999999999999999s", "9999999999999999d",
    ])
  func refused(text: String) {
    let error = #expect(throws: InputError.self) { try ClockTime.duration(text, subject: "--max-time") }
    #expect(error?.description == "--max-time: \"\(text)\", expected a time, as in 1h30m, 90m or 45s")
  }

  @Test(
    "times are told as clocks do", arguments: [(0.4, "0:00"), (59.6, "1:00"), (3599, "59:59"), (36_000, "10:00:00")])
  func texts(seconds: Double, text: String) { #expect(ClockTime.text(seconds) == text) }
}
