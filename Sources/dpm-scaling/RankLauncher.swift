import Tensors

/// What starts ranks: a command line in a shell's spelling, with `{ranks}` for their number.
struct RankLauncher: Equatable {
  /// As the user wrote it.
  let text: String
  private let words: [String]

  /// Splits a command line as a shell does, at spaces outside of quotes; nothing else of a shell's is done.
  ///
  /// - Throws: `InputError` where the number of ranks has no place, or a quotation has no end.
  init(_ text: String) throws(InputError) {
    guard let words = Self.split(text) else {
      throw InputError("--launcher", found: text, expected: "every quotation to have an end")
    }
    guard words.contains(where: { $0.contains(Self.placeholder) }) else {
      throw InputError("--launcher", found: "\"\(text)\"", expected: "{ranks} where their number belongs")
    }
    self.text = text
    self.words = words
  }

  private static let placeholder = "{ranks}"

  /// The words that start so many ranks of what follows them.
  func words(ranks: Int) -> [String] { words.map { $0.replacing(Self.placeholder, with: "\(ranks)") } }

  /// The words of a line; nil where it ends in the middle of one.
  private static func split(_ text: String) -> [String]? {
    var words: [String] = []
    var word: String?
    var quote: Character?
    var isEscaped = false
    for character in text {
      if isEscaped {
        // Within double quotes a backslash stands for itself, but before these.
        let isOwn = quote != nil && !"\"\\$`".contains(character)
        word = (word ?? "") + (isOwn ? "\\" : "") + String(character)
        isEscaped = false
      } else if character == "\\" && quote != "'" {
        isEscaped = true
      } else if let open = quote {
        if character == open { quote = nil } else { word?.append(character) }
      } else if character == "'" || character == "\"" {
        quote = character
        word = word ?? ""
      } else if character.isWhitespace {
        if let word { words.append(word) }
        word = nil
      } else {
        word = (word ?? "") + String(character)
      }
    }
    guard quote == nil && !isEscaped else { return nil }
    return words + (word.map { [$0] } ?? [])
  }
}
