import Foundation
import Testing

@testable import Reports

/// The page's data; that it works in a browser is what launch/test-report checks.
@Suite struct ReportPageTests {
  @Test("numbers that are not finite leave gaps and marks without a place", arguments: [Double.infinity, .nan])
  func notFinite(_ number: Double) throws {
    var page = ReportPage()
    page.scale = [.init("white noise", 0), .init("this model", number)]
    page.charts = [
      .init(
        "J", series: [.init("test", x: [1, 2], y: [number, -1], errors: [number, 0.5])],
        levels: [.init("ceiling", number)])
    ]
    let html = page.html
    #expect(html.contains(#""scale":[{"name":"white noise","value":0},{"name":"this model"}]"#))
    #expect(html.contains(#""errors":[null,0.5],"name":"test","x":[1,2],"y":[null,-1]"#))
    #expect(html.contains(#""levels":[{"name":"ceiling"}]"#))
  }
}
