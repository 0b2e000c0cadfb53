internal import Foundation

/// A run as one page: `html` needs no other file, no server and no network.
///
/// The page itself is Page/report.html with its style and its program; both are compiled into the binary.
public struct ReportPage: Encodable, Sendable {
  /// A line of facts: what it is called, what it is.
  public struct Fact: Encodable, Sendable {
    /// What it is called.
    public var name: String
    /// What it is.
    public var value: String

    /// A fact.
    public init(_ name: String, _ value: String) {
      self.name = name
      self.value = value
    }
  }

  /// A horizontal line that a curve is compared with.
  public struct Level: Encodable, Sendable {
    /// What it is called.
    public var name: String
    /// Where it is; nil where that is not finite.
    public var value: Double?

    /// A level.
    public init(_ name: String, _ value: Double) {
      self.name = name
      self.value = value.isFinite ? value : nil
    }
  }

  /// Numbers over the epochs; what is not finite is a gap.
  public struct Series: Encodable, Sendable {
    /// What the legend calls it.
    public var name: String
    /// Epochs.
    public var x: [Double]
    /// A value each; null where it is not finite.
    public var y: [Double?]
    /// Half lengths of error bars; empty for none.
    public var errors: [Double?]

    /// A curve.
    public init(_ name: String, x: [Double], y: [Double], errors: [Double] = []) {
      self.name = name
      self.x = x
      self.y = y.map { $0.isFinite ? $0 : nil }
      self.errors = errors.map { $0.isFinite ? $0 : nil }
    }
  }

  /// Curves over the same axes.
  public struct Chart: Encodable, Sendable {
    /// What is above it: the quantity with its unit.
    public var title: String
    /// The curves.
    public var series: [Series]
    /// Lines that they are compared with.
    public var levels: [Level]
    /// Whether the vertical axis is logarithmic.
    public var isLogarithmic: Bool

    /// A chart.
    public init(_ title: String, series: [Series], levels: [Level] = [], isLogarithmic: Bool = false) {
      self.title = title
      self.series = series
      self.levels = levels
      self.isLogarithmic = isLogarithmic
    }
  }

  /// One picture through the epochs.
  public struct Figure: Encodable, Sendable {
    /// What it shows.
    public var name: String
    /// The epochs that it is there for, ascending.
    public var epochs: [Int]
    /// PNG files in base64, one an epoch.
    public var images: [String]
    /// Epochs that were left out so that the page stays small.
    public var omitted: Int

    /// A figure.
    public init(name: String, epochs: [Int], images: [String], omitted: Int) {
      self.name = name
      self.epochs = epochs
      self.images = images
      self.omitted = omitted
    }
  }

  /// What a kind of work took of the time.
  public struct Share: Encodable, Sendable {
    /// The work.
    public var name: String
    /// How long it took.
    public var seconds: Double
    /// Whether it went on beside the rest, and is no part of the whole.
    public var isBeside: Bool

    /// A share.
    public init(_ name: String, _ seconds: Double, isBeside: Bool = false) {
      self.name = name
      self.seconds = seconds
      self.isBeside = isBeside
    }
  }

  /// A table, with its heads.
  public struct Table: Encodable, Sendable {
    /// Above the columns.
    public var heads: [String]
    /// Line by line.
    public var rows: [[String]]

    /// A table.
    public init(heads: [String], rows: [[String]]) {
      self.heads = heads
      self.rows = rows
    }
  }

  /// The run's name.
  public var title = ""
  /// What state it is in, in a few words.
  public var status = ""
  /// When the page was written.
  public var written = ""
  /// The numbers that a reader looks for first.
  public var headlines: [Fact] = []
  /// Where the bound stands: marks in any order, which the page sorts; the model's own is last.
  public var scale: [Level] = []
  /// Curves.
  public var charts: [Chart] = []
  /// Pictures.
  public var figures: [Figure] = []
  /// Where this session's time went.
  public var timing: [Share] = []
  /// One line a rank.
  public var ranks = Table(heads: [], rows: [])
  /// What the run is, in a few lines.
  public var facts: [Fact] = []
  /// Every setting, as YAML.
  public var configuration = ""

  /// An empty page; see the properties.
  public init() {}

  /// The page's text.
  public var html: String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    guard let data = try? encoder.encode(self) else { preconditionFailure("a page without infinities is always JSON") }
    let frame = text(PackageResources.report_html)
      .replacing("/*STYLE*/", with: text(PackageResources.report_css))
      .replacing("/*PROGRAM*/", with: text(PackageResources.report_js))
    guard let place = frame.range(of: "/*DATA*/") else { preconditionFailure("the page has a place for its data") }
    return frame[..<place.lowerBound] + Self.scriptText(data) + frame[place.upperBound...]
  }

  private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

  /// JSON for the inside of a script element, where nothing but its end tag, and a comment's beginning, must not appear.
  ///
  /// Byte by byte: pictures make it megabytes, which `String.replacing` would take seconds for.
  private static func scriptText(_ json: Data) -> String {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(json.count)
    json.withUnsafeBytes { json in
      for byte in json {
        if byte == UInt8(ascii: "<") { bytes += Array("\\u003c".utf8) } else { bytes.append(byte) }
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
